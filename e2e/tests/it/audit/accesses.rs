//! Each route with each outcome makes the right record, or none.

use std::net::Ipv4Addr;

use package_broker_e2e::http::Call;
use serde_json::{Value, json};

use super::{audit, audit_at_end, fields};
use crate::support::eventually;
use crate::support::registry::{Registry, basic, manifests, secret, with_token};
use crate::support::upstream::{Upstream, archive_path};

const NAMES: [&str; 6] = [
    "action",
    "actor",
    "subject",
    "version",
    "repository",
    "outcome",
];

/// `acme/lib` in the repository `team`, which claims `acme/*`; the archive of 1.1.0 is broken. The token `narrow` sees
/// nothing of it.
struct World {
    registry: Registry,
    good: String,
    bad: String,
    _upstream: Upstream,
}

impl World {
    fn start() -> Self {
        let upstream = Upstream::listed();
        upstream.release("acme/lib", "1.0.0");
        upstream.release("acme/lib", "1.1.0");
        let own = json!({"packages": {"include": ["acme/*"]}});
        let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &own);
        let narrow = json!({"scopes": {"packages": ["globex/*"]}});
        let all = with_token(all, "narrow", &narrow);
        let expired = json!({"expiresAt": "2020-01-01T00:00:00Z"});
        let registry = Registry::start(&with_token(all, "expired", &expired));
        let good = registry.archive_of("all", "acme/lib", "1.0.0");
        let bad = registry.archive_of("all", "acme/lib", "1.1.0");
        upstream.fail(&archive_path("acme/lib", "1.1.0"), 200);
        Self {
            registry,
            good,
            bad,
            _upstream: upstream,
        }
    }

    fn call(&self, token: &str, request: &str) -> Call {
        let (method, path) = request.split_once(' ').unwrap();
        let call = self.registry.anonymous(method, path);
        match token {
            "" => call,
            token => call.header("Authorization", &basic("token", &secret(token))),
        }
    }

    /// The same, of a client that has the answer already.
    fn conditional(&self, token: &str, request: &str) -> Call {
        let answer = self.call(token, request).send().unwrap();
        let date = answer.header("last-modified").unwrap();
        self.call(token, request).header("If-Modified-Since", date)
    }
}

