//! Several processes on one database, one cache and one bucket.

mod backup;
mod balancer;
mod commands;
mod crash;
mod faults;
mod gateway;
pub(crate) mod installation;
mod recipe;
mod redirects;
mod serving;
mod suites;
mod traces;
