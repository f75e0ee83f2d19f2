//! One request of the git library, from its first written byte to the last byte of its answer.

use std::{
    cell::RefCell,
    io::{self, BufRead, Cursor, Read, Write},
    rc::Rc,
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use package_broker_core::ports::source::SourceError;
use url::Url;

use crate::source::{
    egress::shown,
    git::session::Session,
    http::{Fetcher, Reply},
};

/// The most bytes of one request: the list of what we want and have.
const MAX_REQUEST: usize = 16 << 20;

/// One request and its answer. The request is sent when the first byte of the answer is wanted.
pub(super) struct Exchange {
    fetcher: Arc<Fetcher>,
    session: Arc<Session>,
    step: Step,
}

/// An exchange in the hands of those who write the request and those who read the answer, on one thread.
pub(super) type Shared = Rc<RefCell<Exchange>>;

enum Step {
    Asking(Box<Asked>),
    Answering(Box<Reply>),
    Ended,
}

struct Asked {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Exchange {
    /// A request that is not sent yet.
    ///
    /// # Errors
    /// If the URL or a header is malformed.
    pub(super) fn new(
        fetcher: &Arc<Fetcher>,
        session: &Arc<Session>,
        method: Method,
        url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> io::Result<Shared> {
        let url = Url::parse(url).map_err(io::Error::other)?;
        let headers = header_map(headers)?;
        let asked = Asked {
            method,
            url,
            headers,
            body: Vec::new(),
        };
        Ok(Rc::new(RefCell::new(Self {
            fetcher: Arc::clone(fetcher),
            session: Arc::clone(session),
            step: Step::Asking(Box::new(asked)),
        })))
    }

    /// Sends the request; says where the answer came from.
    ///
    /// # Errors
    /// If it was sent before, or there is no answer of use; the exact reason is in the session.
    pub(super) fn begin(&mut self) -> io::Result<Url> {
        let Step::Asking(asked) = std::mem::replace(&mut self.step, Step::Ended) else {
            return Err(io::Error::other("the answer has begun"));
        };
        let Asked {
            method,
            url,
            headers,
            body,
        } = *asked;
        let body = (method == Method::POST).then(|| body.into());
        let sent = self.fetcher.send(method, &url, &headers, body);
        let reply = match wait(&self.session, sent)? {
            reply if reply.status() == StatusCode::OK => reply,
            reply => return Err(self.fail(unexpected(&reply))),
        };
        let reached = reply.url().clone();
        self.step = Step::Answering(Box::new(reply));
        Ok(reached)
    }

    /// The next bytes of the answer; empty at its end.
    fn next(&mut self) -> io::Result<Bytes> {
        if matches!(self.step, Step::Asking(_)) {
            self.begin()?;
        }
        while let Step::Answering(reply) = &mut self.step {
            match wait(&self.session, reply.chunk())? {
                Some(chunk) if chunk.is_empty() => {}
                Some(chunk) => {
                    self.session.receive(chunk.len())?;
                    return Ok(chunk);
                }
                // Gives the host's turn to the next request.
                None => self.step = Step::Ended,
            }
        }
        Ok(Bytes::new())
    }

    /// Ends an answer that nobody reads on, so that its host is not held up by it. What is left of it is lost.
    pub(super) fn end(&mut self) {
        match std::mem::replace(&mut self.step, Step::Ended) {
            Step::Answering(reply) => drop(self.session.wait(reply.discard())),
            before @ (Step::Asking(_) | Step::Ended) => self.step = before,
        }
    }

    /// The content type of the answer, once it has begun.
    pub(super) fn content_type(&self) -> Option<&str> {
        match &self.step {
            Step::Answering(reply) => reply.header(CONTENT_TYPE),
            Step::Asking(_) | Step::Ended => None,
        }
    }

    fn fail(&self, error: SourceError) -> io::Error {
        let short = io::Error::other(error.to_string());
        self.session.fail(error);
        short
    }
}

fn header_map(lines: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line
            .as_ref()
            .split_once(':')
            .ok_or(io::ErrorKind::InvalidInput)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(io::Error::other)?;
        headers.append(
            name,
            HeaderValue::from_str(value.trim()).map_err(io::Error::other)?,
        );
    }
    Ok(headers)
}

/// The error for a URL where no git server answers.
pub(super) fn no_repository(url: &Url) -> SourceError {
    let mut base = shown(url);
    if let Some(at) = base.find("/info/refs") {
        base.truncate(at);
    }
    SourceError::Invalid {
        what: base,
        problem: "there is no git repository that speaks the smart HTTP protocol; check Repository spec.url".to_owned(),
    }
}

fn unexpected(reply: &Reply) -> SourceError {
    match reply.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => no_repository(reply.url()),
        status => SourceError::Invalid {
            what: shown(reply.url()),
            problem: format!("the answer was HTTP {}", status.as_u16()),
        },
    }
}

/// Waits for the async client, as long as the session lasts. The exact error is kept in the session.
fn wait<T>(session: &Session, work: impl Future<Output = Result<T, SourceError>>) -> io::Result<T> {
    match session.wait(work) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => {
            let short = io::Error::other(error.to_string());
            session.fail(error);
            Err(short)
        }
        None => Err(io::Error::other("the sync was stopped")),
    }
}

/// Takes the body of a request.
pub(super) struct Question(Shared);

impl Question {
    pub(super) fn of(exchange: &Shared) -> Self {
        Self(Rc::clone(exchange))
    }
}

impl Write for Question {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0.borrow_mut().step {
            Step::Asking(asked) if asked.body.len() + bytes.len() <= MAX_REQUEST => {
                asked.body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Step::Asking(_) => Err(io::Error::other("the request is too long")),
            Step::Answering(_) | Step::Ended => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the body of an answer.
pub(super) struct Answer {
    exchange: Shared,
    chunk: Bytes,
}

impl Answer {
    pub(super) fn of(exchange: &Shared) -> Self {
        Self {
            exchange: Rc::clone(exchange),
            chunk: Bytes::new(),
        }
    }
}

impl BufRead for Answer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.exchange.borrow_mut().next()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount.min(self.chunk.len()));
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

/// Gives the one header that the library looks at.
pub(super) struct ContentType {
    exchange: Shared,
    line: Option<Cursor<Vec<u8>>>,
}

impl ContentType {
    pub(super) fn of(exchange: &Shared) -> Self {
        Self {
            exchange: Rc::clone(exchange),
            line: None,
        }
    }
}

impl BufRead for ContentType {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.line.is_none() {
            let mut exchange = self.exchange.borrow_mut();
            if matches!(exchange.step, Step::Asking(_)) {
                exchange.begin()?;
            }
            let line = exchange
                .content_type()
                .map(|kind| format!("{CONTENT_TYPE}: {kind}\n"));
            self.line = Some(Cursor::new(line.unwrap_or_default().into_bytes()));
        }
        self.line.as_mut().map_or(Ok(&[]), BufRead::fill_buf)
    }

    fn consume(&mut self, amount: usize) {
        if let Some(line) = &mut self.line {
            line.consume(amount);
        }
    }
}

impl Read for ContentType {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

fn read_buffered(from: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let read = from.fill_buf()?.read(buffer)?;
    from.consume(read);
    Ok(read)
}
