//! Everything the tasks need on a bare Debian machine, got once and kept in the cache.

pub(crate) mod apt;
pub(crate) mod composer;
pub(crate) mod debian_sources;
mod mirror;
pub(crate) mod packages;
pub(crate) mod tools;
