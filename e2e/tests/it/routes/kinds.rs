//! Every route, for every kind of token that has a scope, and for every scope.

use std::net::Ipv4Addr;

use package_broker_e2e::http::{Answer, Call};
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::{PACKAGES, World, assert_refused, routes, scopes};
use crate::support::decoded;
use crate::support::registry::{basic, secret, with_token};

/// A token of each scope that `run` made, one that has expired, and one that is going to be revoked.
fn with_kinds(mut all: Manifests) -> Manifests {
    for (name, scope, _) in scopes() {
        let made = json!({"brokerRef": {"name": Manifests::BROKER}, "scopes": scope});
        all = all.with("AccessToken", &format!("made-{name}"), &made);
        let expired = json!({"scopes": scope, "expiresAt": "2020-01-01T00:00:00Z"});
        all = with_token(all, &format!("expired-{name}"), &expired);
        all = with_token(all, &format!("revoked-{name}"), &json!({"scopes": scope}));
    }
    all
}

/// All packages, and all kinds of tokens.
fn world() -> World {
    let mut world = World::with(&PACKAGES.map(|(package, _)| package), with_kinds);
    let mut less = world.registry.manifests().clone();
    for (name, ..) in scopes() {
        let revoked = format!("revoked-{name}");
        let call = world.registry.call(&revoked, "GET", "/packages.json");
        assert_eq!(call.send().unwrap().status, 200, "{revoked}, before");
        less = less.without("AccessToken", &revoked);
    }
    world.registry.edit(&less);
    world
}

#[test]
fn expired_and_revoked_tokens_of_every_scope_are_refused_on_every_route() {
    let world = world();
    let archive = world.archive("acme/lib");
    let kinds = [("expired", "expired"), ("revoked", "not valid")];
    for (kind_number, (kind, reason)) in (1..).zip(kinds) {
        for (number, (scope, ..)) in (1..).zip(scopes()) {
            // Each from an address of its own: many failures of one are slowed down.
            let address = Ipv4Addr::new(127, 0, kind_number, number);
            for (method, path) in routes(&archive) {
                let what = format!("{method} {path}, {kind} token of the scope {scope}");
                let call = world
                    .registry
                    .call(&format!("{kind}-{scope}"), method, path);
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
