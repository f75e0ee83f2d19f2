//! The life of a token, look by look.

use std::collections::BTreeMap;

use super::{super::build::Wanted, *};

/// What is left after a look at this time.
struct Cluster {
    object: AccessToken,
    secret: Option<Secret>,
}

impl Cluster {
    fn new(spec: &Value) -> Self {
        let object = token(spec);
        Self {
            object,
            secret: None,
        }
    }

    fn request(&mut self, value: &str) {
        let annotations = self.object.metadata.annotations.get_or_insert_default();
        annotations.insert(ROTATE_REQUESTED_AT.to_owned(), value.to_owned());
    }

    fn put(&mut self, key: &str, text: &str) {
        let data = self.secret.as_mut().unwrap().data.as_mut().unwrap();
        data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
    }

    /// Looks at it. Returns the token, and the one before.
    fn look(&mut self, time: &str) -> (String, Option<String>) {
        let wanted = self.wanted(time);
        let mut secret = wanted.secret;
        secret.metadata.resource_version = Some("8".to_owned());
        self.secret = Some(secret);
        let text = |key: &str| self.text(key);
        (text("password").unwrap(), text("previous"))
    }

    fn wanted(&self, time: &str) -> Wanted {
        let found = found(self.secret.clone());
        let valid = validate(&self.object, &found);
        build(&self.object, &found, &valid, at(time))
            .unwrap()
            .unwrap()
    }

    fn text(&self, key: &str) -> Option<String> {
        let value = self.secret.as_ref()?.data.as_ref()?.get(key)?;
        Some(String::from_utf8(value.0.clone()).unwrap())
    }

    /// Ours of the annotations, without what they begin with.
    fn notes(&self) -> BTreeMap<String, String> {
        let secret = self.secret.as_ref().unwrap();
        let all = secret.metadata.annotations.clone().unwrap_or_default();
        let ours = all.into_iter().filter_map(|(key, value)| {
            let key = key.strip_prefix("package.broker/")?.to_owned();
            (key != "fingerprint").then_some((key, value))
        });
        ours.collect()
    }
}

