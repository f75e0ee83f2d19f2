//! From files to what should run: the manifests that `package-broker run -f` is given.
//!
//! [`load`] reads documents and admits each on its own, [`resolve`] checks what they say about each
//! other, and a [`Watcher`] says when to do both again. Every mistake is reported with its file,
//! line, field and fix, and all of them at once.

mod dangling;
mod dialect;
mod files;
mod load;
mod object;
mod problem;
mod resolve;
mod secret;
#[cfg(test)]
mod tests;
mod watch;
pub(crate) mod without_effect;

pub(crate) use load::{Manifests, load};
pub(crate) use problem::{ManifestErrors, Problem};
pub(crate) use resolve::{Desired, resolve};
pub(crate) use watch::Watcher;
