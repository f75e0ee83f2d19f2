//! What has sync Jobs begin on a cluster, and that there are never more at once than the broker allows.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use package_broker_e2e::{
    http::{HttpServer, Request, Response},
    place::Place,
};
use serde_json::{Value, json};

use super::{
    backing::Servers,
    manifests::{repository, with},
    servers::status_of,
    support::{Kube, Team},
    watched::Watched,
};

const REPOSITORY: &str = "package.broker/repository";
/// As long as the slow sources take to answer: Jobs that may run at once do so.
const SLOW: Duration = Duration::from_millis(1_500);
/// Several sources, more than may be read at once.
const MANY: [&str; 6] = ["slow-a", "slow-b", "slow-c", "slow-d", "slow-e", "slow-f"];

/// Composer repositories below one address: `/NAME` has the packages `acme/NAME-one` and `acme/NAME-two`. Those whose names
/// begin with `slow` are slow, and `closed` wants a password.
fn upstream() -> HttpServer {
    let place = Place::of_suites().unwrap();
    let address = place.address();
    place
        .inside(move || HttpServer::start_at(address, answer))
        .unwrap()
        .unwrap()
}

fn answer(request: &Request) -> Response {
    let told = |document: &Value| Response::new(200, "application/json", document.to_string());
    let mut parts = request.path.trim_start_matches('/').splitn(2, '/');
    let (name, rest) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let wanted = format!("Basic {}", STANDARD.encode("reader:second"));
    if name == "closed" && request.header("authorization") != Some(&wanted) {
        return Response::new(401, "text/plain", "who are you?");
    }
    if rest == "packages.json" {
        if name.starts_with("slow") {
            thread::sleep(SLOW);
        }
        let names = [format!("acme/{name}-one"), format!("acme/{name}-two")];
        return told(&json!({
            "packages": {}, "metadata-url": format!("/{name}/p2/%package%.json"), "available-packages": names,
        }));
    }
    let package = rest.trim_start_matches("p2/").trim_end_matches(".json");
    let dist = json!({"type": "zip", "url": "http://x.invalid/x.zip", "reference": "1"});
    let versions = match package.strip_suffix("~dev") {
        Some(_) => json!([]),
        None => json!([{"name": package, "version": "1.0.0", "dist": dist}]),
    };
    told(&json!({"packages": {package.trim_end_matches("~dev"): versions}}))
}

fn source(upstream: &HttpServer, name: &str, spec: &Value) -> Value {
    let url = format!("{}/{name}", upstream.url());
    let mut source = with(repository(name, &url), spec);
    source["spec"]["type"] = "composer".into();
    source
}

/// The sync Jobs of a namespace, as a watch has them.
struct Jobs(Watched);

impl Jobs {
    /// Those of one repository that ever were, by name, each as it was last.
    fn of(&self, repository: &str) -> Vec<Value> {
        let mut jobs = BTreeMap::new();
        for event in self.0.events() {
            let metadata = &event["object"]["metadata"];
            if metadata["labels"][REPOSITORY] == repository {
                jobs.insert(metadata["name"].to_string(), event["object"].clone());
            }
        }
        let mut jobs: Vec<Value> = jobs.into_values().collect();
        jobs.sort_by_key(|job| job["metadata"]["creationTimestamp"].to_string());
        jobs
    }

    /// Waits until so many of a repository's have come, and the last of them has ended.
    fn until(&self, repository: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} Jobs of {repository}");
        let jobs = Team::wait_for(&what, || {
            let jobs = self.of(repository);
            Ok((jobs.len() >= count && jobs.iter().all(has_ended)).then_some(jobs))
        });
        let jobs = jobs.unwrap();
        assert_eq!(jobs.len(), count, "{jobs:#?}");
        jobs
    }

    /// The largest number that ran at once since so many events.
    fn most_at_once(&self, since: usize) -> usize {
        let (mut running, mut most) = (BTreeSet::new(), 0);
        for event in self.0.events().iter().skip(since) {
            let (job, name) = (
                &event["object"],
                event["object"]["metadata"]["name"].to_string(),
            );
            if job["metadata"]["labels"][REPOSITORY].is_null() {
                continue;
            }
            if event["type"] == "DELETED" || has_ended(job) {
                running.remove(&name);
            } else {
                running.insert(name);
            }
            most = most.max(running.len());
        }
        most
    }
}

fn has_ended(job: &Value) -> bool {
    ["Complete", "Failed"]
        .iter()
        .any(|end| status_of(job, end) == "True")
}

fn patch(team: &Team, object: [&str; 2], spec: &Value) {
    team.patch(object, &json!({"spec": spec})).unwrap();
}

fn ask(team: &Team, names: &[&str], value: &str) {
    let request = format!("package.broker/sync-requested-at={value}");
    let mut annotate = vec!["annotate", "--overwrite", "repository", request.as_str()];
    annotate.splice(3..3, names.iter().copied());
    team.kubectl(&annotate).unwrap();
}

