//! The operator as a process of its own beside a cluster: killed where it hurts, cut off, and on its own again.
//!
//! Before that, the operator that other suites installed is uninstalled: what users have must stay.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod access;
#[expect(dead_code, reason = "shared with the suites that use more of it")]
#[path = "../cluster/backing.rs"]
mod backing;
mod changes;
mod faults;
mod ground;
mod kills;
#[path = "../cluster/kstatus.rs"]
mod kstatus;
#[path = "../cluster/manifests.rs"]
mod manifests;
mod mirror;
mod namespaced;
mod normal;
mod observed;
#[expect(dead_code, reason = "shared with the suites that use more of it")]
#[path = "../cluster/observer.rs"]
mod observer;
mod process;
#[expect(dead_code, reason = "shared with the suites that use more of it")]
#[path = "../cluster/support.rs"]
mod support;
#[path = "../cluster/watched.rs"]
mod watched;
