//! Where archives are kept: one way each to meet [`Storage`](package_broker_core::ports::storage::Storage).
//!
//! - [`filesystem`]: a folder, for one process.
//! - [`s3`]: a bucket of an S3 service, for any number of processes.

pub mod filesystem;
pub mod s3;
