//! The words of the trade: pure types and rules, no I/O and no async.

pub mod archive;
pub mod audit;
pub mod bounded;
pub mod buckets;
pub mod cadence;
pub mod counters;
pub mod declared;
pub mod installation;
pub mod integrity;
pub mod keyring;
pub mod metadata;
pub mod names;
pub mod patterns;
pub mod permissions;
pub mod quota;
pub mod repository;
pub mod schedule;
pub mod scope;
pub mod sealed;
pub mod selection;
pub mod skipped;
pub mod stamp;
pub mod token;
pub mod user;
pub mod version;
pub mod webhook;
