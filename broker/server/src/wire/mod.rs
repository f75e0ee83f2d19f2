//! A connection that sends large documents without copying them, where the system has a way.
//!
//! What is written to a socket is copied into the kernel. For the root file of a large installation, which every
//! client asks for first, that copy takes longer than everything else that is done for the answer. So such documents
//! are also kept in pages of the kernel, and sent from there with `sendfile`, as file servers do.

#[cfg(not(target_os = "linux"))]
mod copying;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub(crate) use self::copying::{Pages, Wire};
#[cfg(target_os = "linux")]
pub(crate) use self::linux::{Pages, Wire};
