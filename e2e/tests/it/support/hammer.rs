//! Clients that ask all the time while something changes, and note what they are told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use package_broker_e2e::http::{Answer, Call, Connection};

use super::observer::Observer;
use super::registry::{Registry, basic, secret};
use super::{decoded, eventually, json, versions};

/// Rounds that each client makes before a change, and again after it.
const ROUNDS: usize = 5;
/// Between two rounds: clients are many, processors are few.
const PAUSE: Duration = Duration::from_millis(5);
/// The rounds of a client that will make no more.
const ENDED: usize = usize::MAX;

/// A client that asks for the same paths again and again, over one connection.
pub(crate) struct Client {
    name: String,
    authorization: String,
    paths: Vec<String>,
}

impl Client {
    /// A client with a token of the registry.
    pub(crate) fn new(token: &str, paths: &[&str]) -> Self {
        Self::with_secret(token, &secret(token), paths)
    }

    /// A client of that name whose token is `secret`.
    pub(crate) fn with_secret(name: &str, secret: &str, paths: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            authorization: basic("token", secret),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    /// Asks until told to stop, or until its token is refused.
    fn ask(&self, url: &str, rounds: &AtomicUsize, stop: &AtomicBool) -> Result<Vec<Seen>> {
        let _end = OnDrop(|| rounds.store(ENDED, Ordering::SeqCst));
        let mut connection = Connection::open(url)?;
        let mut all: Vec<Seen> = self
            .paths
            .iter()
            .map(|path| Seen::nothing(self, path))
            .collect();
        while !stop.load(Ordering::SeqCst) {
            for seen in &mut all {
                let call = Call::new("GET", &format!("{url}{}", seen.path))
                    .header("Authorization", &self.authorization)
                    .header("Accept-Encoding", "gzip, zstd");
                let answer = connection.send(&call)?;
                let refused = answer.status == 401;
                seen.note(answer);
                if refused {
                    return Ok(all);
                }
            }
            rounds.fetch_add(1, Ordering::SeqCst);
            thread::sleep(PAUSE);
        }
        Ok(all)
    }
}

/// What a client was told of a path: every answer that differs from the one before.
pub(crate) struct Seen {
    client: String,
    path: String,
    answers: Vec<Answer>,
}

impl Seen {
    fn nothing(client: &Client, path: &str) -> Self {
        Self {
            client: client.name.clone(),
            path: path.to_owned(),
            answers: Vec::new(),
        }
    }

    fn note(&mut self, answer: Answer) {
        let same = |last: &Answer| {
            let date = |answer: &Answer| answer.header("last-modified").map(str::to_owned);
            last.status == answer.status && last.body == answer.body && date(last) == date(&answer)
        };
        if !self.answers.last().is_some_and(same) {
            self.answers.push(answer);
        }
    }

    fn told(&self, of: &dyn Fn(&str, &Answer) -> String) -> Vec<String> {
        let mut told: Vec<String> = self
            .answers
            .iter()
            .map(|answer| of(&self.path, answer))
            .collect();
        told.dedup();
        told
    }
}

/// Everything that clients were told while something changed.
pub(crate) struct Record(Vec<Seen>);

impl Record {
    /// Fails unless every client of that name was told exactly this of the path, in this order,
    /// in the words of [`summary`].
    #[track_caller]
    pub(crate) fn assert_told(&self, client: &str, path: &str, expected: &[&str]) {
        self.assert_told_as(client, path, expected, &summary);
    }

    /// The same in other words.
    #[track_caller]
    pub(crate) fn assert_told_as(
        &self,
        client: &str,
        path: &str,
        expected: &[&str],
        of: &dyn Fn(&str, &Answer) -> String,
    ) {
        let mut clients = 0;
        for seen in &self.0 {
            if seen.client == client && seen.path == path {
                assert_eq!(seen.told(of), expected, "{path} for {client}");
                clients += 1;
            }
        }
        assert!(clients > 0, "{client} never asked for {path}");
    }

    /// Fails unless clients of that name were told the same all the time, with the same dates.
    #[track_caller]
    pub(crate) fn assert_nothing_moved_for(&self, client: &str) {
        let own = self.0.iter().filter(|seen| seen.client == client);
        let moved: Vec<_> = own
            .map(|seen| (&seen.path, seen.told(&summary), seen.answers.len()))
            .collect();
        assert!(!moved.is_empty(), "{client} never asked");
        assert!(moved.iter().all(|(.., answers)| *answers == 1), "{moved:?}");
    }

    /// Nobody is told that the server failed, and no cache is misled.
    fn check(&self) {
        let mut observer = Observer::default();
        for (number, seen) in self.0.iter().enumerate() {
            let client = format!("{} ({number})", seen.client);
            for answer in &seen.answers {
                let (path, status) = (&seen.path, answer.status);
                assert!(status < 500, "{path} for {client}: {}", answer.text());
                if status == 200 && answer.header("last-modified").is_some() {
                    observer.note(&client, path, answer);
                }
            }
        }
    }
}

/// An answer in short: its status, and the names, versions or kind of bytes it holds.
pub(crate) fn summary(path: &str, answer: &Answer) -> String {
    let content = match path.split('/').nth(1) {
        _ if answer.status != 200 => String::new(),
        Some("packages.json") => {
            let root = json(answer);
            let names = root["available-packages"].as_array().cloned();
            let names = names.unwrap_or_default();
            let names: Vec<&str> = names.iter().filter_map(|name| name.as_str()).collect();
            names.join(" ")
        }
        Some("p2") => {
            let package = path.trim_start_matches("/p2/").trim_end_matches(".json");
            versions(&json(answer), package).join(" ")
        }
        _ => decoded(answer).get(..2).map_or(String::new(), |start| {
            String::from_utf8_lossy(start).into_owned()
        }),
    };
    format!("{} {content}", answer.status).trim_end().to_owned()
}

/// What clients are told who ask all the time while `change` happens; each of them asked before
/// it and asks after it. A connection that breaks, an answer of the kind 5xx, and anything that
/// would mislead a cache fail the test.
pub(crate) fn while_asked(
    registry: &mut Registry,
    clients: &[Client],
    change: impl FnOnce(&mut Registry),
) -> Record {
    let url = registry.broker.url().to_owned();
    let rounds: Vec<AtomicUsize> = clients.iter().map(|_| AtomicUsize::new(0)).collect();
    let stop = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let end = OnDrop(|| stop.store(true, Ordering::SeqCst));
        let asking: Vec<_> = clients
            .iter()
            .zip(&rounds)
            .map(|(client, rounds)| scope.spawn(|| client.ask(&url, rounds, &stop)))
            .collect();
        wait_for_more(&rounds);
        change(registry);
        wait_for_more(&rounds);
        drop(end);
        asking
            .into_iter()
            .flat_map(|client| client.join().unwrap().unwrap())
            .collect()
    });
    let record = Record(seen);
    record.check();
    record
}

fn wait_for_more(rounds: &[AtomicUsize]) {
    for client in rounds {
        let goal = client.load(Ordering::SeqCst).saturating_add(ROUNDS);
        eventually("more answers", || {
            (client.load(Ordering::SeqCst) >= goal).then_some(())
        });
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
