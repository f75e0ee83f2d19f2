//! A small HTTP/1.1 server and client on loopback: enough to stand in for an upstream, to count
//! what it was asked, and to look at the broker.

mod client;
mod message;
mod server;

pub use client::{Answer, Begun, Call, Connection, exchange_bytes, get};
pub use message::{Delivery, Request, Response};
pub use server::{HttpServer, LoggedRequest};