/// A request with what is recorded of it.
type Row = (Call, [&'static str; 6]);

/// What is recorded of nothing.
const NOTHING: [&str; 6] = [""; 6];

/// What `all` did.
fn of(
    action: &'static str,
    subject: &'static str,
    version: &'static str,
    repository: &'static str,
    outcome: &'static str,
) -> [&'static str; 6] {
    [action, "token/all", subject, version, repository, outcome]
}

fn metadata(world: &World) -> Vec<Row> {
    let all = |request: &str| world.call("all", request);
    let again = |request: &str| world.conditional("all", request);
    let root = |outcome| of("root.read", "", "", "", outcome);
    let read = |subject, repository, outcome| of("package.read", subject, "", repository, outcome);
    let lib = |outcome| read("acme/lib", "team", outcome);
    let hidden = ["package.read", "token/narrow", "acme/lib", "", "", "empty"];
    let lib_file = "GET /p2/acme/lib.json";
    vec![
        (all("GET /packages.json"), root("ok")),
        (again("GET /packages.json"), root("unchanged")),
        (all(lib_file), lib("ok")),
        (again(lib_file), lib("unchanged")),
        (all("GET /p2/Acme/Lib~dev.json"), lib("ok")),
        (all("HEAD /p2/acme/lib.json"), lib("ok")),
        (
            all("GET /p2/acme/none.json"),
            read("acme/none", "", "empty"),
        ),
        (
            all("GET /p2/globex/none.json"),
            read("globex/none", "", "absent"),
        ),
        (all("GET /p2/acme/lib.txt"), read("", "", "absent")),
        (all("GET /p2/acme/%ff.json"), read("", "", "invalid")),
        (world.call("narrow", lib_file), hidden),
    ]
}

fn archives(world: &World) -> Vec<Row> {
    let all = |method: &str, path: &str| world.call("all", &format!("{method} {path}"));
    let read =
        |version, repository, outcome| of("archive.read", "acme/lib", version, repository, outcome);
    let hidden = [
        "archive.read",
        "token/narrow",
        "acme/lib",
        "1.0.0.0",
        "",
        "absent",
    ];
    let as_narrow = world.call("narrow", &format!("GET {}", world.good));
    vec![
        (all("GET", &world.good), read("1.0.0.0", "team", "ok")),
        (all("HEAD", &world.good), read("1.0.0.0", "team", "ok")),
        (all("GET", &world.bad), read("1.1.0.0", "", "failed")),
        (
            all("GET", "/dist/acme/lib/9.0.0.0/abc.zip"),
            read("9.0.0.0", "", "absent"),
        ),
        (
            all("GET", "/dist/acme/lib/9%00/abc.zip"),
            read("", "", "absent"),
        ),
        (as_narrow, hidden),
    ]
}

fn overviews(world: &World) -> Vec<Row> {
    let all = |request: &str| world.call("all", request);
    let plain = |action, outcome| of(action, "", "", "", outcome);
    let long = format!("GET /list.json?vendor={}", "x".repeat(2_000));
    let note = json!({"downloads": [{"name": "acme/lib", "version": "1.0.0.0"}]}).to_string();
    let post = "POST /notify-batch";
    vec![
        (all("GET /list.json"), plain("list.read", "ok")),
        (
            all("GET /list.json?filter=acme/*"),
            plain("list.read", "ok"),
        ),
        (all(&long), plain("list.read", "invalid")),
        (all("GET /search.json?q=lib"), plain("search", "ok")),
        (all(post).body(note), plain("install.notified", "ok")),
        (all(post).body("{"), plain("install.notified", "invalid")),
    ]
}

fn refused(world: &World) -> Vec<Row> {
    let all = |request: &str| world.call("all", request);
    let refused = ["access.refused", "anonymous", "", "", "", "refused"];
    let without = |request: &str| world.call("", request);
    vec![
        (without("GET /packages.json"), refused),
        (without(&format!("GET {}", world.good)), refused),
        (without("POST /notify-batch"), refused),
        (world.call("nobody", "GET /p2/acme/lib.json"), refused),
        (world.call("expired", "GET /search.json?q=x"), refused),
        (without("GET /nowhere"), NOTHING),
        (all("GET /"), NOTHING),
        (all("PUT /p2/acme/lib.json"), NOTHING),
        (all("GET /notify-batch"), NOTHING),
    ]
}

#[test]
fn every_answer_makes_its_record() {
    let mut world = World::start();
    let tables = [metadata, archives, overviews, refused];
    let table = tables.iter().flat_map(|table| table(&world));
    // Each request from an address of its own, so that it has a record of its own.
    let address = |number: usize| Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1).unwrap());
    let mut expected = Vec::new();
    for (number, (call, record)) in table.enumerate() {
        let call = call.from(address(number));
        for _ in 0..2 {
            call.send().unwrap();
        }
        expected.push(record);
    }
    let records = audit_at_end(&mut world.registry, &[]);
    for (number, expected) in expected.into_iter().enumerate() {
        let address = address(number).to_string();
        let own: Vec<&Value> = records
            .iter()
            .filter(|record| record["address"] == address)
            .collect();
        let told: Vec<_> = own.iter().map(|record| fields(record, NAMES)).collect();
        // The two may have been in two intervals.
        let counted: u64 = own
            .iter()
            .map(|record| record["count"].as_u64().unwrap())
            .sum();
        if expected == NOTHING {
            assert_eq!(told, [] as [[&str; 6]; 0], "request {number}");
            continue;
        }
        assert!(
            told.iter().all(|told| *told == expected),
            "request {number}: {told:?}"
        );
        assert_eq!(counted, 2, "request {number}: {expected:?}");
    }
}

