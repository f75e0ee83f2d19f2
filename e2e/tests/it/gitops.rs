//! What tools for `GitOps` make of our objects: the health script for Argo CD, run by a Lua interpreter on recorded states.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use package_broker_e2e::process::{run, tethered};
use serde_json::{Value, json};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gitops")
}

/// A value as Lua writes it.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(lua).collect();
            format!("{{{}}}", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("[{}] = {}", Value::from(key.as_str()), lua(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// The health and the message of an object.
fn health(object: &Value) -> (String, String) {
    let script = fs::read_to_string(examples().join("argocd/health.lua")).unwrap();
    let program = format!(
        "obj = {}\nlocal function health()\n{script}\nend\nlocal found = health()\nprint(found.status)\nprint(found.message)\n",
        lua(object)
    );
    let mut interpreter = tethered("lua5.4");
    interpreter.args(["-e", &program]);
    let said = run(interpreter, Duration::from_secs(20))
        .unwrap()
        .success()
        .unwrap()
        .stdout;
    let (status, message) = said.trim_end().split_once('\n').unwrap();
    (status.to_owned(), message.to_owned())
}

fn state(conditions: &[(&str, &str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(type_, status, reason)| {
            json!({"type": type_, "status": status, "reason": reason, "message": format!("{reason} it is")})
        })
        .collect();
    json!({
        "metadata": {"name": "main", "generation": 2}, "spec": {"suspend": false},
        "status": {"observedGeneration": 2, "conditions": conditions},
    })
}

#[test]
fn argo_cd_shows_the_health_of_each_state() {
    let ready = state(&[("Ready", "True", "Succeeded")]);
    let mut changed = ready.clone();
    changed["metadata"]["generation"] = 3.into();
    let mut deleted = ready.clone();
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let mut suspended = ready.clone();
    suspended["spec"]["suspend"] = true.into();
    let mut new = ready.clone();
    new["status"] = json!({"observedGeneration": -1});
    for (object, status, message) in [
        (ready, "Healthy", "Succeeded it is"),
        (changed, "Progressing", "waiting for the operator"),
        (new, "Progressing", "waiting for the operator"),
        (deleted, "Progressing", "being deleted"),
        (suspended, "Suspended", "spec.suspend is true"),
        (
            state(&[
                ("Ready", "False", "PodsNotReady"),
                ("Reconciling", "True", "PodsNotReady"),
            ]),
            "Progressing",
            "PodsNotReady it is",
        ),
        (
            state(&[
                ("Ready", "False", "SyncFailed"),
                ("Reconciling", "True", "ProgressingWithRetry"),
            ]),
            "Degraded",
            "SyncFailed it is",
        ),
        (
            state(&[
                ("Ready", "False", "InvalidSecret"),
                ("Stalled", "True", "InvalidSecret"),
            ]),
            "Degraded",
            "InvalidSecret it is",
        ),
    ] {
        assert_eq!(
            health(&object),
            (status.to_owned(), message.to_owned()),
            "{object}"
        );
    }
}

/// The script stands three times in the `ConfigMap`, as it is in its file.
#[test]
fn the_config_map_of_argo_cd_has_the_script() {
    let script = fs::read_to_string(examples().join("argocd/health.lua")).unwrap();
    let indented: String = script
        .lines()
        .flat_map(|line| ["    ", line, "\n"])
        .collect();
    let config = fs::read_to_string(examples().join("argocd/argocd-cm.yaml")).unwrap();
    assert_eq!(config.matches(&indented).count(), 3);
}
