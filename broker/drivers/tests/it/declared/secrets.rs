//! A credential is nowhere to be seen: not on the disk, not in logs, not in what is shown.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use package_broker_core::domain::keyring::KeyRing;
use secrecy::ExposeSecret;

use super::{Place, team};
use crate::support::log::Log;

/// What is looked for. Its length is a multiple of 3, so that its base64 is the same wherever it stands alone.
const MARKER: &str = "marker-of-a-secret-nobody-may-see";

fn holds(dump: &[u8], text: &str) -> bool {
    dump.windows(text.len())
        .any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

/// Whether the marker is there as text, or in one of the ways that bytes are written as text.
fn shows_marker(dump: &[u8]) -> bool {
    [
        MARKER.to_owned(),
        hex::encode(MARKER),
        STANDARD_NO_PAD.encode(MARKER),
        format!("{:?}", MARKER.as_bytes())
            .trim_matches(['[', ']'])
            .to_owned(),
    ]
    .iter()
    .any(|text| holds(dump, text))
}

#[tokio::test]
async fn the_disk_never_has_it_in_clear() {
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let service = place.service(&old);
        service.declare(&[team("team", MARKER)]).await.unwrap();
        let new = old.with_new_primary().unwrap();
        let rotation = place.service(&new).rotate(|_| ()).await.unwrap();
        assert_eq!(rotation.resealed, 1);
        let dump = place.dump();
        assert!(!shows_marker(&dump));
        // The search finds what is there.
        assert!(holds(&dump, "composer.example.com"));
        let mut clear = team("clear", MARKER);
        clear.url = format!("https://{MARKER}.example.com");
        service.declare_one(&clear).await.unwrap();
        assert!(shows_marker(&place.dump()));
    }
}

#[tokio::test]
async fn keys_are_not_in_the_database() {
    for place in Place::each().await {
        let keys = KeyRing::generate().unwrap();
        let service = place.service(&keys);
        service.declare(&[team("team", MARKER)]).await.unwrap();
        let text = keys.to_text();
        let key = text.expose_secret().trim().rsplit(' ').next().unwrap();
        let raw = base64::engine::general_purpose::STANDARD
            .decode(key)
            .unwrap();
        let dump = place.dump();
        assert!(!holds(&dump, key) && !holds(&dump, &hex::encode(&raw)));
        assert!(!dump.windows(raw.len()).any(|window| window == raw));
    }
}

#[tokio::test]
async fn nothing_that_is_shown_or_logged_has_it() {
    let log = Log::start();
    let mut shown = Vec::new();
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let service = place.service(&old);
        let all = [team("team", MARKER), team("other", MARKER)];
        shown.push(format!("{:?}", service.declare(&all).await.unwrap()));
        shown.push(format!("{:?}", service.load().await.unwrap()));
        let new = old.with_new_primary().unwrap();
        let after = place.service(&new);
        shown.push(format!("{:?} {new:?}", after.rotate(|_| ()).await.unwrap()));
        shown.push(format!("{:?}", after.keys_in_use().await.unwrap()));
        let loaded = service.load().await.unwrap();
        assert_eq!(loaded.problems.len(), 2);
        shown.push(format!("{loaded:?} {}", loaded.problems[0]));
        shown.push(format!("{:?}", place.database.declared().await.unwrap()));
        let twice = [all[0].clone(), all[0].clone()];
        let error = after.declare(&twice).await.unwrap_err();
        shown.push(format!("{error:?} {error}"));
        let mut large = team("large", &MARKER.repeat(100_000));
        large.priority = 1;
        let error = after.declare_one(&large).await.unwrap_err();
        shown.push(format!("{error:?} {error}"));
    }
    let shown = shown.join("\n");
    assert!(!shows_marker(shown.as_bytes()));
    assert!(shown.contains("password"), "the names of keys are shown");
    let lines = log.lines().join("\n");
    assert!(
        lines.contains("credentials sealed with another key"),
        "{lines}"
    );
    assert!(!shows_marker(lines.as_bytes()));
}
