//! What a sync does to what is served: nothing that was good goes, and nothing is said that is not known.

mod selection;
mod wanted;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use package_broker_e2e::http::{HttpServer, Response, get};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::registry::{Registry, archive_in, manifests, with_token};
use crate::support::upstream::{Upstream, archive};
use crate::support::{assert_problem, eventually, json as json_of, sha1_of};

/// Manifests with one repository `team` that reads `upstream`.
fn reading(upstream: &Upstream, spec: &Value) -> Manifests {
    manifests(&json!({})).repository("team", "composer", &upstream.url(), spec)
}

/// Has a repository synced now, which has to fail.
fn sync_in_vain(registry: &mut Registry, repository: &str, attempt: u32) {
    let words = ["sync failed", &format!("repository={repository}")];
    let before = registry.said(&words);
    let timeout = json!({"sync": {"timeout": format!("{}s", 500 + attempt)}});
    registry.patch("Repository", repository, &timeout);
    eventually("the failure of the sync", || {
        (registry.said(&words) > before).then_some(())
    });
}

fn status(registry: &Registry, token: &str, path: &str) -> u16 {
    registry.get(token, path).status
}

#[test]
fn one_package_that_cannot_be_read_keeps_nobody_from_the_others() {
    let upstream = Upstream::listed();
    for package in ["acme/lib", "acme/bad", "acme/log"] {
        upstream.release(package, "1.0.0");
    }
    upstream.disturb("/p2/acme/bad", |_, _| {
        Response::new(200, "text/html", "<html>maintenance</html>")
    });
    let mut registry = Registry::start(&reading(&upstream, &json!({})));
    for _ in 0..2 {
        for package in ["acme/lib", "acme/log"] {
            assert_eq!(registry.document("all", package).len(), 1);
        }
        assert_problem(&registry.get("all", "/p2/acme/bad.json"), 503, "unread");
        // The repository said which names it has: all others are known to be absent.
        assert_problem(&registry.get("all", "/p2/globex/none.json"), 404, "absent");
        let root = json_of(&registry.get("all", "/packages.json"));
        let names = json!(["acme/bad", "acme/lib", "acme/log"]);
        assert_eq!(root["available-packages"], names);
        registry.restart_unready();
        registry.wait_until_ready();
    }
    upstream.mend("/p2/acme/bad");
    assert_eq!(
        registry.document("all", "acme/bad").len(),
        1,
        "read when it is asked for"
    );
}

#[test]
fn a_package_that_fails_for_a_while_stays_as_it_was() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.release("acme/log", "1.0.0");
    let mut registry = Registry::start(&reading(&upstream, &json!({})));
    // Listed, and yet not there: as in the middle of a deployment.
    upstream.fail("/p2/acme/lib", 404);
    upstream.release("acme/log", "2.0.0");
    sync_in_vain(&mut registry, "team", 1);
    assert_eq!(registry.document("all", "acme/lib").len(), 1);
    assert_eq!(registry.document("all", "acme/log").len(), 2);
    // In the end it is believed.
    sync_in_vain(&mut registry, "team", 2);
    registry.sync("team");
    assert_problem(&registry.get("all", "/p2/acme/lib.json"), 404, "gone");
}

#[test]
fn a_new_repository_takes_nothing_from_clients_while_it_is_read() {
    let (old, slow) = (Upstream::listed(), Upstream::listed());
    old.release("acme/lib", "1.0.0");
    slow.release("acme/new", "1.0.0");
    let gate = Gate::before(&slow, "/");
    gate.shut();
    let mut registry = Registry::start(&reading(&old, &json!({})));
    let more = registry.manifests().clone().repository(
        "before-team",
        "composer",
        &slow.url(),
        &json!({"priority": 9}),
    );
    registry.edit(&more);
    assert_eq!(registry.document("all", "acme/lib").len(), 1);
    assert_problem(
        &registry.get("all", "/p2/acme/new.json"),
        503,
        "not known yet",
    );
    let ready = get(&format!("{}/readyz", registry.broker.metrics_url()), &[]).unwrap();
    assert_eq!(ready.status, 200, "{}", ready.text());
    gate.open();
    eventually("the new package", || {
        (status(&registry, "all", "/p2/acme/new.json") == 200).then_some(())
    });
}

/// A repository with its packages in the root file, as Satis can write it.
fn inline(packages: &[&str]) -> HttpServer {
    let entry =
        |name: &str| json!({"1.0.0": {"name": name, "version": "1.0.0", "type": "metapackage"}});
    let packages: serde_json::Map<String, Value> = packages
        .iter()
        .map(|name| ((*name).to_owned(), entry(name)))
        .collect();
    let body = json!({"packages": packages}).to_string();
    HttpServer::start(move |request| {
        if request.header("if-none-match").is_some() {
            return Response::not_modified();
        }
        Response::new(200, "application/json", body.clone()).with_header("ETag", "\"1\"")
    })
    .unwrap()
}

#[test]
fn from_lazy_to_eager_nothing_stays_hidden() {
    let upstream = inline(&["acme/asked", "acme/other"]);
    let lazy = json!({"sync": {"mode": "lazy"}});
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &lazy);
    let mut registry = Registry::start(&all);
    registry.document("all", "acme/asked");
    registry.patch("Repository", "team", &json!({"sync": {"mode": "eager"}}));
    registry.sync("team");
    for package in ["acme/asked", "acme/other"] {
        assert_eq!(registry.document("all", package).len(), 1, "{package}");
    }
}

