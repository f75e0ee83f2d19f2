//! Several processes on one database, one cache and one bucket.

mod balancer;
mod commands;
mod crash;
mod installation;
mod serving;
