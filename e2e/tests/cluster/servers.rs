//! A `PackageBroker` on PostgreSQL, an S3 service and Redis: two pods that serve, Jobs that sync.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    backing::Servers,
    installs::{Sources, new_version, project},
    load::upgrade_and_death,
    manifests::token,
    support::{Kube, Team},
};

const INSTALL: &str = "composer install --no-interaction --no-progress 2>&1\n";

#[test]
fn a_registry_on_servers_serves_upgrades_and_outlives_its_database() {
    let team = Kube::get().namespace("servers");
    let servers = Servers::start();
    let sources = Sources::of_debian(&["php-psr-log", "php-monolog"]);
    let mut documents = servers.secrets();
    documents.extend([servers.broker(), token("ci")]);
    documents.extend(sources.repositories());
    team.apply(&documents).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    team.wait_ready(&sources.objects()).unwrap();
    let broker = team.get("packagebroker", "main").unwrap();
    assert_eq!(broker["status"]["readyReplicas"], 2, "{broker:#}");
    for type_ in [
        "DatabaseReady",
        "StorageReady",
        "CacheReady",
        "Migrated",
        "Available",
    ] {
        assert_eq!(status_of(&broker, type_), "True", "{broker:#}");
    }
    let project = project(&team, &json!({"psr/log": "*", "monolog/monolog": "*"}));
    let said = team.composer("first", &project, "ci", INSTALL).unwrap();
    assert!(said.contains("Installing monolog/monolog"), "{said}");
    println!(
        "{}",
        team.kubectl(&["get", "package-broker,jobs,pods", "--output=wide"])
            .unwrap()
    );
    new_version(&team, &sources);
    asked_for_in_the_database(&team);
    team.check_kstatus().unwrap();
    upgrade_and_death(&team);
    lose_the_database(&team, &servers, &sources, &project);
    scale(&team);
    team.check_kstatus().unwrap();
}

/// An autoscaler and a budget come with what asks for them, and go with it.
fn scale(team: &Team) {
    let change = |spec: Value| {
        team.patch(["packagebroker", "main"], &json!({"spec": spec}))
            .unwrap();
    };
    let until = |kind: &str, there: bool| {
        Team::wait_for(kind, || {
            let found = team.attempt(&["get", kind, "main"])?;
            Ok((found.status.success() == there).then_some(()))
        })
        .unwrap();
    };
    until("poddisruptionbudget", true);
    change(json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 3}}));
    until("horizontalpodautoscaler", true);
    change(json!({"autoscaling": null}));
    until("horizontalpodautoscaler", false);
    team.kubectl(&["scale", "packagebroker/main", "--replicas=1"])
        .unwrap();
    until("poddisruptionbudget", false);
    team.wait_ready(&["packagebroker/main"]).unwrap();
    let broker = team.get("packagebroker", "main").unwrap();
    assert_eq!(broker["status"]["readyReplicas"], 1, "{broker:#}");
}

/// What a condition of an object says.
pub(super) fn status_of<'a>(object: &'a Value, type_: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == type_);
    found
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or("absent")
}

/// Whoever reaches the database only asks there for a sync, and is heard at once. Of each repository one Job stays.
fn asked_for_in_the_database(team: &Team) {
    let job = || team.get("repository", "fresh").unwrap()["status"]["job"].clone();
    let before = job();
    team.kubectl(&[
        "exec",
        "deployment/main",
        "--",
        "/package-broker",
        "request-sync",
        "fresh",
    ])
    .unwrap();
    let began = Instant::now();
    Team::wait_for("the sync that was asked for", || {
        Ok((job() != before).then_some(()))
    })
    .unwrap();
    println!(
        "a sync was begun {:?} after it was asked for",
        began.elapsed()
    );
    let jobs = || {
        let selector = "--selector=package.broker/repository=fresh";
        team.kubectl(&["get", "jobs", selector, "--no-headers"])
    };
    Team::wait_for("the end of the Jobs before", || {
        let text = jobs()?;
        let is_one = text.lines().count() == 1 && text.contains("Complete");
        Ok(is_one.then_some(()))
    })
    .unwrap();
}

/// Everything that follows from resources and Secrets comes back, and the token stays the same.
fn lose_the_database(team: &Team, servers: &Servers, sources: &Sources, project: &Value) {
    let token = |team: &Team| team.get("secret", "ci").unwrap()["data"]["password"].clone();
    let before = token(team);
    servers.drop_database();
    Team::wait_for("the missing database to be told", || {
        let object = team.get("packagebroker", "main")?;
        Ok((status_of(&object, "DatabaseReady") == "False").then_some(()))
    })
    .unwrap();
    println!(
        "{}",
        team.kubectl(&["get", "package-broker", "--output=wide"])
            .unwrap()
    );
    servers.create_database();
    team.wait_ready(&["packagebroker/main"]).unwrap();
    for object in sources.objects() {
        let (kind, name) = object.split_once('/').unwrap();
        Team::wait_for("a sync into the new database", || {
            let synced = servers.sql(&format!(
                "SELECT count(*) FROM packages WHERE repository = '{name}'"
            ))?;
            Ok(
                (synced == "1" && status_of(&team.get(kind, name)?, "Ready") == "True")
                    .then_some(()),
            )
        })
        .unwrap();
    }
    team.wait_ready(&["accesstoken/ci"]).unwrap();
    assert_eq!(before, token(team));
    let said = team.composer("after", project, "ci", INSTALL).unwrap();
    assert!(said.contains("Installing monolog/monolog"), "{said}");
}
