//! Objects in other namespaces than their broker's: only where that allows them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    installs::{Sources, project},
    manifests::{broker, repository, token, with},
    support::{Kube, Team},
};

const LABEL: &str = "packages.example.com/team";

fn elsewhere(object: Value, of_broker: &Team) -> Value {
    let reference = json!({"brokerRef": {"name": "main", "namespace": of_broker.name()}});
    with(object, &reference)
}

fn ready(team: &Team, kind: &str, name: &str) -> (String, String) {
    let object = team.get(kind, name).unwrap();
    let conditions = object["status"]["conditions"].as_array().cloned();
    let ready = conditions.unwrap_or_default();
    let ready = ready.iter().find(|one| one["type"] == "Ready");
    let text = |field: &str| {
        let value = ready.and_then(|ready| ready[field].as_str());
        value.unwrap_or_default().to_owned()
    };
    (text("reason"), text("message"))
}

#[test]
fn a_tenant_brings_packages_and_tokens_where_it_may() {
    let central = Kube::get().namespace("central");
    let tenant = Kube::get().namespace("tenant");
    let sources = Sources::of_debian(&["php-psr-log"]);
    let by_label = json!({"from": "Selector", "selector": {"matchLabels": {LABEL: "php"}}});
    let rules = json!({"allowedNamespaces": {"repositories": by_label, "accessTokens": by_label}});
    // One of the same name that is at home.
    central
        .apply(&[
            with(broker(), &rules),
            token("ci"),
            repository("psr-log", "http://10.250.0.1:1/nothing.git"),
        ])
        .unwrap();
    let mut documents: Vec<Value> = sources.repositories();
    documents.push(token("ci"));
    let documents: Vec<Value> = documents
        .into_iter()
        .map(|object| elsewhere(object, &central))
        .collect();
    tenant.apply(&documents).unwrap();
    refused(&tenant);
    let label = format!("{LABEL}=php");
    Kube::get()
        .run(&["label", "namespace", tenant.name(), &label])
        .unwrap();
    tenant
        .wait_ready(&["repository/psr-log", "accesstoken/ci"])
        .unwrap();
    central
        .wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    let secret = |team: &Team| team.get("secret", "ci").unwrap()["data"]["password"].clone();
    assert_ne!(secret(&central), secret(&tenant));
    let said = tenant
        .composer(
            "install",
            &project(&central, &json!({"psr/log": "*"})),
            "ci",
            "composer install --no-interaction --no-progress 2>&1\n",
        )
        .unwrap();
    assert!(said.contains("Installing psr/log"), "{said}");

    let again = project(&central, &json!({"psr/log": "*"}));
    withdrawn(&tenant, &again);
    for team in [&central, &tenant] {
        team.check_kstatus().unwrap();
    }
}

/// Each says which label is missing, and nothing is made.
fn refused(tenant: &Team) {
    for (kind, name, field) in [
        ("repository", "psr-log", "repositories"),
        ("accesstoken", "ci", "accessTokens"),
    ] {
        Team::wait_for("the refusal", || {
            let (reason, message) = ready(tenant, kind, name);
            let is_told = message.contains(&format!("the label {LABEL}=php"))
                && message.contains(&format!("spec.allowedNamespaces.{field}"));
            Ok((reason == "NotAllowed" && is_told).then_some(()))
        })
        .unwrap();
    }
    let made = tenant.attempt(&["get", "secret", "ci"]).unwrap();
    assert!(
        !made.status.success(),
        "a token was made for a namespace that may not have one"
    );
    tenant.check_kstatus().unwrap();
}

/// The token stops, and so do the packages, when the label goes.
fn withdrawn(tenant: &Team, project: &Value) {
    let gone = format!("{LABEL}-");
    Kube::get()
        .run(&["label", "namespace", tenant.name(), &gone])
        .unwrap();
    Team::wait_for("the end of the token", || {
        let (reason, _) = ready(tenant, "accesstoken", "ci");
        Ok((reason == "NotAllowed").then_some(()))
    })
    .unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let refused = tenant.composer(
        "refused",
        project,
        "ci",
        "composer update --no-interaction --no-progress 2>&1\n",
    );
    assert!(refused.is_err_and(|error| error.to_string().contains("token is not valid")));
}
