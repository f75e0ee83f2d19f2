//! What an operator says of itself: its probes while it cannot reach the API server, and its metrics after work.

use std::{collections::BTreeSet, time::Duration};

use package_broker_e2e::http;
use serde_json::{Value, json};

use super::{
    backing::Servers,
    faults::together,
    manifests::{broker, repository, token},
    process::{Gateway, Operator, network},
    support::{Kube, Team},
};

/// How long watches may fail before the operator counts as stuck. Users wait a quarter of an hour.
const STUCK: Duration = Duration::from_secs(3);

/// An operator whose probes and metrics are looked at.
struct Observed {
    operator: Operator,
    port: u16,
}

impl Observed {
    /// What is answered at a path; nothing while it does not listen.
    fn answer(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let asked = network().inside(move || http::get(&url, &[])).unwrap();
        let response = asked.ok()?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        Some((response.status, text))
    }

    /// Waits until a path is answered like this.
    fn answers(&self, path: &str, status: u16, says: &str) {
        self.until(path, || {
            let answer = self.answer(path);
            answer.is_some_and(|(code, text)| code == status && text.contains(says))
        });
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let found = Team::wait_for(what, || Ok(holds().then_some(())));
        if let Err(error) = found {
            let said = ["/livez", "/readyz", "/metrics"].map(|path| self.answer(path));
            panic!("{error}\n{said:#?}\n{}", self.operator.log());
        }
    }

    /// The value of the series of a metric that have these labels among others, all together; nothing without any.
    fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (_, text) = self.answer("/metrics")?;
        let name = format!("package_broker_operator_{metric}");
        let mut found = None;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, number) = line.rsplit_once(' ')?;
            let (series, its) = series.split_once('{').unwrap_or((series, ""));
            let has = |(key, value): &(&str, &str)| its.contains(&format!("{key}=\"{value}\""));
            if series == name && labels.iter().all(has) {
                found = Some(found.unwrap_or_default() + number.parse::<f64>().ok()?);
            }
        }
        found
    }

    fn count(&self, metric: &str, labels: &[(&str, &str)]) -> f64 {
        self.value(metric, labels).unwrap_or_default()
    }
}

#[test]
fn probes_follow_the_watches_and_metrics_what_was_done() {
    let _together = together();
    let (team, folder) = (
        Kube::get().namespace("observed"),
        tempfile::tempdir().unwrap(),
    );
    let gateway = Gateway::open().unwrap();
    gateway.cut();
    let (operator, port) =
        Operator::start_observed((folder.path(), &gateway), team.name(), STUCK).unwrap();
    let mut observed = Observed { operator, port };
    // It lives, and is of no use yet.
    observed.answers("/livez", 200, "ok");
    observed.answers("/readyz", 503, "has not begun");
    observed.answers("/livez", 503, "the watch of");
    let leads = observed.value("leads", &[]);
    assert!(leads.is_some_and(|leads| leads < 0.5), "{leads:?}");
    gateway.mend();
    observed.answers("/livez", 200, "ok");
    observed.answers("/readyz", 200, "ok");

    let servers = Servers::start();
    metrics(&team, &servers, &observed);
    failures(&team, &observed);

    gateway.cut();
    observed.answers("/livez", 503, "the watch of");
    // What it has seen once it still knows.
    observed.answers("/readyz", 200, "ok");
    gateway.mend();
    observed.answers("/livez", 200, "ok");
    team.apply(&[token("after")]).unwrap();
    team.wait_ready(&["accesstoken/after"]).unwrap();
    let ended = observed.operator.ended().unwrap();
    assert_eq!(ended, None, "by itself: {}", observed.operator.log());
    observed.operator.kill();
}

/// After work, all metrics are there and say what was done.
fn metrics(team: &Team, servers: &Servers, observed: &Observed) {
    let mut documents = servers.secrets();
    documents.extend([
        servers.broker(),
        token("ci"),
        repository("nowhere", "http://10.250.0.1:1/acme/lib.git"),
    ]);
    team.apply(&documents).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    for (kind, ready, reason) in [
        ("PackageBroker", "True", "Succeeded"),
        ("AccessToken", "True", "Succeeded"),
        ("Repository", "False", "SyncFailed"),
    ] {
        let labels = [("kind", kind), ("ready", ready), ("reason", reason)];
        observed.until(kind, || observed.count("objects", &labels) >= 1.0);
    }
    let leads = observed.count("leads", &[]);
    assert!((leads - 1.0).abs() < 0.5, "{leads}");
    for kind in ["PackageBroker", "AccessToken", "Repository", "Syncs"] {
        let of = [("kind", kind)];
        let succeeded = [("kind", kind), ("outcome", "succeeded")];
        observed.until(kind, || {
            observed.count("reconciles_total", &succeeded) >= 1.0
        });
        observed.until("as many times as looks", || {
            let looks = observed.count("reconciles_total", &of);
            let times = observed.count("reconcile_duration_seconds_count", &of);
            let below = [("kind", kind), ("le", "+Inf")];
            let all = observed.count("reconcile_duration_seconds_bucket", &below);
            (looks - times).abs() < 0.5 && (looks - all).abs() < 0.5
        });
        let spent = observed.count("reconcile_duration_seconds_sum", &of);
        assert!(spent > 0.0 && spent < 600.0, "{kind}: {spent}");
    }
    let (_, text) = observed.answer("/metrics").unwrap();
    for name in names() {
        let help = format!("# HELP package_broker_operator_{name} ");
        assert_eq!(text.matches(&help).count(), 1, "{name}: {text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

/// What the API server refuses counts as a failure, is told by one event however often it is tried, and ends by itself.
fn failures(team: &Team, observed: &Observed) {
    let of = [("kind", "PackageBroker"), ("outcome", "failed")];
    let failed = || observed.count("reconciles_total", &of);
    let before = failed();
    let mut second = broker();
    second["metadata"]["name"] = "second".into();
    // One Service is there already.
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-more"},
        "spec": {"hard": {"services": "1"}},
    });
    team.apply(&[quota]).unwrap();
    Team::wait_for("the quota", || {
        let quota = team.get("resourcequota", "no-more")?;
        Ok((quota["status"]["used"]["services"] == "1").then_some(()))
    })
    .unwrap();
    team.apply(&[second]).unwrap();
    observed.until("three failures", || failed() >= before + 3.0);
    let events = || {
        let text = team.kubectl(&["get", "events", "--output=json"]).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        let mut all = list["items"].as_array().unwrap().clone();
        all.retain(|event| {
            event["involvedObject"]["name"] == "second" && event["reason"] == "Failed"
        });
        all
    };
    observed.until("an event", || !events().is_empty());
    let told = events();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["type"], "Warning");
    assert!(told[0]["series"].is_null(), "{told:#?}");
    team.kubectl(&["delete", "resourcequota", "no-more"])
        .unwrap();
    team.wait_ready(&["packagebroker/second"]).unwrap();
}

/// The metrics that the source registers.
fn names() -> BTreeSet<String> {
    let source = include_str!("../../../operator/src/metrics.rs");
    let calls = source.split("registry.register(").skip(1);
    let names: BTreeSet<String> = calls
        .map(|call| call.split('"').nth(1).unwrap().to_owned())
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    names
}
