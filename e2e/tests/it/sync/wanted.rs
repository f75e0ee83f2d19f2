//! What a Repository says of whether and how it is to be synced: `spec.sync.mode` and `spec.suspend`.

use package_broker_e2e::http::{Request, Response};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use super::reading;
use crate::support::registry::{Registry, manifests};
use crate::support::status::status_of;
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, eventually};

/// The root file with patterns of the names that there are, as some registries have it.
fn with_patterns(_: &Request, mut response: Response) -> Response {
    if let Ok(mut root) = serde_json::from_slice::<Value>(&response.body) {
        root["available-package-patterns"] = json!(["acme/*"]);
        response.body = root.to_string().into_bytes();
    }
    response
}

#[test]
fn what_has_no_list_of_its_packages_cannot_be_read_ahead() {
    let eager = json!({"sync": {"mode": "eager"}, "packages": {"include": ["acme/*"]}});
    for has_patterns in [false, true] {
        let upstream = Upstream::unlisted();
        upstream.release("acme/lib", "1.0.0");
        if has_patterns {
            upstream.disturb("/packages.json", with_patterns);
        }
        let mut registry = Registry::start(&reading(&upstream, &eager));
        let status = status_of(&registry, "team", "Failing");
        let message = format!(
            "{} publishes no list of its packages, so it cannot be synced ahead; \
             set spec.sync.mode to lazy, or leave it out",
            upstream.url()
        );
        assert_eq!(status["failure"]["message"], message, "{status}");
        assert_problem(&registry.get("all", "/p2/acme/lib.json"), 503, "unread");
        assert_eq!(upstream.asked("/p2/"), 0);
        // As it was told.
        registry.patch("Repository", "team", &json!({"sync": {"mode": "lazy"}}));
        registry.sync("team");
        assert_eq!(registry.document("all", "acme/lib").len(), 1);
    }
}

#[test]
fn a_suspended_repository_is_not_read_and_what_it_had_is_served() {
    let (team, lazy, other) = (Upstream::listed(), Upstream::unlisted(), Upstream::listed());
    team.release("acme/lib", "1.0.0");
    lazy.release("globex/tool", "1.0.0");
    other.release("initech/kit", "1.0.0");
    let asked = || [&team, &lazy].map(|upstream| upstream.server().requests().len());
    // One is synced at a time, `z` after the others.
    let all = manifests(&json!({"sync": {"maxConcurrent": 1}}))
        .repository("team", "composer", &team.url(), &json!({}))
        .repository(
            "lazy",
            "composer",
            &lazy.url(),
            &json!({"sync": {"mode": "lazy"}}),
        )
        .repository("z", "composer", &other.url(), &json!({}));
    let mut registry = Registry::start(&all);
    let paths = ["acme/lib", "globex/tool"].map(|name| registry.archive_of("all", name, "1.0.0"));
    let archives = paths.each_ref().map(|path| registry.get("all", path).body);
    let suspended = ["team", "lazy"].iter().fold(all.clone(), |all, name| {
        all.patched("Repository", name, &json!({"suspend": true}))
    });
    registry.edit(&suspended);
    let before = asked();
    team.release("acme/lib", "2.0.0");
    lazy.release("globex/new", "1.0.0");
    for restarts in [false, true] {
        if restarts {
            registry.restart();
        }
        // A change of how sources are reached has everything read again.
        let words = ["synced", "repository=z"];
        let synced = registry.said(&words);
        let again = json!({"sync": {"perHost": if restarts { 3 } else { 4 }}});
        registry.patch("PackageBroker", Manifests::BROKER, &again);
        eventually("the sync of the other", || {
            (registry.said(&words) > synced).then_some(())
        });
        for package in ["acme/lib", "globex/tool"] {
            assert_eq!(registry.document("all", package).len(), 1, "{package}");
        }
        for (path, archive) in paths.iter().zip(&archives) {
            assert!(registry.get("all", path).body == *archive, "{path}");
        }
        assert_problem(&registry.get("all", "/p2/globex/new.json"), 404, "unread");
        assert_eq!(asked(), before, "restarted: {restarts}");
    }
    registry.edit(&all);
    registry.sync("team");
    assert_eq!(registry.document("all", "acme/lib").len(), 2);
    assert_eq!(registry.document("all", "globex/new").len(), 1);
}
