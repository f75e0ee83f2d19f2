//! What is started when, from what was found.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use package_broker_crds::{PackageBroker, Repository};
use serde_json::{Value, json};

use super::{
    dereference::{Found, Known},
    past::{Met, Past, Report},
    plan::plan,
};
use crate::database::RepositoryState;

const NOW: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn broker(at_once: i32) -> PackageBroker {
    let object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "PackageBroker",
        "metadata": {"name": "main", "namespace": "team"}, "spec": {"sync": {"maxConcurrent": at_once}},
    });
    serde_json::from_value(object).unwrap()
}

fn repository(name: &str, metadata: &Value, spec: &Value) -> Arc<Repository> {
    let mut object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "Repository",
        "metadata": {"name": name, "namespace": "team", "generation": 2},
        "spec": {"brokerRef": {"name": "main"}, "type": "git", "url": "https://git.example.com/acme/lib.git"},
    });
    for (part, fields) in [("metadata", metadata), ("spec", spec)] {
        for (field, value) in fields.as_object().into_iter().flatten() {
            object[part][field] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

fn state(generation: i64) -> RepositoryState {
    RepositoryState {
        generation: Some(generation),
        credentials: None,
    }
}

/// A sync of generation 2 that ended well so many seconds ago.
fn past(ago: i64) -> Past {
    Past {
        job: Some("job".to_owned()),
        started: at(-ago),
        ended: at(-ago),
        state: Some(state(2)),
        request: Met::Known(None),
        recorded: None,
        report: Arc::new(Report::default()),
        failures: 0,
    }
}

fn failed(ago: i64, failures: u32, lasting: bool) -> Past {
    let report = Report {
        error: Some("no answer".to_owned()),
        lasting,
        ..Report::default()
    };
    Past {
        report: Arc::new(report),
        failures,
        ..past(ago)
    }
}

fn known(name: &str, past: Option<Past>) -> Known {
    Known {
        repository: repository(name, &json!({}), &json!({})),
        state: state(2),
        past,
        running: None,
        is_stored: true,
        recorded: None,
    }
}

/// What is started, and in how many seconds it is to be looked at again.
fn decided(known: Known) -> (bool, Option<i64>) {
    let found = Found {
        repositories: vec![known],
        ..Found::default()
    };
    let plan = plan(&broker(4), &found, at(0));
    let next = plan.next.map(|next| next.as_second() - NOW);
    (!plan.start.is_empty(), next)
}

#[test]
fn a_repository_is_synced_when_it_is_due() {
    let asked = json!({"annotations": {"package.broker/sync-requested-at": "one"}});
    let with = |change: &dyn Fn(&mut Known)| {
        let mut known = known("lib", Some(past(10)));
        change(&mut known);
        decided(known).0
    };
    assert!(decided(known("lib", None)).0, "never synced");
    assert!(!with(&|_| {}), "synced");
    assert!(with(&|known| known.state = state(3)), "another spec");
    assert!(
        with(&|known| known.state.credentials = Some("7".to_owned())),
        "another Secret"
    );
    assert!(
        with(&|known| known.is_stored = false),
        "the database is another one"
    );
    assert!(
        with(&|known| known.repository = repository("lib", &asked, &json!({}))),
        "asked for by annotation"
    );
    assert!(
        !with(&|known| {
            known.repository = repository("lib", &asked, &json!({}));
            known.past.as_mut().unwrap().request = Met::Known(Some("one".to_owned()));
        }),
        "the request is met"
    );
    assert!(
        with(&|known| known.recorded = Some(7)),
        "asked for in the database"
    );
    assert!(
        !with(&|known| {
            known.recorded = Some(7);
            known.past.as_mut().unwrap().recorded = Some(7);
        }),
        "that is met"
    );
    assert!(
        !with(&|known| {
            known.state = state(3);
            known.running = Some("job".to_owned());
        }),
        "one is running"
    );
    assert!(
        !with(&|known| {
            known.past = None;
            known.repository = repository("lib", &json!({}), &json!({"suspend": true}));
        }),
        "suspended"
    );
}

#[test]
fn the_next_sync_comes_at_the_interval_and_sooner_after_a_failure() {
    for (past, least, most) in [
        (past(0), 3600, 3960),
        (failed(0, 1, false), 5, 6),
        (failed(0, 3, false), 20, 22),
        (failed(0, 30, false), 900, 990),
        (failed(0, 1, true), 900, 990),
    ] {
        let (is_started, next) = decided(known("lib", Some(past)));
        let next = next.unwrap();
        assert!(
            !is_started && (least..=most).contains(&next),
            "{least} {next} {most}"
        );
    }
    assert!(decided(known("lib", Some(past(4000)))).0);
}

#[test]
fn no_more_run_at_once_than_the_broker_allows() {
    let mut found = Found {
        repositories: vec![
            known("a", Some(past(5000))),
            known("b", None),
            known("c", Some(past(9000))),
            known("d", Some(past(7000))),
        ],
        running: 1,
        ..Found::default()
    };
    let names = |found: &Found| -> Vec<String> {
        let plan = plan(&broker(3), found, at(0));
        plan.start
            .iter()
            .map(|start| start.repository.name_any())
            .collect()
    };
    // What was never synced first, then what has been due for longest.
    assert_eq!(names(&found), ["b", "c"]);
    found.running = 3;
    assert!(names(&found).is_empty());
}

#[test]
fn while_a_sync_runs_what_the_last_one_found_stands() {
    let mut known = known("lib", Some(past(5000)));
    known.running = Some("next".to_owned());
    let found = Found {
        repositories: vec![known],
        ..Found::default()
    };
    let plan = plan(&broker(4), &found, at(0));
    let live = &plan.live[0];
    assert_eq!(live.last_sync.as_ref().unwrap().error, None);
    let jobs = live.jobs.as_ref().unwrap();
    assert_eq!(
        (jobs.last.as_deref(), jobs.is_running),
        (Some("next"), true)
    );
}

#[test]
fn a_job_tells_what_it_did_or_that_it_could_not() {
    let job = |condition: &str| -> Job {
        serde_json::from_value(json!({
            "metadata": {"name": "lib-sync-1", "annotations": {
                "package.broker/generation": "2", "package.broker/failures": "3",
            }},
            "status": {"conditions": [{
                "type": condition, "status": "True", "message": "it took too long",
                "lastTransitionTime": "2027-01-15T08:00:00Z",
            }]},
        }))
        .unwrap()
    };
    let of = |condition: &str, said: Option<&str>| {
        let job = job(condition);
        Past::of_job(&job, Arc::new(Report::of(&job, said)))
    };
    let good = of(
        "Complete",
        Some(
            r#"{"repository":"lib","result":"succeeded","started":"2027-01-15T07:59:00Z","seconds":1.0,"read":1,"changed":1,"removed":0,"packages":1,"versions":3,"skipped":0}"#,
        ),
    );
    assert_eq!((good.report.packages, good.failures), (Some(1), 0));
    assert_eq!(good.ended, "2027-01-15T08:00:00Z".parse().unwrap());
    assert!(good.is_of(&state(2)) && !good.is_of(&state(3)));
    let bad = of("Failed", Some(r#"{"error":"no answer","retryAfter":30}"#));
    assert_eq!((bad.report.retry_after, bad.failures), (Some(30), 4));
    let silent = of("Failed", None).report.error.clone().unwrap();
    assert!(
        silent.ends_with("without a report: it took too long"),
        "{silent}"
    );
}
