//! With `sendfile`, from files in memory (memfd).
//!
//! The HTTP library hands over slices of memory and knows nothing of it. A slice is known by where it ends, which stays
//! the same however much of it has been sent; and as [`Pages`] holds on to the memory, nothing else can be there.

use std::{
    fs::File,
    io::{self, IoSlice, Write as _},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use quick_cache::{Weighter, sync::Cache};
use rustix::{
    fs::{MemfdFlags, memfd_create, sendfile},
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};
use tokio::{io::Interest, net::TcpStream};

/// Documents below are copied: that is cheaper than another system call. In bytes.
const LARGE: usize = 16 << 10;
/// Bytes of all documents that are kept.
const CAPACITY: u64 = 16 << 20;
/// What one takes besides its bytes, so that there are a few hundred file descriptors at most.
const OVERHEAD: u64 = 64 << 10;

/// Large documents that are sent often, in pages of the kernel.
pub(crate) struct Pages(Cache<usize, Arc<Document>, ByBytes>);

struct Document {
    memory: Bytes,
    pages: File,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<usize, Arc<Document>> for ByBytes {
    fn weight(&self, _: &usize, document: &Arc<Document>) -> u64 {
        OVERHEAD + document.memory.len() as u64
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self(Cache::with_weighter(64, CAPACITY, ByBytes))
    }
}

impl Pages {
    /// From now on these very bytes, wherever they are written from, are sent without being copied. Small ones are left
    /// alone, and so are all if the kernel has no room.
    pub(crate) fn keep(&self, memory: &Bytes) {
        if memory.len() < LARGE || self.0.get(&end(memory)).is_some() {
            return;
        }
        match in_pages(memory) {
            Ok(pages) => {
                let memory = memory.clone();
                self.0
                    .insert(end(&memory), Arc::new(Document { memory, pages }));
            }
            Err(error) => tracing::debug!(%error, "a document is copied each time it is sent"),
        }
    }

    /// The document whose end these bytes are.
    fn find(&self, bytes: &[u8]) -> Option<Arc<Document>> {
        let document = (bytes.len() >= LARGE).then(|| self.0.get(&end(bytes)))??;
        (bytes.len() <= document.memory.len()).then_some(document)
    }
}

/// The address after the last byte.
fn end(bytes: &[u8]) -> usize {
    bytes.as_ptr_range().end.addr()
}

fn in_pages(bytes: &[u8]) -> io::Result<File> {
    let mut pages = File::from(memfd_create("document", MemfdFlags::CLOEXEC)?);
    pages.write_all(bytes)?;
    Ok(pages)
}

/// A client's connection.
pub(crate) struct Wire {
    stream: TokioIo<TcpStream>,
    pages: Arc<Pages>,
}

impl Wire {
    /// Sends what `pages` has from there.
    pub(crate) fn new(stream: TcpStream, pages: Arc<Pages>) -> Self {
        let stream = TokioIo::new(stream);
        Self { stream, pages }
    }

    fn stream(&mut self) -> Pin<&mut TokioIo<TcpStream>> {
        Pin::new(&mut self.stream)
    }

    /// Does `send` as soon as the socket takes something.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&TcpStream) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = self.stream.inner();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_io(Interest::WRITABLE, || Ok(send(stream)?)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_read(cx, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream().poll_write(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let mut found = slices
            .iter()
            .map(|slice| wire.pages.find(slice))
            .enumerate();
        match found.find_map(|(at, document)| Some((at, document?))) {
            None => wire.stream().poll_write_vectored(cx, slices),
            Some((0, document)) => {
                let rest = slices.first().map_or(0, |slice| slice.len());
                let mut from = (document.memory.len() - rest) as u64;
                wire.poll_send(cx, |to| {
                    sendfile(to, &document.pages, Some(&mut from), rest)
                })
            }
            // What comes before it shares its first packet.
            Some((at, _)) => wire.poll_send(cx, |to| {
                let mut no_extras = SendAncillaryBuffer::default();
                sendmsg(
                    to,
                    slices.get(..at).unwrap_or(slices),
                    &mut no_extras,
                    SendFlags::MORE | SendFlags::NOSIGNAL,
                )
            }),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    fn document(size: usize) -> Bytes {
        (0..size)
            .map(|at: usize| at.to_le_bytes()[0] ^ at.to_le_bytes()[1])
            .collect::<Vec<_>>()
            .into()
    }

    #[test]
    fn a_document_is_known_by_its_memory() {
        let (pages, kept) = (Pages::default(), document(100_000));
        pages.keep(&kept);
        assert!(pages.find(&kept).is_some());
        assert!(pages.find(&kept.slice(70_000..)).is_some());
        assert!(pages.find(&kept.slice(..99_999)).is_none());
        assert!(pages.find(&document(100_000)).is_none());
    }

    #[test]
    fn small_documents_are_not_kept() {
        let (pages, small) = (Pages::default(), document(LARGE - 1));
        pages.keep(&small);
        assert!(pages.find(&small).is_none());
        assert_eq!(pages.0.len(), 0);
    }

    #[test]
    fn as_many_are_kept_as_have_room() {
        let pages = Pages::default();
        let documents: Vec<_> = (0..1_000).map(|_| document(LARGE)).collect();
        for document in &documents {
            pages.keep(document);
        }
        assert!(pages.0.weight() <= CAPACITY);
        assert!(
            documents
                .iter()
                .any(|document| pages.find(document).is_some())
        );
    }

    /// More than the buffers of a socket, so that it goes in parts.
    #[tokio::test]
    async fn what_is_sent_arrives_in_order_and_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (pages, large) = (Arc::<Pages>::default(), document(7 << 20));
        pages.keep(&large);
        assert!(pages.find(&large).is_some());
        let parts = [document(300), large, document(5)];
        let expected = parts.concat();
        let client = tokio::spawn(async move {
            let mut received = Vec::new();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.read_to_end(&mut received).await.unwrap();
            received
        });
        let mut wire = Wire::new(listener.accept().await.unwrap().0, pages);
        let (mut sent, mut writes) = (0, 0);
        while sent < expected.len() {
            let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let mut rest = &mut slices[..];
            IoSlice::advance_slices(&mut rest, sent);
            sent += poll_fn(|cx| Pin::new(&mut wire).poll_write_vectored(cx, rest))
                .await
                .unwrap();
            writes += 1;
        }
        assert!(writes > 3, "it went in one piece");
        drop(wire);
        assert!(client.await.unwrap() == expected, "other bytes arrived");
    }
}
