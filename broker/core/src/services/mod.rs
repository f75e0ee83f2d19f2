//! The use cases, written against the ports.
//!
//! A request goes through [`limit`] (how often) and [`token`] (who asks), then [`package`], [`view`] or [`dist`] (what they get). A sync and a
//! change of manifests end in [`publish`], the one place that writes what is served. [`catalog`] is the memory all of
//! them share, and [`audit`] takes down what each of them did.

pub mod audit;
pub mod catalog;
pub mod claim;
pub mod compress;
pub mod declared;
pub mod dist;
pub mod documents;
pub mod flight;
pub mod follow;
pub mod limit;
pub mod outline;
pub mod package;
pub mod publish;
pub mod reach;
pub mod render;
pub mod repository;
mod root;
pub mod search;
pub mod status;
pub mod token;
pub mod user;
pub mod view;
mod wanted;
