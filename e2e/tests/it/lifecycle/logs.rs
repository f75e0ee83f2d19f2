//! Logs: structured, with request ids, and without secrets, as is the second port.

use package_broker_e2e::http::{Call, get};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::registry::{Registry, basic, manifests, secret, with_token};
use crate::support::upstream::{Upstream, archive_path};

const PACKAGE: &str = "acme/lib";
const PASSWORD: &str = "hush-of-the-upstream";
const GUESS: &str = "a-guess-of-somebody-who-mistypes-it";
const MISTAKE: &str = "brief-token-of-ours";

/// A registry that logs all it can, over an upstream with a password.
fn talkative(upstream: &Upstream) -> Registry {
    let credentials = json!({"username": "reader", "password": PASSWORD});
    let named = json!({"credentialsSecretRef": {"name": "upstream"}});
    let all = manifests(&json!({}))
        .secret("upstream", &credentials)
        .repository("team", "composer", &upstream.url(), &named);
    let registry = Registry::start_with(&all, &["--log-format", "json", "--log", "trace"]);
    registry.wait_until_ready();
    registry
}

/// Each line of the log as JSON.
fn lines(registry: &Registry) -> Vec<Value> {
    let log = registry.broker.log();
    // The last line may be about to be written.
    let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    let parsed = whole.lines().map(|line| {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "message"] {
            assert!(value[key].is_string(), "no {key}: {line}");
        }
        value
    });
    parsed.collect()
}

/// The lines about a request.
fn about(registry: &Registry, id: &str) -> Vec<Value> {
    let mut lines = lines(registry);
    lines.retain(|line| line["id"] == id);
    lines
}

fn send(call: &Call) -> (u16, String) {
    let answer = call.send().unwrap();
    let id = answer.header("x-request-id").unwrap().to_owned();
    (answer.status, id)
}

#[test]
fn every_request_is_found_by_its_id() {
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    let registry = talkative(&upstream);
    upstream.fail(&archive_path(PACKAGE, "1.0.0"), 500);
    let archive = registry.archive_of("all", PACKAGE, "1.0.0");
    let calls = [
        (registry.call("all", "GET", "/packages.json"), 200, "DEBUG"),
        (
            registry.call("all", "GET", "/p2/no/such.json"),
            404,
            "DEBUG",
        ),
        (registry.anonymous("GET", "/packages.json"), 401, "INFO"),
        (registry.call("all", "GET", &archive), 503, "WARN"),
    ];
    let mut ids = Vec::new();
    for (call, status, level) in calls {
        let (answered, id) = send(&call);
        assert_eq!(answered, status);
        let line = eventually("its line", || about(&registry, &id).pop());
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line["status"], status, "{line}");
        assert!(
            line["path"].is_string() && line["method"] == "GET",
            "{line}"
        );
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "ids tell requests apart");
    let given = registry.anonymous("GET", "/packages.json");
    let (_, id) = send(&given.header("X-Request-Id", "from-the-proxy.1"));
    assert_eq!(id, "from-the-proxy.1");
    eventually("its line", || about(&registry, &id).pop());
}

/// Does what may bring secrets somewhere: requests with good credentials and with bad ones, archives, a failed sync, a
/// mistake in a Secret. Returns the secrets.
fn use_secrets(registry: &mut Registry, upstream: &Upstream) -> Vec<String> {
    let (_, made) = registry.broker.credentials(Manifests::TOKEN).unwrap();
    let all = secret("all");
    for authorization in [
        basic("token", &all),
        basic(&all, ""),
        format!("Bearer {made}"),
        basic("token", GUESS),
        format!("Bearer {GUESS}"),
        format!("Unheard-of {GUESS}"),
    ] {
        let call = registry.anonymous("GET", "/p2/acme/lib.json");
        call.header("Authorization", &authorization).send().unwrap();
    }
    let [good, bad] =
        ["1.0.0", "1.1.0"].map(|version| registry.archive_of("all", PACKAGE, version));
    assert_eq!(registry.get("all", &good).status, 200);
    upstream.fail("/", 401);
    assert_eq!(registry.get("all", &bad).status, 503);
    let synced = json!({"sync": {"timeout": "9m"}});
    registry.patch("Repository", "team", &synced);
    eventually("a failed sync", || {
        (registry.said(&["sync failed"]) > 0).then_some(())
    });
    // A mistake in a Secret is told without what is in it.
    let wrong = with_token(registry.manifests().clone(), "wrong", &json!({}));
    let wrong = wrong.secret("wrong", &json!({"token": MISTAKE}));
    wrong.write_file(&registry.file()).unwrap();
    eventually("the refusal", || {
        (registry.said(&["the last good ones stay in force"]) > 0).then_some(())
    });
    let pairs = [
        basic("reader", PASSWORD),
        basic("token", &all),
        basic("token", &made),
        basic("token", GUESS),
    ];
    let encoded = pairs.iter().map(|pair| pair.trim_start_matches("Basic "));
    let plain = [PASSWORD, GUESS, MISTAKE, &made, &all];
    plain
        .into_iter()
        .chain(encoded)
        .map(str::to_owned)
        .collect()
}

#[test]
fn secrets_are_never_logged() {
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    upstream.release(PACKAGE, "1.1.0");
    let mut registry = talkative(&upstream);
    let secrets = use_secrets(&mut registry, &upstream);
    let log = registry.broker.log();
    assert!(log.contains("TRACE") && log.contains(PACKAGE), "{log}");
    for hidden in secrets {
        let line = log.lines().find(|line| line.contains(&hidden));
        assert_eq!(line, None, "{hidden}");
    }
}

#[test]
fn secrets_are_not_on_the_second_port() {
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    upstream.release(PACKAGE, "1.1.0");
    let mut registry = talkative(&upstream);
    let secrets = use_secrets(&mut registry, &upstream);
    for (page, tells) in [
        // Why the sync failed, which tokens there are, and what is wrong with the manifests.
        ("/status", &["HTTP 401", "\"all\"", "wrong"][..]),
        ("/metrics", &["package_broker_auth_failures_total"]),
        ("/readyz", &[]),
        ("/livez", &[]),
    ] {
        let answer = get(&format!("{}{page}", registry.broker.metrics_url()), &[]).unwrap();
        assert_eq!(answer.status, 200, "{page}");
        let headers = format!("{:?}", answer.headers());
        let shown = answer.text();
        for words in tells {
            assert!(shown.contains(words), "no {words} on {page}: {shown}");
        }
        for hidden in &secrets {
            let is_shown = shown.contains(hidden) || headers.contains(hidden);
            assert!(!is_shown, "{hidden} on {page}: {shown}");
        }
    }
}
