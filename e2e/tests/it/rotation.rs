//! Tokens of `run` that end and are replaced by themselves. What is said of their age is changed, as an hour is too long to
//! wait for.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::registry::{Registry, basic, manifests};

const ROOT: &str = "/packages.json";

/// The token in the `auth.json` of `team`.
fn token(registry: &Registry) -> String {
    registry.broker.credentials(Manifests::TOKEN).unwrap().1
}

fn status(registry: &Registry, token: &str) -> u16 {
    let call = registry.anonymous("GET", ROOT);
    let call = call.header("Authorization", &basic("token", token));
    call.send().unwrap().status
}

/// Has it started again with a token that was made so long ago.
fn as_old_as(registry: &mut Registry, age: Duration) {
    let file = registry.data().join("tokens/team/token.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut known: Value = serde_json::from_str(&text).unwrap();
    known["issuedAt"] = (Timestamp::now() - age).to_string().into();
    fs::write(&file, known.to_string()).unwrap();
    registry.restart();
}

fn with(spec: &Value) -> Manifests {
    manifests(&json!({})).patched("AccessToken", Manifests::TOKEN, spec)
}

/// The manifests with another value of the annotation that asks for a new token.
fn asking(manifests: &Manifests, value: &str) -> String {
    let text = manifests.text().unwrap();
    let name = format!("\"name\": \"{}\"", Manifests::TOKEN);
    let annotation =
        format!("\"annotations\": {{\"package.broker/rotate-requested-at\": \"{value}\"}}");
    // The first thing of that name is the token's metadata.
    text.replacen(&name, &format!("{annotation}, {name}"), 1)
}

#[test]
fn a_token_is_replaced_while_it_runs_and_both_are_valid_for_a_while() {
    let rotation = json!({"rotation": {"interval": "1h", "overlap": "10m"}});
    let mut registry = Registry::start(&with(&rotation));
    let first = token(&registry);
    as_old_as(&mut registry, Duration::from_secs(3_590));
    assert_eq!(
        (token(&registry), status(&registry, &first)),
        (first.clone(), 200)
    );
    let second = eventually("another token", || {
        Some(token(&registry)).filter(|now| *now != first)
    });
    eventually("the new token is taken", || {
        (status(&registry, &second) == 200).then_some(())
    });
    assert_eq!(status(&registry, &first), 200);
    // Also after a restart, and as long as it was said then.
    registry.restart();
    assert_eq!(token(&registry), second);
    assert_eq!(
        [status(&registry, &first), status(&registry, &second)],
        [200, 200]
    );
    registry.patch("AccessToken", Manifests::TOKEN, &json!({"suspend": true}));
    assert_eq!(
        [status(&registry, &first), status(&registry, &second)],
        [401, 401]
    );
    registry.patch("AccessToken", Manifests::TOKEN, &json!({"suspend": false}));
    assert_eq!(
        [status(&registry, &first), status(&registry, &second)],
        [200, 200]
    );
    // It leaked: nothing that was valid before is so now.
    registry.write(&asking(registry.manifests(), "leaked"));
    let third = eventually("a third token", || {
        let now = token(&registry);
        (now != second && status(&registry, &now) == 200).then_some(now)
    });
    assert_eq!(
        [status(&registry, &first), status(&registry, &second)],
        [401, 401]
    );
    registry.restart();
    assert_eq!(
        (token(&registry), status(&registry, &third)),
        (third.clone(), 200)
    );
}

#[test]
fn a_token_ends_when_it_is_too_old_and_is_made_anew_if_somebody_asks() {
    let mut registry = Registry::start(&with(&json!({"ttl": "1h"})));
    let first = token(&registry);
    assert_eq!(status(&registry, &first), 200);
    as_old_as(&mut registry, Duration::from_secs(3_590));
    eventually("its end", || {
        (status(&registry, &first) == 401).then_some(())
    });
    assert_eq!(token(&registry), first);
    registry.write(&asking(registry.manifests(), "1"));
    let second = eventually("another token", || {
        let now = token(&registry);
        (now != first && status(&registry, &now) == 200).then_some(now)
    });
    // A longer life does not bring back what was replaced.
    registry.patch("AccessToken", Manifests::TOKEN, &json!({"ttl": "100h"}));
    assert_eq!(
        [status(&registry, &first), status(&registry, &second)],
        [401, 200]
    );
}
