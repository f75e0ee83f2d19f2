//! From the builder's thread to the sink.

use std::io::{self, Write};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes that travel at once, and how many such chunks may wait.
const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 8;

/// Sends bytes to the sink in chunks, at the sink's pace.
pub(super) struct Chunks {
    sender: mpsc::Sender<Bytes>,
    pending: Vec<u8>,
}

impl Chunks {
    /// A channel of the right length.
    pub(super) fn channel() -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
        mpsc::channel(CHUNKS)
    }

    /// What is written goes to this end of a channel.
    pub(super) fn to(sender: mpsc::Sender<Bytes>) -> Self {
        Self {
            sender,
            pending: Vec::with_capacity(CHUNK),
        }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK));
        self.sender
            .blocking_send(chunk.into())
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