#[test]
fn names_that_become_ours_are_asked_of_the_mirror_no_more() {
    let public = Upstream::unlisted();
    public.release("acme/taken", "99.0.0");
    public.release("globex/tool", "1.0.0");
    let packagist = json!({"packagist": {"enabled": true, "url": public.url()}});
    let mut registry = Registry::start(&manifests(&packagist));
    for package in ["acme/taken", "globex/tool"] {
        assert_eq!(registry.document("all", package).len(), 1);
    }
    registry.patch(
        "PackageBroker",
        Manifests::BROKER,
        &json!({"ownedNames": ["acme/*"]}),
    );
    let asked = public.asked("/p2/acme/taken");
    // A change of how sources are reached has everything read again.
    let words = ["synced", "repository=_packagist"];
    let before = registry.said(&words);
    let again = json!({"sync": {"perHost": 3}});
    registry.patch("PackageBroker", Manifests::BROKER, &again);
    eventually("the sync of the mirror", || {
        (registry.said(&words) > before).then_some(())
    });
    assert!(registry.document("all", "acme/taken").is_empty());
    assert_eq!(registry.document("all", "globex/tool").len(), 1);
    assert_eq!(public.asked("/p2/acme/taken"), asked);
}

#[test]
fn an_archive_that_was_served_stays_when_its_source_packs_it_anew() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let mut registry = Registry::start(&reading(&upstream, &json!({})));
    let path = registry.archive_of("all", "acme/lib", "1.0.0");
    let first = registry.get("all", &path).body;
    upstream.withdraw("acme/lib", "1.0.0");
    upstream.publish(
        "acme/lib",
        "1.0.0",
        &archive("acme/lib", "1.0.0", 500),
        true,
    );
    registry.sync("team");
    let versions = registry.document("all", "acme/lib");
    assert_eq!(archive_in(&versions[0]), path);
    let again = registry.get("all", &path).body;
    assert_eq!(again, first);
    assert_eq!(versions[0]["dist"]["shasum"], sha1_of(&again));
}

#[test]
fn a_new_public_url_reaches_what_is_being_read() {
    let upstream = Upstream::listed();
    let names: Vec<String> = (0..60).map(|number| format!("acme/p{number}")).collect();
    for name in &names {
        upstream.release(name, "1.0.0");
    }
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    upstream.disturb("/p2/", move |_, response| {
        thread::sleep(Duration::from_millis(20));
        count.fetch_add(1, Ordering::SeqCst);
        response
    });
    let mut registry = Registry::start_unready(&reading(&upstream, &json!({})));
    eventually("some of the packages", || {
        (read.load(Ordering::SeqCst) >= 30).then_some(())
    });
    let url = json!({"externalUrl": "https://elsewhere.example.com"});
    registry.patch("PackageBroker", Manifests::BROKER, &url);
    registry.wait_until_ready();
    for name in &names {
        let versions = registry.document("all", name);
        let url = versions[0]["dist"]["url"].as_str().unwrap();
        assert!(
            url.starts_with("https://elsewhere.example.com/dist/"),
            "{url}"
        );
    }
}

#[test]
fn what_is_hidden_fails_no_differently_from_what_is_not_there() {
    let (core, broken) = (Upstream::listed(), Upstream::unlisted());
    core.release("globex/hidden", "1.0.0");
    let lazy = json!({"sync": {"mode": "lazy"}, "priority": 1});
    let below = json!({"sync": {"mode": "lazy"}, "priority": -1});
    let all = manifests(&json!({}))
        .repository("core", "composer", &core.url(), &json!({}))
        .repository("above", "composer", &broken.url(), &lazy)
        .repository("below", "composer", &broken.url(), &below);
    let all = with_token(
        all,
        "below",
        &json!({"scopes": {"repositories": ["below"]}}),
    );
    let all = with_token(all, "nothing", &json!({"scopes": {"packages": ["none/*"]}}));
    let registry = Registry::start(&all);
    for fails in [false, true] {
        if fails {
            broken.fail("/p2/", 500);
        }
        for token in ["below", "nothing"] {
            for (hidden, absent) in [
                ("/p2/globex/hidden.json", "/p2/globex/absent.json"),
                (
                    "/dist/globex/hidden/1.0.0.0/abc.zip",
                    "/dist/globex/absent/1.0.0.0/abc.zip",
                ),
            ] {
                let answers = [hidden, absent].map(|path| status(&registry, token, path));
                assert_eq!(answers[0], answers[1], "{token} {hidden} {fails}");
            }
        }
    }
}

#[test]
fn as_many_repositories_are_synced_at_once_as_the_broker_says() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let gate = Gate::before(&upstream, "/packages.json");
    gate.shut();
    let mut all = manifests(&json!({"sync": {"maxConcurrent": 2}}));
    for number in 0..6 {
        let name = format!("team-{number}");
        all = all.repository(&name, "composer", &upstream.url(), &json!({}));
    }
    let mut registry = Registry::start_unready(&all);
    gate.wait_for(2);
    assert_eq!(gate.arrived(), 2);
    // While they wait, more may come.
    let more = json!({"sync": {"maxConcurrent": 5}});
    registry.patch("PackageBroker", Manifests::BROKER, &more);
    gate.wait_for(5);
    assert_eq!(gate.arrived(), 5);
    gate.open();
    registry.wait_until_ready();
    assert_eq!(registry.document("all", "acme/lib").len(), 1);
}
