//! What is asked of upstreams, and what is said of them when they do not answer.

use std::time::Duration;

use package_broker_e2e::http::Response;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use crate::support::gate::Gate;
use crate::support::observer::Observer;
use crate::support::registry::{Registry, manifests, with_token};
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, json as json_of, versions};

/// Manifests with a mirror of `public`, and `more` in the spec of the broker.
fn mirroring(public: &Upstream, more: &serde_json::Value) -> Manifests {
    let packagist = json!({"packagist": {"enabled": true, "url": public.url()}});
    manifests(&packagist).patched("PackageBroker", Manifests::BROKER, more)
}

fn assert_cannot_tell(registry: &Registry, path: &str) {
    let answer = registry.get("all", path);
    assert_problem(&answer, 503, path);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

fn stable(registry: &Registry, package: &str) -> Vec<String> {
    let answer = registry.get("all", &format!("/p2/{package}.json"));
    assert_eq!(answer.status, 200, "{package}: {}", answer.text());
    versions(&json_of(&answer), package)
}

#[test]
fn sixteen_clients_make_one_pair_of_requests() {
    let public = Upstream::unlisted();
    public.release("globex/tool", "1.0.0");
    public.release("globex/slow", "1.0.0");
    let private = Upstream::unlisted();
    private.release("acme/lib", "1.0.0");
    let lazy = json!({"sync": {"mode": "lazy"}, "packages": {"include": ["acme/*"]}});
    let all = mirroring(&public, &json!({})).repository("team", "composer", &private.url(), &lazy);
    let registry = Registry::start(&all);
    for (upstream, package) in [(&public, "globex/tool"), (&private, "acme/lib")] {
        upstream.delay(Duration::from_millis(300));
        for answer in registry.together(16, "all", &format!("/p2/{package}.json")) {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(versions(&json_of(&answer), package), ["1.0.0"]);
        }
        stable(&registry, package);
        registry.get("all", &format!("/p2/{package}~dev.json"));
        for file in ["", "~dev"] {
            let path = format!("/p2/{package}{file}.json");
            assert_eq!(upstream.asked(&path), 1, "{path}");
        }
    }
    for answer in registry.together(16, "all", "/p2/globex/none.json") {
        assert_problem(&answer, 404, "globex/none");
    }
    assert_eq!(public.asked("/p2/globex/none.json"), 1);
}

/// Without a delay, packages are stored while some of the clients are still on their way.
#[test]
fn a_client_that_comes_just_as_a_name_was_read_asks_no_more() {
    let public = Upstream::unlisted();
    let registry = Registry::start(&mirroring(&public, &json!({})));
    for number in 0..12 {
        let (here, absent) = (
            format!("globex/tool{number}"),
            format!("globex/none{number}"),
        );
        public.release(&here, "1.0.0");
        for (package, status) in [(here, 200), (absent, 404)] {
            let path = format!("/p2/{package}.json");
            for answer in registry.together(16, "all", &path) {
                assert_eq!(answer.status, status, "{package}: {}", answer.text());
            }
            assert_eq!(public.asked(&path), 1, "{package}");
        }
    }
}

#[test]
fn owned_names_are_never_asked_of_the_mirror() {
    let public = Upstream::unlisted();
    let private = Upstream::listed();
    private.release("acme/lib", "1.0.0");
    for taken in [
        "acme/lib",
        "acme/none",
        "initech/tool",
        "initech/none",
        "solo/package",
    ] {
        public.release(taken, "99.0.0");
    }
    let owned = json!({"ownedNames": ["initech/*", "solo/package"]});
    let include = json!({"packages": {"include": ["acme/*"]}});
    let registry = Registry::start(&mirroring(&public, &owned).repository(
        "team",
        "composer",
        &private.url(),
        &include,
    ));
    assert_eq!(stable(&registry, "acme/lib"), ["1.0.0"]);
    for absent in [
        "acme/none",
        "initech/tool",
        "initech/none",
        "solo/package",
        "acme/a",
    ] {
        assert_eq!(
            stable(&registry, absent),
            <[String; 0]>::default(),
            "{absent}"
        );
        let dev = registry.get("all", &format!("/p2/{absent}~dev.json"));
        assert_eq!(dev.status, 200, "{absent}");
        let upper = format!("/p2/{}.json", absent.to_uppercase());
        assert_eq!(registry.get("all", &upper).status, 200, "{upper}");
        let archive = format!("/dist/{absent}/99.0.0.0/abc.zip");
        assert_problem(&registry.get("all", &archive), 404, &archive);
    }
    assert_eq!(registry.get("all", "/p2/other/none.json").status, 404);
    let asked: Vec<String> = public
        .server()
        .requests()
        .into_iter()
        .map(|r| r.path)
        .collect();
    let only = |path: &String| path == "/packages.json" || path.starts_with("/p2/other/none");
    assert!(asked.iter().all(only), "{asked:?}");
    assert!(
        asked.iter().any(|path| path == "/p2/other/none.json"),
        "{asked:?}"
    );
}

#[test]
fn a_mirror_that_is_down_is_not_absence() {
    let public = Upstream::unlisted();
    public.release("globex/tool", "1.0.0");
    let mut registry = Registry::start(&mirroring(&public, &json!({})));
    assert_eq!(stable(&registry, "globex/tool"), ["1.0.0"]);
    assert_problem(
        &registry.get("all", "/p2/globex/none.json"),
        404,
        "not there",
    );
    for status in [500, 401, 429] {
        public.fail("/p2/", status);
        let unknown = format!("globex/unknown{status}");
        assert_cannot_tell(&registry, &format!("/p2/{unknown}.json"));
        assert_cannot_tell(&registry, &format!("/p2/{unknown}~dev.json"));
        assert_cannot_tell(&registry, &format!("/dist/{unknown}/1.0.0.0/abc.zip"));
        assert_eq!(stable(&registry, "globex/tool"), ["1.0.0"], "{status}");
        assert_problem(&registry.get("all", "/p2/globex/none.json"), 404, "known");
    }
    public.disturb("/p2/", |_, _| {
        Response::new(200, "text/html", "<html>maintenance</html>")
    });
    assert_cannot_tell(&registry, "/p2/globex/unknown.json");
    // A new start asks nothing of what is stored.
    registry.restart();
    assert_eq!(stable(&registry, "globex/tool"), ["1.0.0"]);
    public.mend("/p2/");
    public.release("globex/unknown", "2.0.0");
    assert_eq!(stable(&registry, "globex/unknown"), ["2.0.0"]);
}

#[test]
fn a_private_repository_that_is_down_does_not_hand_its_names_on() {
    let (private, public) = (Upstream::unlisted(), Upstream::unlisted());
    public.release("globex/tool", "99.0.0");
    private.release("globex/tool", "1.0.0");
    private.fail("/p2/", 502);
    let registry = Registry::start(&mirroring(&public, &json!({})).repository(
        "team",
        "composer",
        &private.url(),
        &json!({"sync": {"mode": "lazy"}}),
    ));
    assert_cannot_tell(&registry, "/p2/globex/tool.json");
    assert_eq!(public.asked("/p2/"), 0);
    private.mend("/p2/");
    assert_eq!(stable(&registry, "globex/tool"), ["1.0.0"]);
    assert_eq!(public.asked("/p2/"), 0);
}

#[test]
fn a_token_of_one_repository_asks_only_that_one() {
    let (private, public) = (Upstream::unlisted(), Upstream::unlisted());
    private.release("globex/tool", "1.0.0");
    public.release("globex/tool", "2.0.0");
    let lazy = json!({"sync": {"mode": "lazy"}});
    let gone = Upstream::unlisted().url();
    let all = mirroring(&public, &json!({}))
        .repository("team", "composer", &private.url(), &lazy)
        .repository("gone", "composer", &gone, &lazy);
    let all = with_token(
        all,
        "narrow",
        &json!({"scopes": {"repositories": ["team"]}}),
    );
    let registry = Registry::start(&all);
    for package in ["other/none", "globex/tool"] {
        let answer = registry.get("narrow", &format!("/p2/{package}.json"));
        let expected = if package == "other/none" { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{package}");
    }
    assert_eq!(public.asked("/p2/"), 0);
}

#[test]
fn a_name_has_one_owner_and_it_moves_with_priority() {
    let (first, second) = (Upstream::listed(), Upstream::listed());
    first.release("acme/shared", "1.0.0");
    first.release("acme/first", "1.0.0");
    second.release("acme/shared", "2.0.0");
    second.release("acme/shared", "2.1.0");
    let priority = |number: i32| json!({"priority": number});
    let all = manifests(&json!({}))
        .repository("first", "composer", &first.url(), &priority(10))
        .repository("second", "composer", &second.url(), &priority(5));
    let mut registry = Registry::start(&all);
    let mut observer = Observer::default();
    let mut date = |registry: &Registry| {
        let path = "/p2/acme/shared.json";
        observer.look(registry, "all", path).unwrap()
    };
    assert_eq!(
        stable(&registry, "acme/shared"),
        ["1.0.0"],
        "no version is mixed in"
    );
    let old = date(&registry);
    let archive = registry.archive_of("all", "acme/shared", "1.0.0");
    assert_eq!(registry.get("all", &archive).status, 200);

    registry.patch("Repository", "second", &priority(20));
    assert_eq!(stable(&registry, "acme/shared"), ["2.1.0", "2.0.0"]);
    assert_eq!(stable(&registry, "acme/first"), ["1.0.0"]);
    let moved = date(&registry);
    assert!(moved > old);
    // Lock files that name it still install.
    assert_eq!(registry.get("all", &archive).status, 200);

    // A version that vanishes from the owner is not made up for by the other.
    second.remove("acme/shared");
    registry.sync("second");
    assert_eq!(stable(&registry, "acme/shared"), ["1.0.0"]);
    assert!(date(&registry) > moved);

    let without = registry.manifests().clone().without("Repository", "first");
    registry.edit(&without);
    assert_problem(
        &registry.get("all", "/p2/acme/first.json"),
        404,
        "its repository is gone",
    );
    let root = json_of(&registry.get("all", "/packages.json"));
    assert_eq!(root.get("available-packages"), None, "{root}");
}

#[test]
fn before_its_first_sync_a_repository_may_have_any_name() {
    let (slow, ready) = (Upstream::listed(), Upstream::listed());
    slow.release("acme/lib", "1.0.0");
    ready.release("globex/tool", "1.0.0");
    let gate = Gate::before(&slow, "/");
    gate.shut();
    let all = manifests(&json!({}))
        .repository("slow", "composer", &slow.url(), &json!({"priority": 1}))
        .repository("ready", "composer", &ready.url(), &json!({}));
    let registry = Registry::start_unready(&all);
    for path in [
        "/p2/acme/lib.json",
        "/p2/any/name.json",
        "/p2/globex/tool.json",
    ] {
        assert_cannot_tell(&registry, path);
    }
    gate.open();
    registry.wait_until_ready();
    assert_eq!(stable(&registry, "acme/lib"), ["1.0.0"]);
    assert_eq!(stable(&registry, "globex/tool"), ["1.0.0"]);
    assert_problem(
        &registry.get("all", "/p2/any/name.json"),
        404,
        "all are known",
    );
}

#[test]
fn a_repository_that_was_never_read_may_have_its_names() {
    let broken = Upstream::listed();
    broken.release("acme/lib", "1.0.0");
    broken.fail("/packages.json", 500);
    let include = json!({"packages": {"include": ["acme/*"]}});
    let all = manifests(&json!({})).repository("team", "composer", &broken.url(), &include);
    let mut registry = Registry::start(&all);
    assert_cannot_tell(&registry, "/p2/acme/lib.json");
    assert_cannot_tell(&registry, "/dist/acme/lib/1.0.0.0/abc.zip");
    assert_problem(
        &registry.get("all", "/p2/globex/tool.json"),
        404,
        "not its name",
    );
    broken.mend("/packages.json");
    registry.sync("team");
    assert_eq!(stable(&registry, "acme/lib"), ["1.0.0"]);

    // What was read once is served on, also when the upstream breaks and the broker restarts.
    broken.fail("/", 500);
    registry.restart_unready();
    assert_eq!(stable(&registry, "acme/lib"), ["1.0.0"]);
    let absent = registry.get("all", "/p2/acme/none.json");
    assert_eq!(json_of(&absent)["packages"]["acme/none"], json!([]));
}