#[test]
fn a_proxy_is_believed_if_it_is_trusted() {
    let all = manifests(&json!({"trustedProxies": ["127.0.0.9/32"]}));
    let mut registry = Registry::start(&all);
    for proxy in [8, 9] {
        let call = registry.call("all", "GET", "/list.json");
        let call = call.header("X-Forwarded-For", "198.51.100.7");
        call.from(Ipv4Addr::new(127, 0, 0, proxy)).send().unwrap();
    }
    let records = audit_at_end(&mut registry, &["--action", "list.read"]);
    let mut addresses: Vec<_> = records.iter().map(|r| fields(r, ["address"])).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, [["127.0.0.8"], ["198.51.100.7"]]);
}

#[test]
fn no_secret_gets_into_the_log() {
    const PASSWORD: &str = "hush-of-the-upstream";
    const QUERY: &str = "hush-of-a-query";
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let named = json!({"credentialsSecretRef": {"name": "upstream"}});
    let all = manifests(&json!({}))
        .secret(
            "upstream",
            &json!({"username": "reader", "password": PASSWORD}),
        )
        .repository("team", "composer", &upstream.url(), &named);
    let mut registry = Registry::start(&all);
    let (_, made) = registry
        .broker
        .credentials(package_broker_e2e::manifests::Manifests::TOKEN)
        .unwrap();
    for path in [
        format!("/p2/acme/{made}.json"),
        format!("/p2/{made}/lib.json"),
        format!("/dist/acme/lib/{made}/abc.zip"),
        format!("/dist/acme/{made}/1.0/abc.zip"),
        format!("/packages.json?token={QUERY}"),
        format!("/search.json?q={QUERY}"),
        format!("/list.json?filter={QUERY}"),
        registry.archive_of("all", "acme/lib", "1.0.0"),
    ] {
        registry.get("all", &path);
        let call = registry.anonymous("GET", &path);
        let authorization = basic("token", "hush-of-a-guess-that-is-long-enough");
        call.header("Authorization", &authorization).send().unwrap();
    }
    let without = json!({"username": "reader", "password": "hush, another one"});
    let edited = registry.manifests().clone().secret("upstream", &without);
    registry.edit(&edited);
    let records = audit_at_end(&mut registry, &[]);
    assert!(records.len() > 10);
    let text = json!(records).to_string();
    let lower = made.to_lowercase();
    for secret in ["hush", &made, &lower, &secret("all"), "filter=", "?q="] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn the_log_is_switched_off_and_on_by_manifests() {
    let mut registry = Registry::start(&manifests(&json!({})));
    let switched = |registry: &mut Registry, enabled: bool| {
        let audit = json!({"audit": {"enabled": enabled, "retention": "1h"}});
        registry.patch("PackageBroker", "broker", &audit);
    };
    registry.get("all", "/list.json");
    // Equal events of one interval are one record.
    let written = |registry: &Registry, action: &str| {
        eventually(action, || {
            (!audit(registry, &["--action", action]).is_empty()).then_some(())
        });
    };
    written(&registry, "list.read");
    switched(&mut registry, false);
    registry.get("all", "/search.json?q=");
    written(&registry, "audit.ended");
    switched(&mut registry, true);
    registry.get("all", "/packages.json");
    let records = audit_at_end(&mut registry, &[]);
    let told: Vec<&str> = records
        .iter()
        .map(|record| record["action"].as_str().unwrap())
        .filter(|action| !action.starts_with("token."))
        .collect();
    let expected = [
        "audit.started",
        "manifests.applied",
        "list.read",
        "manifests.applied",
        "audit.ended",
        "audit.started",
        "manifests.applied",
        "root.read",
        "audit.ended",
    ];
    assert_eq!(told, expected);
}
