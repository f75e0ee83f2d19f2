//! A small HTTP/1.1 server on loopback that can misbehave in every way a test asks for.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A request as it arrived. Header names are in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn is_conditional(&self) -> bool {
        self.header("if-modified-since").is_some() || self.header("if-none-match").is_some()
    }
}

/// What to answer, and how badly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    declared: Option<usize>,
    cut_after: Option<usize>,
    delay: Duration,
    last_modified: Option<String>,
    etag: Option<String>,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            body: format!("status {status}").into_bytes(),
            ..Self::default()
        }
    }

    /// The same answer under another status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn redirect(status: u16, to: &str) -> Self {
        Self::status(status).header("Location", to)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers 304 to requests that know this date.
    pub(crate) fn last_modified(mut self, date: &str) -> Self {
        self.last_modified = Some(date.to_owned());
        self
    }

    /// Answers 304 to requests that know this tag.
    pub(crate) fn etag(mut self, tag: &str) -> Self {
        self.etag = Some(tag.to_owned());
        self
    }

    /// Declares another length than the body has.
    pub(crate) fn declare(mut self, length: usize) -> Self {
        self.declared = Some(length);
        self
    }

    /// Closes the connection after so many bytes of the body.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    pub(crate) fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends the body gzip encoded.
    pub(crate) fn gzip(mut self) -> Self {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.header("Content-Encoding", "gzip")
    }

    fn for_request(self, request: &Request) -> Self {
        let known = |ours: &Option<String>, header| {
            ours.is_some() && ours.as_deref() == request.header(header)
        };
        if known(&self.etag, "if-none-match") || known(&self.last_modified, "if-modified-since") {
            return Self {
                status: 304,
                ..Self::default()
            };
        }
        let Self {
            last_modified,
            etag,
            ..
        } = self.clone();
        let answer = last_modified
            .iter()
            .fold(self, |answer, date| answer.header("Last-Modified", date));
        etag.iter()
            .fold(answer, |answer, tag| answer.header("ETag", tag))
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<Request>>,
    active: AtomicUsize,
    most_active: AtomicUsize,
    connections: AtomicUsize,
}

/// The server; it ends with the value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::launch(None, Box::new(handler)).await
    }

    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Some(acceptor), Box::new(handler)).await
    }

    async fn launch(tls: Option<TlsAcceptor>, handler: Box<Handler>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler,
            requests: Mutex::default(),
            active: AtomicUsize::new(0),
            most_active: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self {
            address,
            scheme,
            shared,
            task,
        }
    }

    /// The URL of a path, by address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.address.port())
    }

    /// The URL of a path, by name.
    pub(crate) fn named_url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// Everything asked so far, and forgets it.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// The targets of everything asked so far, and forgets it.
    pub(crate) fn take_targets(&self) -> Vec<String> {
        let mut targets: Vec<String> = self
            .take_requests()
            .into_iter()
            .map(|request| request.target)
            .collect();
        targets.sort();
        targets
    }

    /// The most requests that were in the works at once.
    pub(crate) fn most_active(&self) -> usize {
        self.shared.most_active.load(Ordering::SeqCst)
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        shared.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            match tls {
                None => serve(stream, &shared).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &shared).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Serves a connection until one side ends it.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let request = read_request(&mut stream, &mut buffer).await?;
        shared.requests.lock().unwrap().push(request.clone());
        let active = shared.active.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_active.fetch_max(active, Ordering::SeqCst);
        let answer = (shared.handler)(&request).for_request(&request);
        tokio::time::sleep(answer.delay).await;
        shared.active.fetch_sub(1, Ordering::SeqCst);
        write_answer(&mut stream, &request, &answer).await?;
    }
}

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < head_end + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer.drain(..head_end + length).skip(head_end).collect();
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}

async fn write_answer(
    stream: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    answer: &Answer,
) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} Test\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let bare = request.method == "HEAD" || matches!(answer.status, 204 | 304);
    if !matches!(answer.status, 204 | 304) {
        let length = answer.declared.unwrap_or(answer.body.len()).to_string();
        head.extend(["Content-Length: ", &length, "\r\n"]);
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    let body = if bare { &[] } else { answer.body.as_slice() };
    let sent = answer.cut_after.unwrap_or(body.len()).min(body.len());
    stream.write_all(&body[..sent]).await.ok()?;
    stream.flush().await.ok()?;
    let lied = answer
        .declared
        .is_some_and(|declared| declared != body.len());
    if answer.cut_after.is_some() || lied {
        stream.shutdown().await.ok();
        return None;
    }
    Some(())
}

/// Files by target, to be changed while they are served; everything else is 404.
#[derive(Clone, Default)]
pub(crate) struct Site(Arc<Mutex<HashMap<String, Answer>>>);

impl Site {
    /// Puts an answer at a target.
    pub(crate) fn answer(&self, target: &str, answer: Answer) -> &Self {
        self.0.lock().unwrap().insert(target.to_owned(), answer);
        self
    }

    /// Puts a document with a `Last-Modified` of its own content.
    pub(crate) fn put(&self, target: &str, body: &str) -> &Self {
        let sum: u32 = body.bytes().fold(7, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let date = format!(
            "Mon, 01 Jan 2024 {:02}:{:02}:{:02} GMT",
            sum % 24,
            sum / 24 % 60,
            sum / 1440 % 60
        );
        self.answer(target, Answer::ok(body).last_modified(&date))
    }

    pub(crate) fn remove(&self, target: &str) {
        self.0.lock().unwrap().remove(target);
    }

    pub(crate) async fn serve(&self) -> Server {
        let files = Arc::clone(&self.0);
        Server::start(move |request| {
            let found = files.lock().unwrap().get(&request.target).cloned();
            found.unwrap_or_else(|| Answer::status(404))
        })
        .await
    }
}