#[test]
fn syncs_begin_when_they_should_and_no_more_at_once_than_allowed() {
    let team = Kube::get().namespace("syncs");
    let (servers, upstream) = (Servers::start(), upstream());
    let jobs = Jobs(Watched::begin(&team, "jobs"));
    let mut documents = servers.secrets();
    let own = json!({"requests": {"cpu": "150m", "memory": "64Mi"}});
    documents.push(with(
        servers.broker(),
        &json!({"replicas": 1, "sync": {"maxConcurrent": 2, "jobTemplate": {"resources": own}}}),
    ));
    documents.extend(MANY.map(|name| source(&upstream, name, &json!({}))));
    team.apply(&documents).unwrap();
    for name in MANY {
        jobs.until(name, 1);
    }
    assert_eq!(jobs.most_at_once(0), 2);
    let container = |template: &Value| template["spec"]["containers"][0]["resources"].clone();
    for job in jobs.of(MANY[0]) {
        assert_eq!(container(&job["spec"]["template"]), own);
    }
    let main = team.get("deployment", "main").unwrap();
    assert_ne!(container(&main["spec"]["template"]), own);
    let before = jobs.0.events().len();
    patch(
        &team,
        ["packagebroker", "main"],
        &json!({"sync": {"maxConcurrent": 3}}),
    );
    team.wait_ready(&["packagebroker/main"]).unwrap();
    ask(&team, &MANY, "all");
    for name in MANY {
        jobs.until(name, 2);
    }
    assert_eq!(jobs.most_at_once(before), 3);

    let schedule = json!({"sync": {"schedule": "* * * * *"}});
    team.apply(&[source(&upstream, "timed", &schedule)])
        .unwrap();
    let announced = Team::wait_for("the time of the next sync", || {
        let object = team.get("repository", "timed")?;
        Ok(object["status"]["nextSyncTime"].as_str().map(str::to_owned))
    });
    on_changes(&team, &upstream, &jobs);
    on_credentials(&team, &upstream, &jobs);
    on_schedule(&jobs, &announced.unwrap());
    team.check_kstatus().unwrap();
}

/// Another `spec` is synced at once; what is no part of it is not.
fn on_changes(team: &Team, upstream: &HttpServer, jobs: &Jobs) {
    team.apply(&[source(upstream, "changing", &json!({}))])
        .unwrap();
    jobs.until("changing", 1);
    let packages = |wanted: i64| {
        Team::wait_for("the number of packages", || {
            let object = team.get("repository", "changing")?;
            Ok((object["status"]["packages"] == wanted).then_some(()))
        })
        .unwrap();
    };
    packages(2);
    team.kubectl(&["label", "repository", "changing", "team=php"])
        .unwrap();
    patch(
        team,
        ["repository", "changing"],
        &json!({"packages": {"exclude": ["acme/*-two"]}}),
    );
    packages(1);
    let synced = jobs.until("changing", 2);
    let generation =
        |job: &Value| job["metadata"]["annotations"]["package.broker/generation"].clone();
    assert_eq!(
        [generation(&synced[0]), generation(&synced[1])],
        ["1", "2"],
        "one Job for each spec"
    );
    ask(team, &["changing"], "once");
    jobs.until("changing", 3);
}

/// Another password is tried at once, long before a source that refused the one before would be asked again.
fn on_credentials(team: &Team, upstream: &HttpServer, jobs: &Jobs) {
    let login = |password: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"},
            "stringData": {"username": "reader", "password": password},
        })
    };
    let reference = json!({"credentialsSecretRef": {"name": "login"}});
    team.apply(&[login("first"), source(upstream, "closed", &reference)])
        .unwrap();
    jobs.until("closed", 1);
    let next = Team::wait_for("word of the refusal", || {
        let object = team.get("repository", "closed")?;
        let is_told =
            status_of(&object, "Ready") == "False" && object["status"]["consecutiveFailures"] == 1;
        Ok(is_told.then(|| object["status"]["nextSyncTime"].clone()))
    });
    let next: Timestamp = next.unwrap().as_str().unwrap().parse().unwrap();
    team.apply(&[login("second")]).unwrap();
    team.wait_ready(&["repository/closed"]).unwrap();
    assert!(Timestamp::now() < next, "it was due anyway: {next}");
    let synced = jobs.until("closed", 2);
    let version = |job: &Value| {
        let annotations = &job["metadata"]["annotations"];
        annotations["package.broker/credentials-version"].to_string()
    };
    assert_ne!(version(&synced[0]), version(&synced[1]));
}

/// It begins at the time that its status announced, which is one of its schedule with a delay of at most a tenth.
fn on_schedule(jobs: &Jobs, announced: &str) {
    let announced: Timestamp = announced.parse().unwrap();
    let after_the_minute = announced.as_second() % 60;
    assert!(after_the_minute <= 6, "{announced}");
    let began = Team::wait_for("the Job of a schedule", || {
        let second = jobs.of("timed").into_iter().nth(1);
        Ok(second.map(|job| job["metadata"]["creationTimestamp"].clone()))
    });
    let began: Timestamp = began.unwrap().as_str().unwrap().parse().unwrap();
    assert!(began >= announced, "{began} is before {announced}");
    println!(
        "a sync was begun {} s after the time of its schedule",
        began.as_second() - announced.as_second()
    );
}
