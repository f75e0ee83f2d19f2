//! One request in, one response out.

use std::io::{self, BufRead, Read, Write};
use std::thread;
use std::time::Duration;

/// Requests with a longer body are refused: a `git fetch` negotiation stays far below.
const MAX_BODY: u64 = 64 << 20;
/// Longest accepted header line, in bytes.
const MAX_LINE: u64 = 64 << 10;

/// A request, its body read whole.
#[derive(Debug, Default)]
pub struct Request {
    /// `GET`, `HEAD`, `POST`, …
    pub method: String,
    /// Path of the target, still percent-encoded, starting with `/`.
    pub path: String,
    /// What follows `?` in the target, or nothing.
    pub query: String,
    /// Header lines in their order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Reads one request; `None` when the peer closed the connection before the next one.
    pub(super) fn read(stream: &mut (impl BufRead + AsWrite)) -> io::Result<Option<Self>> {
        let line = read_line(stream)?;
        let mut words = line.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: read_headers(stream)?,
            body: Vec::new(),
        };
        if request.header("expect").is_some() {
            stream
                .as_write()
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.body = read_body(stream, &request.headers, BodyEnd::Absent)?;
        Ok(Some(request))
    }
}

/// A response with a body held in memory.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header lines; `Content-Length` is added when sent.
    pub headers: Vec<(String, String)>,
    /// The body, left out in answers to HEAD.
    pub body: Vec<u8>,
    /// How the body goes on the wire.
    pub delivery: Delivery,
}

/// How a response's body goes on the wire, for the failures that an upstream may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// At once.
    #[default]
    Whole,
    /// The whole length is promised, so many bytes are sent, and the connection is closed.
    Cut(usize),
    /// In pieces of so many bytes, with a pause after each.
    Paced(usize, Duration),
    /// At once, without saying how long it is: the connection is closed at the end.
    Unannounced,
}

impl Response {
    /// Itself with another delivery of the body.
    #[must_use]
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// A response of that status, content type and body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self {
            status,
            headers,
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// 304 without headers.
    pub fn not_modified() -> Self {
        Self {
            status: 304,
            headers: Vec::new(),
            body: Vec::new(),
            delivery: Delivery::Whole,
        }
    }

    /// 404 with a short text.
    pub fn not_found() -> Self {
        Self::new(404, "text/plain", "not found")
    }

    /// Itself with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn write(&self, stream: &mut impl Write, head_only: bool) -> io::Result<()> {
        let mut head = Vec::new();
        write!(head, "HTTP/1.1 {} -\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        if self.delivery == Delivery::Unannounced {
            head.extend_from_slice(b"Connection: close\r\n");
        } else if self.status != 304 {
            write!(head, "Content-Length: {}\r\n", self.body.len())?;
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head)?;
        if !head_only && self.status != 304 {
            self.write_body(stream)?;
        }
        stream.flush()
    }

    fn write_body(&self, stream: &mut impl Write) -> io::Result<()> {
        match self.delivery {
            Delivery::Whole => stream.write_all(&self.body),
            Delivery::Cut(length) => {
                stream.write_all(self.body.get(..length).unwrap_or(&self.body))?;
                // The connection ends with the error.
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Delivery::Unannounced => {
                stream.write_all(&self.body)?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Delivery::Paced(size, pause) => {
                for piece in self.body.chunks(size.max(1)) {
                    stream.write_all(piece)?;
                    thread::sleep(pause);
                }
                Ok(())
            }
        }
    }
}

/// A buffered reader that can also be written to, for `100 Continue`.
pub(super) trait AsWrite {
    fn as_write(&mut self) -> &mut dyn Write;
}

/// What a message without a length means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// There is no body (a request).
    Absent,
    /// The body lasts until the connection closes (a response).
    Close,
}

pub(super) fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

pub(super) fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.by_ref().take(MAX_LINE).read_line(&mut line)?;
    line.truncate(line.trim_end().len());
    Ok(line)
}

pub(super) fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        if stream.fill_buf()?.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = read_line(stream)?;
        match line.split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => return Ok(headers),
        }
    }
}

pub(super) fn read_body(
    stream: &mut impl BufRead,
    headers: &[(String, String)],
    otherwise: BodyEnd,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if find(headers, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        read_chunks(stream, &mut body)?;
    } else if let Some(length) = find(headers, "content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        if length > MAX_BODY {
            return Err(io::Error::other("the body is too long"));
        }
        stream.by_ref().take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    } else if otherwise == BodyEnd::Close {
        stream.by_ref().take(MAX_BODY).read_to_end(&mut body)?;
    }
    Ok(body)
}

fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(stream)?;
        let size = line.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        if body.len() as u64 + size > MAX_BODY {
            return Err(io::Error::other("the body is too long"));
        }
        stream.by_ref().take(size).read_to_end(body)?;
        read_line(stream)?;
        if size == 0 {
            return Ok(());
        }
    }
}
