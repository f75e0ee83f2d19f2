//! Where archives are kept: one way each to meet [`Storage`](package_broker_core::ports::storage::Storage).

pub mod filesystem;
