//! The client: one request, one connection; or several, for those who ask for that.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketType};

use super::message::{BodyEnd, find, read_body, read_headers, read_line};

const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer, its body read whole.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body as it came, without transfer encoding.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Header lines in their order; names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, not JSON: {}", self.status, self.text()))
    }
}

/// A request that has not been sent yet.
#[derive(Debug, Clone)]
pub struct Call {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    source: Ipv4Addr,
}

impl Call {
    /// A request of an `http://127.0.0.1:port/…` URL.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            source: Ipv4Addr::LOCALHOST,
        }
    }

    /// Itself with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Itself with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Itself from another address of this machine, for instance 127.0.0.2.
    #[must_use]
    pub fn from(mut self, source: Ipv4Addr) -> Self {
        self.source = source;
        self
    }

    /// Sends it and reads the answer. Redirects are not followed.
    pub fn send(&self) -> Result<Answer> {
        let Self { method, url, .. } = self;
        self.exchange().with_context(|| format!("{method} {url}"))
    }

    /// Sends it and reads nothing yet.
    pub fn begin(&self) -> Result<Begun> {
        let (host, path) = split(&self.url)?;
        let request = self.bytes(host, path, "Connection: close\r\n")?;
        Ok(Begun::new(connect(host, self.source)?, &request))
    }

    /// The request as it is sent; `more` are header lines that tell of the connection.
    fn bytes(&self, host: &str, path: &str, more: &str) -> Result<Vec<u8>> {
        let mut request = Vec::new();
        write!(
            request,
            "{} {path} HTTP/1.1\r\nHost: {host}\r\n{more}",
            self.method
        )?;
        for (name, value) in &self.headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        if !self.body.is_empty() {
            write!(request, "Content-Length: {}\r\n", self.body.len())?;
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(&self.body);
        Ok(request)
    }

    fn exchange(&self) -> Result<Answer> {
        self.begin()?.answer()
    }
}

/// A request that was sent and whose answer nobody reads yet; dropping it closes the connection.
#[derive(Debug)]
pub struct Begun {
    stream: TcpStream,
    sent: io::Result<()>,
    head_only: bool,
}

impl Begun {
    fn new(stream: TcpStream, bytes: &[u8]) -> Self {
        let sent = (&stream).write_all(bytes);
        Self {
            stream,
            sent,
            head_only: bytes.starts_with(b"HEAD "),
        }
    }

    /// Waits until the answer begins, and takes nothing of it.
    pub fn wait_for_first_byte(&self) -> Result<()> {
        self.stream.peek(&mut [0])?;
        Ok(())
    }

    /// Reads the answer.
    pub fn answer(self) -> Result<Answer> {
        // A server may answer and close before it has read everything; its answer counts.
        read_answer(&mut BufReader::new(&self.stream), self.head_only).or_else(|error| {
            self.sent?;
            Err(error)
        })
    }
}

/// One connection that carries one request after the other. It is never opened again: a server
/// that closes it fails the next request.
#[derive(Debug)]
pub struct Connection {
    host: String,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to the server of an `http://127.0.0.1:port/…` URL.
    pub fn open(url: &str) -> Result<Self> {
        let (host, _) = split(url)?;
        Ok(Self {
            host: host.to_owned(),
            reader: BufReader::new(connect(host, Ipv4Addr::LOCALHOST)?),
        })
    }

    /// Sends a request of a URL of that server and reads the answer.
    pub fn send(&mut self, call: &Call) -> Result<Answer> {
        let Call { method, url, .. } = call;
        self.exchange(call)
            .with_context(|| format!("{method} {url} on an open connection"))
    }

    fn exchange(&mut self, call: &Call) -> Result<Answer> {
        let (host, path) = split(&call.url)?;
        ensure!(host == self.host, "connected to {}", self.host);
        let request = call.bytes(host, path, "")?;
        self.reader.get_mut().write_all(&request)?;
        let answer = read_answer(&mut self.reader, call.method == "HEAD")?;
        let closes = |value: &str| value.eq_ignore_ascii_case("close");
        let ends = answer.header("content-length").is_some()
            || answer.header("transfer-encoding").is_some()
            || matches!(answer.status, 204 | 304);
        ensure!(
            ends && !answer.header("connection").is_some_and(closes),
            "the connection ends with the answer of status {}",
            answer.status
        );
        Ok(answer)
    }
}

/// GET of an `http://host:port/…` URL with extra headers. Redirects are not followed.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let call = Call::new("GET", url);
    headers
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value))
        .send()
}

/// Sends bytes as they are to the server of a URL, and reads its answer to the first request in
/// them.
pub fn exchange_bytes(url: &str, bytes: &[u8]) -> Result<Answer> {
    let (host, _) = split(url)?;
    Begun::new(connect(host, Ipv4Addr::LOCALHOST)?, bytes).answer()
}

fn split(url: &str) -> Result<(&str, &str)> {
    let rest = url
        .strip_prefix("http://")
        .context("only http:// is spoken here")?;
    Ok(rest
        .find('/')
        .map_or((rest, "/"), |slash| rest.split_at(slash)))
}

fn connect(host: &str, source: Ipv4Addr) -> Result<TcpStream> {
    let stream = if source == Ipv4Addr::LOCALHOST {
        TcpStream::connect(host)?
    } else {
        let address: SocketAddrV4 = host.parse().context("not an IPv4 address and a port")?;
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
        rustix::net::connect(&socket, &address)?;
        TcpStream::from(socket)
    };
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn read_answer(reader: &mut impl BufRead, head_only: bool) -> Result<Answer> {
    let line = read_line(reader)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("not an HTTP status line: {line:?}"))?;
    let headers = read_headers(reader)?;
    let body = match status {
        204 | 304 => Vec::new(),
        _ if head_only => Vec::new(),
        _ => read_body(reader, &headers, BodyEnd::Close)?,
    };
    Ok(Answer {
        status,
        headers,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{HttpServer, Response};
    use super::*;

    #[test]
    fn a_connection_carries_requests_until_the_server_closes_it() {
        let server = HttpServer::start(|_| Response::new(200, "text/plain", "hello")).unwrap();
        let mut connection = Connection::open(&server.url()).unwrap();
        let call = Call::new("GET", &format!("{}/a", server.url()));
        for _ in 0..3 {
            assert_eq!(connection.send(&call).unwrap().text(), "hello");
        }
        let last = call.clone().header("Connection", "close");
        assert_eq!(connection.send(&last).unwrap().status, 200);
        assert!(connection.send(&call).is_err());
        assert_eq!(server.count("/a"), 4);
    }
}
