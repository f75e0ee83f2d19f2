//! The ways to meet the ports of the core.
//!
//! - [`database`]: the state of an installation, in PostgreSQL, or in SQLite for one process.
//! - [`storage`]: archives, in a bucket of an S3 service, or in a folder for one process.
//! - [`cache`]: counters and word of changes, in Redis, or in the memory of one process.
//! - [`source`]: packages from Composer repositories, git repositories and folders of archives.
//!
//! Nothing but the composition of a program names a driver: all other code sees the ports of
//! [`package_broker_core`]. One contract test per port holds every driver of it to the same promises.

pub mod cache;
pub mod database;
pub mod source;
pub mod storage;
