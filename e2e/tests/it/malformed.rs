//! Requests that no client should send: each has its answer, and none is a failure of the server.

mod bodies;
mod framing;
mod heads;
mod paths;
mod queries;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use package_broker_e2e::http::{Answer, exchange_bytes, get};
use serde_json::json;

use crate::support::registry::{Registry, basic, manifests, secret};
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, json as json_of};

/// How a malformed request is answered.
#[derive(Debug, Clone, Copy)]
enum Says {
    /// As if it were well-formed, with this in the body.
    Served(&'static str),
    /// By us, with a `warning` that holds this.
    Warning(&'static str),
    /// By the HTTP parser, before there is a request: a status and nothing else.
    Parser,
}

/// A request: what is wrong with it, its bytes, the status and the text of its answer.
type Row<'r> = (&'r str, Vec<u8>, u16, Says);

/// A broker with `acme/lib`, whose repository claims `acme/*`.
struct Target {
    registry: Registry,
    _upstream: Upstream,
}

impl Target {
    fn start() -> Self {
        let upstream = Upstream::listed();
        upstream.release("acme/lib", "1.0.0");
        let include = json!({"packages": {"include": ["acme/*"]}});
        let all = manifests(&json!({}));
        let all = all.repository("team", "composer", &upstream.url(), &include);
        Self {
            registry: Registry::start(&all),
            _upstream: upstream,
        }
    }

    /// Sends every request, each over its own connection, and asks for something else after each.
    fn check(&self, rows: &[Row<'_>]) {
        for (what, request, status, says) in rows {
            let answer = exchange_bytes(self.registry.broker.url(), request);
            let answer = answer.unwrap_or_else(|error| panic!("{what}: {error:#}"));
            assert_says(what, &answer, *status, *says);
            self.assert_serving(what);
        }
        self.assert_never_failed();
    }

    fn assert_serving(&self, what: &str) {
        let root = self.registry.get("all", "/packages.json");
        assert_eq!(root.status, 200, "after {what}");
        assert_eq!(json_of(&root)["available-packages"], json!(["acme/lib"]));
    }

    /// By its own account, it never answered 5xx.
    fn assert_never_failed(&self) {
        let url = format!("{}/metrics", self.registry.broker.metrics_url());
        let metrics = get(&url, &[]).unwrap().text();
        assert!(metrics.contains("status=\"200\""), "{metrics}");
        assert!(!metrics.contains("status=\"5"), "{metrics}");
        let log = self.registry.broker.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Everything that comes back until the server closes the connection; with `end`, it is told that nothing more
    /// will come.
    fn exchange_to_the_end(&self, request: &[u8], end: bool) -> String {
        let host = self.registry.broker.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        stream
            .set_read_timeout(Some(crate::support::PATIENCE))
            .unwrap();
        stream.write_all(request).unwrap();
        if end {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        String::from_utf8_lossy(&answers).into_owned()
    }
}

fn assert_says(what: &str, answer: &Answer, status: u16, says: Says) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    match says {
        Says::Served(text) => assert!(
            answer.status < 400 && answer.text().contains(text),
            "{what}: {}",
            answer.text()
        ),
        Says::Warning(text) => {
            assert_problem(answer, status, what);
            let warning = json_of(answer)["warning"].clone();
            let warning = warning.as_str().unwrap();
            assert!(warning.contains(text), "{what}: {warning}");
            assert!(warning.len() < 400, "{what}: {} bytes", warning.len());
        }
        Says::Parser => assert_eq!(answer.text(), "", "{what}"),
    }
}

/// A request of one line, further header lines, and a body, with a valid token.
fn request(line: impl AsRef<[u8]>, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let authorization = basic("token", &secret("all"));
    let mut headers = headers.to_vec();
    let authorization = format!("Authorization: {authorization}");
    headers.push(&authorization);
    bare(line, &headers, body)
}

/// The same without a token.
fn bare(line: impl AsRef<[u8]>, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = line.as_ref().to_vec();
    bytes.extend_from_slice(b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// GET of that target.
fn asking(target: impl AsRef<[u8]>) -> Vec<u8> {
    let line = [b"GET ", target.as_ref(), b" HTTP/1.1"].concat();
    request(line, &[], b"")
}
