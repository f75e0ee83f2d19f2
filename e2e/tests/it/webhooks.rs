//! Calls of hosts that something was pushed (`spec.webhook`).

use hmac::{Hmac, KeyInit, Mac};
use package_broker_e2e::http::{Answer, Call};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::replicas::installation::Installation;
use crate::support::registry::{Registry, URL, manifests};
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, eventually, json as json_of};

const SECRET: &str = "a secret of the host";
const PUSH: &[u8] = br#"{"ref":"refs/heads/main"}"#;

/// A repository that is read only when somebody says so.
fn hooked(upstream: &Upstream) -> Manifests {
    let spec = json!({
        "sync": {"interval": "24h"}, "webhook": {"secretRef": {"name": "hook"}},
    });
    manifests(&json!({}))
        .repository("team", "composer", &upstream.url(), &spec)
        .repository(
            "silent",
            "composer",
            &upstream.url(),
            &json!({"priority": -1}),
        )
        .secret("hook", &json!({"secret": SECRET}))
}

/// The signature of a body, in hexadecimal digits.
fn signed(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A call with these headers.
fn call(url: &str, repository: &str, headers: &[(&str, &str)]) -> Answer {
    let call = Call::new("POST", &format!("{url}/webhooks/{repository}")).body(PUSH);
    let headers = headers.iter();
    let call = headers.fold(call, |call, (name, value)| call.header(name, value));
    call.send().unwrap()
}

/// What proves a call, as each host does it.
fn proofs(secret: &str) -> [(&'static str, String); 5] {
    let digits = signed(secret, PUSH);
    [
        ("X-Hub-Signature-256", format!("sha256={digits}")),
        ("X-Hub-Signature", format!("sha256={digits}")),
        ("X-Gitea-Signature", digits.clone()),
        ("X-Forgejo-Signature", digits),
        ("X-Gitlab-Token", secret.to_owned()),
    ]
}

#[test]
fn a_call_of_each_host_has_the_repository_synced() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let registry = Registry::start(&hooked(&upstream));
    let url = registry.broker.url();
    for (number, (name, value)) in proofs(SECRET).iter().enumerate() {
        upstream.release("acme/lib", &format!("1.{}.0", number + 1));
        let answer = call(url, "team", &[(name, value)]);
        assert_eq!(answer.status, 202, "{name}: {}", answer.text());
        assert_eq!(json_of(&answer), json!({"status": "sync requested"}));
        eventually("the new version is served", || {
            let versions = registry.document("all", "acme/lib").len();
            (versions == number + 2).then_some(())
        });
    }
    // Below the path of the public URL too.
    let prefix = URL.trim_start_matches("https://packages.example.com");
    let [(name, value), ..] = proofs(SECRET);
    let answer = call(&format!("{url}{prefix}"), "team", &[(name, &value)]);
    assert_eq!(answer.status, 202);
    let lines = eventually("all calls are in the audit log", || {
        let log = registry.command("audit", &["--action", "sync.requested"]);
        let lines = log.stdout.lines().map(serde_json::from_str);
        let lines: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
        let count: u64 = lines.iter().filter_map(|line| line["count"].as_u64()).sum();
        (count == 6).then_some(lines)
    });
    assert_eq!(lines[0]["actor"], "webhook");
    assert_eq!(lines[0]["repository"], "team");
    assert!(lines.iter().all(|line| !line.to_string().contains(SECRET)));
}

#[test]
fn what_is_not_proven_is_refused_alike() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let registry = Registry::start(&hooked(&upstream));
    let url = registry.broker.url();
    let read = upstream.server().requests().len();
    let [(name, good), ..] = proofs(SECRET);
    let other_body = format!("sha256={}", signed(SECRET, b"{}"));
    let [.., (gitlab, _)] = proofs(SECRET);
    let token = crate::support::registry::secret("all");
    let mut refusals = Vec::new();
    for (repository, headers) in [
        ("team", vec![]),
        ("team", vec![(name, other_body.as_str())]),
        ("team", vec![(name, "sha256=")]),
        ("team", vec![(gitlab, "a secret of another")]),
        ("team", vec![(gitlab, "")]),
        ("team", vec![(gitlab, token.as_str())]),
        // It has no webhook, and nobody has that name.
        ("silent", vec![(name, good.as_str())]),
        ("nobody", vec![(name, good.as_str())]),
        ("nobody", vec![(gitlab, "")]),
        ("team%20", vec![(name, good.as_str())]),
    ] {
        let answer = call(url, repository, &headers);
        assert_problem(&answer, 403, repository);
        refusals.push(answer.text());
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "they tell what there is: {refusals:?}");
    let wrong_method = registry.anonymous("GET", "/webhooks/team").send().unwrap();
    assert_problem(&wrong_method, 405, "GET");
    let large = Call::new("POST", &format!("{url}/webhooks/team"))
        .header(name, &good)
        .body(vec![b' '; (25 << 20) + 1]);
    assert_problem(&large.send().unwrap(), 413, "a large call");
    // A host tries whether its calls get through, and nothing was pushed.
    let ping = call(url, "team", &[(name, &good), ("X-GitHub-Event", "ping")]);
    assert_eq!(
        (ping.status, json_of(&ping)),
        (200, json!({"status": "pong"}))
    );
    assert_eq!(upstream.server().requests().len(), read);
}

#[test]
fn another_secret_takes_the_place_of_the_one_before() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let mut registry = Registry::start(&hooked(&upstream));
    let next = "the next secret of the host";
    let changed = hooked(&upstream).secret("hook", &json!({"secret": next}));
    registry.edit(&changed);
    let url = registry.broker.url();
    let [(name, old), ..] = proofs(SECRET);
    let [(_, new), ..] = proofs(next);
    assert_eq!(call(url, "team", &[(name, &old)]).status, 403);
    assert_eq!(call(url, "team", &[(name, &new)]).status, 202);
}

/// Where others sync, the request is kept for them, once however often it is made.
#[test]
fn on_servers_a_call_is_a_request_in_the_database() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let installation = Installation::new();
    installation.apply(&hooked(&upstream), URL);
    installation.sync("team");
    let replica = installation.serve("one");
    let [(name, value), ..] = proofs(SECRET);
    for _ in 0..2 {
        eventually("the call is taken", || {
            (call(replica.url(), "team", &[(name, &value)]).status == 202).then_some(())
        });
    }
    let requests = installation.sql("SELECT repository FROM sync_requests");
    assert_eq!(requests.trim(), "team");
    assert_eq!(
        call(replica.url(), "team", &[(name, "sha256=00")]).status,
        403
    );
    let rows = installation.sql("SELECT * FROM declared");
    assert!(
        rows.contains("composer") && !rows.contains(SECRET),
        "{rows}"
    );
}
