//! Looks at documents as clients with a cache do, and fails when a cache would be misled.
//!
//! A client keeps a document under its URL and the `Last-Modified` it came with, also when its
//! token is replaced (protocol A.5). So one URL and one date must mean one content for every
//! token and for ever, and what a token sees must move to a later date whenever it changes.

use std::collections::HashMap;

use package_broker_e2e::http::Answer;

use super::registry::Registry;
use super::{decoded, json};

/// Everything seen so far.
#[derive(Default)]
pub(crate) struct Observer {
    contents: HashMap<(String, String), Vec<u8>>,
    latest: HashMap<(String, String), (HttpDate, Vec<u8>)>,
}

impl Observer {
    /// Looks at a path as a token. The date, unless there is no such document.
    pub(crate) fn look(
        &mut self,
        registry: &Registry,
        token: &str,
        path: &str,
    ) -> Option<HttpDate> {
        let answer = registry.get(token, path);
        match answer.status {
            200 => Some(self.note(token, path, &answer)),
            404 => None,
            status => panic!("{path} for {token}: {status} {}", answer.text()),
        }
    }

    /// Every path as every token; fails when some document is missing.
    pub(crate) fn look_around(
        &mut self,
        registry: &Registry,
        tokens: &[&str],
        paths: &[&str],
    ) -> Vec<HttpDate> {
        let pairs = tokens
            .iter()
            .flat_map(|token| paths.iter().map(move |path| (token, path)));
        pairs
            .map(|(token, path)| self.look(registry, token, path).unwrap())
            .collect()
    }

    /// Takes a document that a token was answered with; its date.
    pub(crate) fn note(&mut self, token: &str, path: &str, answer: &Answer) -> HttpDate {
        let text = answer.header("last-modified").unwrap().to_owned();
        let date = HttpDate::parse(&text);
        // Compared as values: an encoding may differ, what it says may not.
        json(answer);
        let body = decoded(answer);
        let known = self
            .contents
            .entry((path.to_owned(), text.clone()))
            .or_insert_with(|| body.clone());
        assert_eq!(
            String::from_utf8_lossy(known),
            String::from_utf8_lossy(&body),
            "two contents of {path} with the date {text}, the second seen by {token}"
        );
        let key = (token.to_owned(), path.to_owned());
        if let Some((before, content)) = self.latest.get(&key) {
            assert!(
                date >= *before,
                "{path} for {token} went back from {before:?} to {date:?}"
            );
            assert!(
                date > *before || *content == body,
                "{path} for {token} changed without a later date"
            );
        }
        self.latest.insert(key, (date.clone(), body));
        date
    }
}

/// An HTTP date that can be compared: year, month, day, time of day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HttpDate(u32, usize, u32, String);

impl HttpDate {
    /// Reads `Tue, 24 Nov 2026 10:00:00 GMT`; any other form fails the test.
    pub(crate) fn parse(text: &str) -> Self {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        let words: Vec<&str> = text.split(' ').collect();
        let [_, day, month, year, time, "GMT"] = words[..] else {
            panic!("not an HTTP date: {text}")
        };
        let month = MONTHS.find(month).unwrap() / 3;
        Self(
            year.parse().unwrap(),
            month,
            day.parse().unwrap(),
            time.to_owned(),
        )
    }
}
