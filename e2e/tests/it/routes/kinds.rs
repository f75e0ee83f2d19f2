//! Every route, for every kind of token that has a scope, and for every scope.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use package_broker_e2e::http::{Answer, Call};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use super::{PACKAGES, World, assert_refused, routes, scopes};
use crate::support::decoded;
use crate::support::registry::{basic, secret, with_token};

const ROOT: &str = "/packages.json";

/// Of each scope: a token that `run` made, one that it may replace, one that has expired, and two that are going to be
/// revoked and suspended.
fn with_kinds(mut all: Manifests) -> Manifests {
    for (name, scope, _) in scopes() {
        let made = json!({"brokerRef": {"name": Manifests::BROKER}, "scopes": scope});
        all = all.with("AccessToken", &format!("made-{name}"), &made);
        let mut replaced = made;
        replaced["rotation"] = json!({"interval": "1h", "overlap": "10m"});
        all = all.with("AccessToken", &format!("replaced-{name}"), &replaced);
        let expired = json!({"scopes": scope, "expiresAt": "2020-01-01T00:00:00Z"});
        all = with_token(all, &format!("expired-{name}"), &expired);
        for kind in ["revoked", "suspended"] {
            all = with_token(all, &format!("{kind}-{name}"), &json!({"scopes": scope}));
        }
    }
    all
}

/// All packages, and all kinds of tokens.
fn world() -> World {
    let mut world = World::with(&PACKAGES.map(|(package, _)| package), with_kinds);
    let mut less = world.registry.manifests().clone();
    for (name, ..) in scopes() {
        let [revoked, suspended] = ["revoked", "suspended"].map(|kind| format!("{kind}-{name}"));
        for token in [&revoked, &suspended] {
            assert_eq!(world.registry.get(token, ROOT).status, 200, "{token}");
        }
        less = less.without("AccessToken", &revoked).patched(
            "AccessToken",
            &suspended,
            &json!({"suspend": true}),
        );
    }
    world.registry.edit(&less);
    world
}

/// Changes what `run` knows of the token of each scope that it replaces, and starts it again.
fn known_anew(world: &mut World, change: impl Fn(&mut Value)) {
    for (name, ..) in scopes() {
        let folder = world.registry.data().join("tokens");
        let file = folder.join(format!("replaced-{name}/token.json"));
        let mut known = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut known);
        fs::write(&file, known.to_string()).unwrap();
    }
    world.registry.restart();
}

/// Has a token of each scope replaced, and the time pass in which the one before is valid too. Returns those before.
fn replace(world: &mut World) -> Vec<String> {
    let present = |world: &World| {
        let names = scopes().map(|(name, ..)| format!("replaced-{name}"));
        names.map(|name| world.registry.broker.credentials(&name).unwrap().1)
    };
    let status = |world: &World, secret: &str| ask(world, "GET", ROOT, secret).status;
    let before = present(world);
    let long_ago = (Timestamp::now() - Duration::from_hours(2)).to_string();
    known_anew(world, |known| known["issuedAt"] = json!(long_ago));
    for (old, new) in before.iter().zip(present(world)) {
        assert_ne!(*old, new);
        assert_eq!([status(world, old), status(world, &new)], [200, 200]);
    }
    let over = (Timestamp::now() - Duration::from_secs(1)).to_string();
    known_anew(world, |known| {
        assert!(known["previous"]["validUntil"].is_string());
        known["previous"]["validUntil"] = json!(over);
    });
    for new in present(world) {
        assert_eq!(status(world, &new), 200);
    }
    before.to_vec()
}

#[test]
fn tokens_of_every_scope_that_are_valid_no_more_are_refused_on_every_route() {
    let mut world = world();
    let replaced = replace(&mut world);
    let archive = world.archive("acme/lib");
    let kinds = [
        ("expired", "expired"),
        ("revoked", "not valid"),
        ("suspended", "not valid"),
        ("replaced", "not valid"),
    ];
    for (kind_number, (kind, reason)) in (1..).zip(kinds) {
        for ((number, (scope, ..)), replaced) in (1..).zip(scopes()).zip(&replaced) {
            let secret = match kind {
                "replaced" => replaced.clone(),
                kind => secret(&format!("{kind}-{scope}")),
            };
            let authorization = basic("token", &secret);
            // Each from an address of its own: many failures of one are slowed down.
            let address = Ipv4Addr::new(127, 0, kind_number, number);
            for (method, path) in routes(&archive) {
                let what = format!("{method} {path}, {kind} token of the scope {scope}");
                let call = world.registry.anonymous(method, path);
                let call = call.header("Authorization", &authorization);
                let answer = call.from(address).send().unwrap();
                assert_refused(&answer, method, reason, &what);
            }
        }
    }
}

#[test]
fn a_token_that_run_made_and_one_from_a_secret_are_answered_by_their_scope_on_every_route() {
    let world = world();
    let archives = PACKAGES.map(|(package, _)| world.archive(package));
    for (scope, _, readable) in scopes() {
        let made = format!("made-{scope}");
        let (_, made) = world.registry.broker.credentials(&made).unwrap();
        for ((package, _), archive) in PACKAGES.iter().zip(&archives) {
            let visible = readable.contains(package);
            let named = visible || package.starts_with("acme/");
            for (method, path, found) in asked(package, archive, named, visible) {
                let [brought, made] = [secret(scope), made.clone()].map(|secret| {
                    let answer = ask(&world, method, &path, &secret);
                    let what = format!("{method} {path} for {scope}");
                    assert_eq!(answer.status, if found { 200 } else { 404 }, "{what}");
                    (
                        decoded(&answer),
                        answer.header("content-length").map(str::to_owned),
                    )
                });
                assert_eq!(brought, made, "{method} {path} for {scope}");
            }
        }
    }
}

/// Every route that may show something of a package, with whether it is there.
fn asked(
    package: &str,
    archive: &str,
    named: bool,
    visible: bool,
) -> Vec<(&'static str, String, bool)> {
    let paths = [
        ("/packages.json".to_owned(), true),
        (format!("/p2/{package}.json"), named),
        (format!("/p2/{package}~dev.json"), named),
        (archive.to_owned(), visible),
        (format!("/list.json?filter={package}"), true),
        (format!("/search.json?q={package}"), true),
    ];
    let read = paths
        .into_iter()
        .flat_map(|(path, found)| [("GET", path.clone(), found), ("HEAD", path, found)]);
    read.chain([("POST", "/notify-batch".to_owned(), true)])
        .collect()
}

fn ask(world: &World, method: &str, path: &str, secret: &str) -> Answer {
    let call: Call = world.registry.anonymous(method, path);
    let call = call.header("Authorization", &basic("token", secret));
    let note = json!({"downloads": [{"name": "acme/lib", "version": "1.0.0.0"}]});
    let call = if method == "POST" {
        call.body(note.to_string())
    } else {
        call
    };
    call.send().unwrap()
}
