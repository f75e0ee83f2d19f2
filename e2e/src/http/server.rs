//! The server: a thread a connection, every request kept for the test to look at.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::message::{AsWrite, Request, Response};

/// A silent connection is closed after this long.
const IDLE: Duration = Duration::from_secs(30);

/// One line of the server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Request method.
    pub method: String,
    /// Path without the query, as it was sent.
    pub path: String,
    /// The `Authorization` header, if one was sent.
    pub authorization: Option<String>,
    /// Status of our answer.
    pub status: u16,
}

type Handler = dyn Fn(&Request) -> Response + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    log: Mutex<Vec<LoggedRequest>>,
    stopped: AtomicBool,
}

/// An HTTP server on a free port; dropping it closes the port.
pub struct HttpServer {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Starts answering on 127.0.0.1 with `handler`, which several connections call at once.
    pub fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, handler)
    }

    /// The same at another address of the network namespace that the calling thread is in.
    pub fn start_at(
        address: Ipv4Addr,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).context("no free port")?;
        let listener = Arc::new(listener);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            log: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let acceptor = thread::spawn({
            let (listener, shared) = (Arc::clone(&listener), Arc::clone(&shared));
            move || accept(&listener, &shared)
        });
        Ok(Self {
            address,
            listener,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// `http://ADDRESS:PORT`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything asked so far, in the order of the answers.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many requests were made for exactly `path`.
    pub fn count(&self, path: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.path == path)
            .count()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which waits for a connection, wherever the address is.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A connection that breaks concerns only its peer, who notices by itself.
        thread::spawn(move || serve(&stream, &shared).ok());
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut connection = Connection {
        reader: BufReader::new(stream),
        stream,
    };
    while let Some(request) = Request::read(&mut connection)? {
        if shared.stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        let response = (shared.handler)(&request);
        shared
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(LoggedRequest {
                method: request.method.clone(),
                path: request.path.clone(),
                authorization: request.header("authorization").map(str::to_owned),
                status: response.status,
            });
        response.write(&mut connection.stream, request.method == "HEAD")?;
        if request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            return Ok(());
        }
    }
    Ok(())
}

struct Connection<'s> {
    reader: BufReader<&'s TcpStream>,
    stream: &'s TcpStream,
}

impl Read for Connection<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Connection<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

impl AsWrite for Connection<'_> {
    fn as_write(&mut self) -> &mut dyn Write {
        &mut self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delivery, get};
    use super::*;

    #[test]
    fn requests_are_answered_and_logged() {
        let server = HttpServer::start(|request| match request.path.as_str() {
            "/hello" => Response::new(200, "text/plain", format!("q={}", request.query)),
            _ => Response::not_found(),
        })
        .unwrap();
        let hello = get(
            &format!("{}/hello?a=b", server.url()),
            &[("Authorization", "Bearer x")],
        );
        let hello = hello.unwrap();
        assert_eq!((hello.status, hello.text().as_str()), (200, "q=a=b"));
        assert_eq!(
            get(&format!("{}/other", server.url()), &[]).unwrap().status,
            404
        );
        let log = server.requests();
        assert_eq!(server.count("/hello"), 1);
        assert_eq!(log[0].authorization.as_deref(), Some("Bearer x"));
        assert_eq!(log[1].status, 404);
    }

    #[test]
    fn bodies_arrive_as_they_are_delivered() {
        let server = HttpServer::start(|request| {
            let response = Response::new(200, "text/plain", "0123456789");
            response.delivered(match request.path.as_str() {
                "/cut" => Delivery::Cut(4),
                "/paced" => Delivery::Paced(3, Duration::from_millis(1)),
                "/unannounced" => Delivery::Unannounced,
                _ => Delivery::Whole,
            })
        })
        .unwrap();
        let ask = |path: &str| get(&format!("{}{path}", server.url()), &[]);
        for path in ["/whole", "/paced", "/unannounced"] {
            assert_eq!(ask(path).unwrap().text(), "0123456789", "{path}");
        }
        let unannounced = ask("/unannounced").unwrap();
        assert_eq!(unannounced.header("content-length"), None);
        assert!(ask("/cut").is_err());
    }

    #[test]
    fn a_head_that_breaks_off_is_no_answer() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let breaking = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            assert!((&stream).read(&mut head).unwrap() > 0);
            (&stream).write_all(b"HTTP/1.1 200 OK\r\nA: b\r\n").unwrap();
        });
        assert!(get(&url, &[]).is_err());
        breaking.join().unwrap();
    }

    #[test]
    fn one_connection_carries_several_requests() {
        let server =
            HttpServer::start(|request| Response::new(200, "text/plain", request.body.clone()))
                .unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream
            .write_all(
                b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                  HEAD /b HTTP/1.1\r\nConnection: close\r\n\r\n",
            )
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
        assert!(answer.contains("\r\n\r\nabcHTTP/1.1"), "{answer}");
    }
}
