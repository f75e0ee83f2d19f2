//! Harness of the end-to-end suites: real `composer`, real `git`, the real `package-broker`.
//!
//! Everything here runs on loopback with ports the kernel chose, and every server is a child
//! process (or a thread) that ends with the value that owns it, or with this process at the
//! latest. The tasks of `cargo xtask` use the same pieces, so that the demo shows what the
//! tests test.

pub mod archive;
pub mod backing;
pub mod broker;
pub mod cache;
pub mod certificates;
pub mod cluster;
pub mod composer;
pub mod composer_repository;
pub mod debian;
pub mod garage;
pub mod git;
pub mod http;
pub mod image;
pub mod lock;
pub mod manifests;
pub mod place;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod tree;
