//! Manifests that change under a running broker, while clients ask.

mod mistakes;
mod sources;

use package_broker_e2e::http::Answer;
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::support::hammer::{Client, while_asked};
use crate::support::registry::{Registry, basic, manifests, secret, with_token};
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, decoded, eventually, json as json_of};

const LIB: &str = "/p2/acme/lib.json";
const LOG: &str = "/p2/acme/log.json";
const TOOL: &str = "/p2/globex/tool.json";
const ROOT: &str = "/packages.json";

/// `acme/lib` and `acme/log` in the repository `team`, which claims `acme/*`; `globex/tool` in
/// `other`.
struct World {
    registry: Registry,
    lib: String,
    log: String,
    tool: String,
    _upstreams: [Upstream; 2],
}

impl World {
    fn start(more: impl FnOnce(Manifests) -> Manifests) -> Self {
        let upstreams = [Upstream::listed(), Upstream::listed()];
        upstreams[0].release("acme/lib", "1.0.0");
        upstreams[0].release("acme/log", "1.0.0");
        upstreams[1].release("globex/tool", "1.0.0");
        let include = json!({"packages": {"include": ["acme/*"]}});
        let all = manifests(&json!({}))
            .repository("team", "composer", &upstreams[0].url(), &include)
            .repository("other", "composer", &upstreams[1].url(), &json!({}));
        let registry = Registry::start(&more(all));
        let archive = |package| registry.archive_of("all", package, "1.0.0");
        let [lib, log, tool] = ["acme/lib", "acme/log", "globex/tool"].map(archive);
        // Stored before anybody looks: the first download may add a checksum to a document.
        for archive in [&lib, &log, &tool] {
            assert_eq!(registry.get("all", archive).status, 200);
        }
        Self {
            registry,
            lib,
            log,
            tool,
            _upstreams: upstreams,
        }
    }

    /// Two clients with the token `all` that ask for everything.
    fn readers(&self) -> Vec<Client> {
        let paths: [&str; 7] = [ROOT, LIB, &self.lib, LOG, &self.log, TOOL, &self.tool];
        vec![Client::new("all", &paths), Client::new("all", &paths)]
    }
}

#[test]
fn a_new_repository_is_added_to_what_is_served() {
    let mut world = World::start(|all| all);
    let upstream = Upstream::listed();
    upstream.release("initech/kit", "1.0.0");
    let clients = world.readers();
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        let include = json!({"packages": {"include": ["initech/*"]}});
        let more = registry.manifests().clone();
        registry.edit(&more.repository("new", "composer", &upstream.url(), &include));
        eventually("the new package", || {
            let list = json_of(&registry.get("all", "/list.json"));
            let names = list["packageNames"].as_array().cloned().unwrap_or_default();
            names.contains(&json!("initech/kit")).then_some(())
        });
    });
    let before = "200 acme/lib acme/log globex/tool";
    let after = "200 acme/lib acme/log globex/tool initech/kit";
    seen.assert_told("all", ROOT, &[before, after]);
    for path in [LIB, LOG, TOOL] {
        seen.assert_told("all", path, &["200 1.0.0"]);
    }
    for path in [&world.lib, &world.log, &world.tool] {
        seen.assert_told("all", path, &["200 PK"]);
    }
    let new = world.registry.archive_of("all", "initech/kit", "1.0.0");
    assert_eq!(world.registry.get("all", &new).status, 200);
}

#[test]
fn a_removed_repository_takes_its_packages_along() {
    let mut world = World::start(|all| all);
    let clients = world.readers();
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        let less = registry.manifests().clone();
        registry.edit(&less.without("Repository", "other"));
    });
    let before = "200 acme/lib acme/log globex/tool";
    seen.assert_told("all", ROOT, &[before, "200 acme/lib acme/log"]);
    seen.assert_told("all", TOOL, &["200 1.0.0", "404"]);
    // Lock files that name it still install.
    seen.assert_told("all", &world.tool, &["200 PK"]);
    for path in [LIB, LOG] {
        seen.assert_told("all", path, &["200 1.0.0"]);
    }
}

#[test]
fn a_removed_repository_that_is_to_stay_is_served_as_it_is() {
    let mut world = World::start(|all| all);
    let stay = json!({"deletionPolicy": "Retain"});
    world.registry.patch("Repository", "other", &stay);
    let less = world.registry.manifests().clone();
    world
        .registry
        .edit(&less.clone().without("Repository", "other"));
    let served = |world: &World| {
        let answer = world.registry.get("all", TOOL);
        (answer.status, world.registry.get("all", &world.tool).status)
    };
    assert_eq!(served(&world), (200, 200));
    // Also after a start, and until it is taken back and removed for good.
    world.registry.restart();
    assert_eq!(served(&world), (200, 200));
    let whole = less.patched("Repository", "other", &json!({"deletionPolicy": "Delete"}));
    world.registry.edit(&whole);
    world.registry.edit(&whole.without("Repository", "other"));
    assert_eq!(world.registry.get("all", TOOL).status, 404);
}

