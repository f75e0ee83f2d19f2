//! What the core needs from the world, as traits in the domain's words.
//!
//! Drivers meet these contracts; the contract tests in the drivers' crate hold every driver to them. A driver's
//! own failure is folded into an `Unavailable` variant, so that callers decide by meaning, not by technology.

pub mod audit;
pub mod cache;
pub mod database;
pub mod declared;
pub mod source;
pub mod storage;
