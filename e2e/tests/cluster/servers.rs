//! A `PackageBroker` on PostgreSQL, an S3 service and Redis: two pods that serve, Jobs that sync.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    backing::Servers,
    installs::{Sources, new_version, project},
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
    upgrade_under_load(&team, &project);
    lose_the_database(&team, &servers, &sources, &project);
    scale(&team);
    team.check_kstatus().unwrap();
}

/// An autoscaler and a budget come with what asks for them, and go with it.
fn scale(team: &Team) {
    let change = |spec: Value| {
        let patch = json!({"spec": spec}).to_string();
        team.kubectl(&[
            "patch",
            "packagebroker",
            "main",
            "--type=merge",
            "--patch",
            &patch,
        ])
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

fn status_of<'a>(object: &'a Value, type_: &str) -> &'a str {
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

/// Installs go on all the while that another release is rolled out, and that a pod dies: none fails.
fn upgrade_under_load(team: &Team, project: &Value) {
    let script = "\
        installs=0; until [ -e /tmp/end ] || [ $installs -ge 200 ]; do \
          rm -rf vendor composer.lock /tmp/cache; \
          COMPOSER_CACHE_DIR=/tmp/cache composer update --no-interaction --no-progress >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }; \
          installs=$((installs+1)); \
        done; echo $installs installs\n";
    team.start_composer("load", project, "ci", script).unwrap();
    Team::wait_for("the first installs", || {
        let pod = team.get("pod", "load")?;
        Ok((pod["status"]["phase"] == "Running").then_some(()))
    })
    .unwrap();
    thread::sleep(Duration::from_secs(3));
    let pods = serving(team);
    let next = json!({"spec": {"image": {"tag": "e2e-next"}}}).to_string();
    team.kubectl(&[
        "patch",
        "packagebroker",
        "main",
        "--type=merge",
        "--patch",
        &next,
    ])
    .unwrap();
    Team::wait_for("the rollout", || {
        let object = team.get("packagebroker", "main")?;
        let is_new = object["status"]["image"]
            .as_str()
            .is_some_and(|image| image.ends_with(":e2e-next"));
        let generation = &object["metadata"]["generation"];
        let is_seen = &object["status"]["observedGeneration"] == generation;
        Ok((is_new && is_seen && status_of(&object, "Ready") == "True").then_some(()))
    })
    .unwrap();
    let upgraded = serving(team);
    assert!(
        upgraded.iter().all(|pod| !pods.contains(pod)),
        "{pods:?} {upgraded:?}"
    );
    // Killed at once, as when its node is gone.
    team.kubectl(&["delete", "pod", &upgraded[0], "--force", "--grace-period=0"])
        .unwrap();
    Team::wait_for("another pod", || {
        let pods = serving(team);
        Ok((pods.len() == 2 && !pods.contains(&upgraded[0])).then_some(()))
    })
    .unwrap();
    team.wait_ready(&["packagebroker/main"]).unwrap();
    thread::sleep(Duration::from_secs(3));
    team.kubectl(&[
        "exec",
        "load",
        "--",
        "/usr/bin/bash",
        "-c",
        "echo > /tmp/end",
    ])
    .unwrap();
    let said = team.end_of("load").unwrap();
    println!(
        "during a rolling upgrade and the death of a pod: {}",
        said.trim()
    );
    let installs: u32 = said.trim().split(' ').next().unwrap().parse().unwrap();
    assert!(installs >= 5, "{said}");
}

/// Pods that serve and are ready.
fn serving(team: &Team) -> Vec<String> {
    let list = team
        .kubectl(&[
            "get",
            "pods",
            "--selector=app.kubernetes.io/name=package-broker",
            "--output=json",
        ])
        .unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let pods = list["items"].as_array().unwrap().iter();
    let ready = pods.filter(|pod| {
        status_of(pod, "Ready") == "True" && pod["metadata"]["deletionTimestamp"].is_null()
    });
    ready
        .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
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
