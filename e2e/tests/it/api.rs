//! `/api`: what the administrator may look at (`spec.administrator`), and nobody else.

use package_broker_e2e::http::Answer;
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::replicas::installation::Installation;
use crate::support::registry::{Registry, URL, basic, manifests, secret};
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, eventually, json as json_of};

const PASSWORD: &str = "correct horse battery";
const STATUS: &str = "/api/status";
const AUDIT: &str = "/api/audit";

/// A broker with an administrator of that password.
fn administered(upstream: &Upstream, password: &str) -> Manifests {
    manifests(&json!({"administrator": {"secretRef": {"name": "admin"}}}))
        .repository("team", "composer", &upstream.url(), &json!({}))
        .secret("admin", &json!({"username": "jane", "password": password}))
}

fn ask(registry: &Registry, path: &str, login: &str) -> Answer {
    let call = registry.anonymous("GET", path);
    call.header("Authorization", login).send().unwrap()
}

fn lines(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_administrator_reads_the_state_and_the_audit_log() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let registry = Registry::start(&administered(&upstream, PASSWORD));
    let login = basic("jane", PASSWORD);
    let status = ask(&registry, STATUS, &login);
    assert_eq!(status.status, 200, "{}", status.text());
    let state = json_of(&status);
    assert_eq!(state["repositories"][0]["name"], "team");
    assert_eq!(state["packages"], 1);
    registry.get("all", "/p2/acme/lib.json");
    let read = eventually("what was read is in the log", || {
        let answer = ask(
            &registry,
            &format!("{AUDIT}?actor=all&action=package.read"),
            &login,
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        lines(&answer).pop()
    });
    assert_eq!(read["subject"], "acme/lib");
    assert_eq!(read["actor"], "token/all");
    // Whoever looks at the log is in it.
    eventually("who read the log is in it", || {
        let answer = ask(&registry, &format!("{AUDIT}?actor=user/jane"), &login);
        let actions = lines(&answer);
        let read = |action: &str| actions.iter().any(|line| line["action"] == action);
        (read("audit.read") && read("status.read")).then_some(())
    });
    let made = lines(&ask(
        &registry,
        &format!("{AUDIT}?action=user.created"),
        &login,
    ));
    assert_eq!(made[0]["subject"], "jane");
    for wrong in ["since=yesterday", "action=none", "limit=1"] {
        let answer = ask(&registry, &format!("{AUDIT}?{wrong}"), &login);
        assert_problem(&answer, 400, wrong);
    }
    for (method, path) in [("POST", STATUS), ("DELETE", AUDIT)] {
        let call = registry.anonymous(method, path);
        let answer = call.header("Authorization", &login).send().unwrap();
        assert_problem(&answer, 405, path);
    }
    // Packages are for tokens.
    assert_problem(
        &ask(&registry, "/packages.json", &login),
        401,
        "packages.json",
    );
}

#[test]
fn nobody_else_is_let_in() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let registry = Registry::start(&administered(&upstream, PASSWORD));
    for path in [STATUS, AUDIT] {
        let anonymous = registry.anonymous("GET", path).send().unwrap();
        assert_problem(&anonymous, 401, path);
        assert!(anonymous.header("www-authenticate").is_some());
        for login in [
            basic("jane", "correct horse batterx"),
            basic("jane", ""),
            basic("joe", PASSWORD),
            basic("", PASSWORD),
            basic("token", &secret("all")),
            format!("Bearer {}", secret("all")),
            format!("Bearer {PASSWORD}"),
            "Basic !".to_owned(),
        ] {
            assert_problem(&ask(&registry, path, &login), 401, path);
        }
    }
    let text = std::fs::read(registry.data().join("package-broker.db")).unwrap_or_default();
    let holds = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    assert!(!holds(PASSWORD.as_bytes()));
}

#[test]
fn without_an_administrator_nobody_is_let_in() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let mut registry = Registry::start(&administered(&upstream, PASSWORD));
    let login = basic("jane", PASSWORD);
    assert_eq!(ask(&registry, STATUS, &login).status, 200);
    registry.edit(&administered(&upstream, "another horse battery"));
    assert_problem(&ask(&registry, STATUS, &login), 401, "the password before");
    assert_eq!(
        ask(&registry, STATUS, &basic("jane", "another horse battery")).status,
        200
    );
    let without = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    registry.edit(&without);
    for password in [PASSWORD, "another horse battery", ""] {
        assert_problem(
            &ask(&registry, STATUS, &basic("jane", password)),
            401,
            password,
        );
    }
}

#[test]
fn on_servers_each_replica_knows_the_administrator() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let installation = Installation::new();
    installation.apply(&administered(&upstream, PASSWORD), URL);
    let replica = installation.serve("one");
    let ask = |password: &str| {
        let url = format!("{}{STATUS}", replica.url());
        let call = package_broker_e2e::http::Call::new("GET", &url);
        let call = call.header("Authorization", &basic("jane", password));
        call.send().unwrap()
    };
    let state = eventually("the replica serves", || {
        Some(ask(PASSWORD)).filter(|answer| answer.status == 200)
    });
    let servers = &json_of(&state)["servers"];
    assert_eq!(servers["storage"], json!({}), "{servers}");
    assert_eq!(ask("correct horse batterx").status, 401);
    let stored = installation.sql("SELECT value FROM settings WHERE key = 'users'");
    assert!(
        stored.contains("$argon2id$") && !stored.contains(PASSWORD),
        "{stored}"
    );
    // Declared again, it is as it was.
    installation.apply(&administered(&upstream, PASSWORD), URL);
    let again = installation.sql("SELECT value FROM settings WHERE key = 'users'");
    assert_eq!(again, stored);
}