#[test]
fn a_token_sees_its_new_scope_and_others_see_no_change() {
    let scope = json!({"scopes": {"packages": ["acme/*"]}});
    let mut world = World::start(|all| with_token(all, "narrow", &scope));
    let mut clients = world.readers();
    let paths: [&str; 6] = [ROOT, LIB, &world.lib, LOG, &world.log, TOOL];
    clients.extend([Client::new("narrow", &paths), Client::new("narrow", &paths)]);
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        let patterns = json!({"scopes": {"packages": ["acme/log", "globex/*"]}});
        registry.patch("AccessToken", "narrow", &patterns);
    });
    let (before, after) = ("200 acme/lib acme/log", "200 acme/log globex/tool");
    seen.assert_told("narrow", ROOT, &[before, after]);
    // Claimed by a repository, so that no other repository is asked for it.
    seen.assert_told("narrow", LIB, &["200 1.0.0", "200"]);
    seen.assert_told("narrow", &world.lib, &["200 PK", "404"]);
    seen.assert_told("narrow", TOOL, &["404", "200 1.0.0"]);
    seen.assert_told("narrow", LOG, &["200 1.0.0"]);
    seen.assert_told("narrow", &world.log, &["200 PK"]);
    seen.assert_nothing_moved_for("all");
}

#[test]
fn tokens_that_are_revoked_or_replaced_stop_and_others_go_on() {
    let mut world = World::start(|all| {
        let all = with_token(all, "leaver", &json!({}));
        with_token(all, "rotated", &json!({}))
    });
    let made = world.registry.broker.auth_json(Manifests::TOKEN);
    let (_, made_secret) = world.registry.broker.credentials(Manifests::TOKEN).unwrap();
    let mut clients = world.readers();
    // A client stops when it is refused, so each path has clients of its own.
    for path in [ROOT, LIB, &world.lib] {
        clients.push(Client::new("leaver", &[path]));
        clients.push(Client::new("rotated", &[path]));
        clients.push(Client::with_secret("made", &made_secret, &[path]));
    }
    let new = secret("another");
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        let next = registry.manifests().clone();
        let next = next.without("AccessToken", "leaver");
        let next = next.without("AccessToken", Manifests::TOKEN);
        registry.edit(&next.secret("rotated", &json!({"token": new})));
    });
    let root = "200 acme/lib acme/log globex/tool";
    for refused in ["leaver", "rotated", "made"] {
        seen.assert_told(refused, ROOT, &[root, "401"]);
        seen.assert_told(refused, LIB, &["200 1.0.0", "401"]);
        seen.assert_told(refused, &world.lib, &["200 PK", "401"]);
    }
    seen.assert_nothing_moved_for("all");
    assert!(!made.exists(), "{} is still there", made.display());
    for path in [ROOT, LIB, &world.lib] {
        let call = world.registry.anonymous("GET", path);
        let answer = call.header("Authorization", &basic("token", &new)).send();
        assert_eq!(answer.unwrap().status, 200, "{path}");
    }
}

/// Where the first URL in a document leads.
fn host(_: &str, answer: &Answer) -> String {
    let text = String::from_utf8(decoded(answer)).unwrap();
    let (_, rest) = text.split_once("\"https://").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

#[test]
fn a_new_public_url_is_in_every_document_at_last() {
    let mut world = World::start(|all| all);
    let clients = world.readers();
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        let url = json!({"externalUrl": "https://registry.example.org/r"});
        registry.patch("PackageBroker", Manifests::BROKER, &url);
    });
    for path in [ROOT, LIB, LOG, TOOL] {
        let hosts = ["packages.example.com", "registry.example.org"];
        seen.assert_told_as("all", path, &hosts, &host);
    }
    for path in [&world.lib, &world.log, &world.tool] {
        seen.assert_told("all", path, &["200 PK"]);
    }
    let auth = std::fs::read(world.registry.broker.auth_json(Manifests::TOKEN)).unwrap();
    let auth: Value = serde_json::from_slice(&auth).unwrap();
    let hosts: Vec<&String> = auth["http-basic"].as_object().unwrap().keys().collect();
    assert_eq!(hosts, ["registry.example.org"]);
    let prefixed = world.registry.get("all", &format!("/r{LIB}"));
    assert_eq!(prefixed.status, 200);
    assert_problem(
        &world.registry.get("all", &format!("/team{LIB}")),
        404,
        "the path of before",
    );
}
