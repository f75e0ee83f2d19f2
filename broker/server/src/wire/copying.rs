//! Everything is copied.

use std::sync::Arc;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Nothing is kept.
#[derive(Default)]
pub(crate) struct Pages;

impl Pages {
    /// Does nothing.
    pub(crate) fn keep(&self, _: &Bytes) {}
}

/// A client's connection.
pub(crate) struct Wire;

impl Wire {
    /// The connection as it is.
    #[expect(clippy::new_ret_no_self, reason = "nothing has to be added to it")]
    pub(crate) fn new(stream: TcpStream, _: Arc<Pages>) -> TokioIo<TcpStream> {
        TokioIo::new(stream)
    }
}