fn notes(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_secret_says_since_when_there_is_the_token() {
    let mut cluster = Cluster::new(&json!({"ttl": "1h"}));
    let (made, _) = cluster.look("2026-01-01T00:00:00.7Z");
    let issued = notes(&[("issued-at", "2026-01-01T00:00:00Z")]);
    assert_eq!(cluster.notes(), issued);
    // A time that is there stays, also when the token's own is over.
    assert_eq!(cluster.look("2026-01-09T00:00:00Z").0, made);
    assert_eq!(cluster.notes(), issued);
    // Another token is as old as the first look at it.
    cluster.put("password", OWN);
    assert_eq!(cluster.look("2026-01-10T00:00:00Z").0, OWN);
    assert_eq!(
        cluster.notes(),
        notes(&[("issued-at", "2026-01-10T00:00:00Z")])
    );
    // Until that look, a broker does not get it: it would have no end.
    cluster.put("password", "another-token-that-is-long-enough");
    let judged = judge(&cluster.object, cluster.secret.as_ref());
    assert_eq!(judged.unwrap_err().reason, Reason::Progressing);
    cluster.look("2026-01-11T00:00:00Z");
    assert!(judge(&cluster.object, cluster.secret.as_ref()).is_ok());
}

#[test]
fn a_time_that_is_lost_is_found_again() {
    let mut cluster = Cluster::new(&json!({"ttl": "1h"}));
    cluster.look("2026-01-01T00:00:00Z");
    let hash = cluster.wanted("2026-01-01T00:00:00Z").token.hash;
    let strip = |cluster: &mut Cluster, made: &str| {
        let metadata = &mut cluster.secret.as_mut().unwrap().metadata;
        metadata.annotations = None;
        metadata.creation_timestamp = serde_json::from_value(json!(made)).unwrap();
    };
    // Of a release that wrote none.
    strip(&mut cluster, "2025-12-01T00:00:00Z");
    assert!(judge(&cluster.object, cluster.secret.as_ref()).is_ok());
    cluster.look("2026-02-01T00:00:00Z");
    assert_eq!(
        cluster.notes(),
        notes(&[("issued-at", "2025-12-01T00:00:00Z")])
    );
    // By the status, if that is about this token.
    for (fingerprint, expected) in [
        (hash.fingerprint(), "2026-01-07T00:00:00Z"),
        ("00000000".to_owned(), "2025-12-01T00:00:00Z"),
    ] {
        strip(&mut cluster, "2025-12-01T00:00:00Z");
        let status = json!({"fingerprint": fingerprint, "issuedAt": "2026-01-07T00:00:00Z"});
        cluster.object.status = serde_json::from_value(status).unwrap();
        cluster.look("2026-02-01T00:00:00Z");
        assert_eq!(cluster.notes(), notes(&[("issued-at", expected)]));
    }
}

#[test]
fn a_token_is_rotated_and_the_one_before_goes_on_for_the_overlap() {
    let mut cluster = Cluster::new(&json!({"rotation": {"interval": "48h", "overlap": "24h"}}));
    let (first, _) = cluster.look("2026-01-01T00:00:00Z");
    assert_eq!(cluster.look("2026-01-02T23:59:59Z"), (first.clone(), None));
    let wanted = cluster.wanted("2026-01-03T00:00:00Z");
    assert_eq!(
        wanted.secret.metadata.resource_version.as_deref(),
        Some("8")
    );
    let (second, previous) = cluster.look("2026-01-03T00:00:00Z");
    assert_ne!(second, first);
    assert_eq!(previous.as_ref(), Some(&first));
    let rotated = [
        ("issued-at", "2026-01-03T00:00:00Z"),
        ("rotated-at", "2026-01-03T00:00:00Z"),
    ];
    let overlapping = [
        rotated[0],
        ("previous-valid-until", "2026-01-04T00:00:00Z"),
        rotated[1],
    ];
    assert_eq!(cluster.notes(), notes(&overlapping));
    assert!(cluster.text("auth.json").unwrap().contains(&second));
    // Looked at again: the same, and nothing that would have it written anew.
    let again = cluster.wanted("2026-01-03T12:00:00Z").secret;
    assert_eq!(again.metadata.resource_version, None);
    assert_eq!(again.data, cluster.secret.as_ref().unwrap().data);
    assert_eq!(
        cluster.look("2026-01-03T23:59:59Z"),
        (second.clone(), Some(first))
    );
    assert_eq!(cluster.look("2026-01-04T00:00:00Z"), (second.clone(), None));
    assert_eq!(cluster.notes(), notes(&rotated));
    // Late, because nobody was there: the overlap begins when the new one is there.
    let (_, previous) = cluster.look("2026-03-01T00:00:00Z");
    assert_eq!(previous, Some(second));
    assert_eq!(
        cluster.notes()["previous-valid-until"],
        "2026-03-02T00:00:00Z"
    );
}

#[test]
fn a_token_that_leaked_is_gone_at_once() {
    let spec = json!({"rotation": {"interval": "48h", "overlap": "24h"}});
    let mut cluster = Cluster::new(&spec);
    cluster.look("2026-01-01T00:00:00Z");
    let (second, previous) = cluster.look("2026-01-03T00:00:00Z");
    assert!(previous.is_some());
    cluster.request("leaked");
    let (third, previous) = cluster.look("2026-01-03T01:00:00Z");
    assert!(third != second && previous.is_none());
    assert_eq!(cluster.notes()["last-handled-rotate-at"], "leaked");
    // Each value once, and what was done before stays known when the annotation goes.
    assert_eq!(cluster.look("2026-01-03T02:00:00Z").0, third);
    cluster.object.metadata.annotations = None;
    assert_eq!(cluster.look("2026-01-03T03:00:00Z").0, third);
    cluster.request("leaked");
    assert_eq!(cluster.look("2026-01-03T04:00:00Z").0, third);
    cluster.request("again");
    assert_ne!(cluster.look("2026-01-03T05:00:00Z").0, third);
}

/// A request that is there from the beginning asks for nothing that the first token is not.
#[test]
fn the_first_token_is_new_enough() {
    let mut cluster = Cluster::new(&json!({}));
    cluster.request("1");
    let (first, _) = cluster.look("2026-01-01T00:00:00Z");
    assert_eq!(cluster.look("2026-01-01T00:00:01Z").0, first);
}

#[test]
fn what_somebody_writes_beside_the_token_does_no_harm() {
    let spec = json!({"rotation": {"interval": "48h", "overlap": "24h"}});
    let rotated = || {
        let mut cluster = Cluster::new(&spec);
        cluster.look("2026-01-01T00:00:00Z");
        let (second, first) = cluster.look("2026-01-03T00:00:00Z");
        (cluster, second, first.unwrap())
    };
    // Back to the one before: then there is only that one.
    let (mut cluster, _, first) = rotated();
    cluster.put("password", &first);
    assert_eq!(cluster.look("2026-01-03T01:00:00Z"), (first, None));
    // No token at all.
    let (mut cluster, second, _) = rotated();
    cluster.put("previous", "short");
    assert_eq!(cluster.look("2026-01-03T01:00:00Z"), (second.clone(), None));
    assert!(!cluster.notes().contains_key("previous-valid-until"));
    // Emptied: a new one is made, and the one before is valid as long as it would have been.
    let (mut cluster, second, first) = rotated();
    cluster.put("password", "");
    let (third, previous) = cluster.look("2026-01-03T01:00:00Z");
    assert!(third != second && previous == Some(first));
    assert_eq!(
        cluster.notes()["previous-valid-until"],
        "2026-01-04T00:00:00Z"
    );
}
