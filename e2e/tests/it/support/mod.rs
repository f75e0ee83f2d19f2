//! What the suites of the served protocol share: an upstream that changes and fails on demand, a
//! running broker with known tokens, and a look at answers that tells whether they may stand.

pub(crate) mod drivers;
pub(crate) mod gate;
pub(crate) mod hammer;
pub(crate) mod metrics;
pub(crate) mod observer;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod status;
pub(crate) mod upstream;

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use package_broker_e2e::http::Answer;
use serde_json::Value;
use sha1::{Digest, Sha1};

/// How long anything that has to happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `done` gives something; `what` is what did not happen in the end.
pub(crate) fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "never came: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The JSON body of an answer, whatever its encoding.
pub(crate) fn json(answer: &Answer) -> Value {
    let body = decoded(answer);
    serde_json::from_slice(&body).unwrap_or_else(|error| {
        let text = String::from_utf8_lossy(&body);
        panic!("status {}, {error}: {text}", answer.status)
    })
}

/// The body of an answer without its content encoding.
pub(crate) fn decoded(answer: &Answer) -> Vec<u8> {
    match answer.header("content-encoding") {
        None => answer.body.clone(),
        Some("gzip") => {
            let mut body = Vec::new();
            GzDecoder::new(answer.body.as_slice())
                .read_to_end(&mut body)
                .unwrap();
            body
        }
        Some("zstd") => zstd::decode_all(answer.body.as_slice()).unwrap(),
        Some(other) => panic!("nobody asked for {other}"),
    }
}

/// SHA-1 as `dist.shasum` has it.
pub(crate) fn sha1_of(bytes: &[u8]) -> String {
    hex::encode(Sha1::digest(bytes))
}

/// Fails unless the answer has that status and says why as clients show it (protocol A.4).
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{what}"
    );
    let warning = json(answer)["warning"].as_str().map(str::to_owned);
    assert!(
        warning.is_some_and(|warning| warning.len() > 10),
        "{what}: {}",
        answer.text()
    );
}

/// Pretty versions that a package document lists, expanded or not, in its order.
pub(crate) fn versions(document: &Value, package: &str) -> Vec<String> {
    let entries = document["packages"][package].as_array();
    let entries = entries.unwrap_or_else(|| panic!("{package} is not in {document}"));
    entries
        .iter()
        .map(|entry| entry["version"].as_str().unwrap().to_owned())
        .collect()
}
