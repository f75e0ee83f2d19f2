//! The Job of a sync. Pure: no client.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use super::{
    past::{CREDENTIALS, FAILURES, GENERATION, RECORDED, REPOSITORY, REQUEST},
    plan::Start,
};
use crate::{
    children::short_name,
    database::digest,
    member::local_name,
    package_broker::{
        build::{
            job::{SYNC, Task, build as build_job},
            pod::Purpose,
        },
        servers::Servers,
    },
};

/// How long a Job that has ended stays, for people to look at.
const KEPT: Duration = Duration::from_hours(1);
/// What a Job may take besides the sync itself: to be scheduled, for instance, or for its image to be pulled.
const AROUND: Duration = Duration::from_mins(10);

/// The Job. Its name is the same for the same sync, however often it is begun.
pub(super) fn build(broker: &PackageBroker, image: &str, servers: &Servers, start: &Start) -> Job {
    let repository = local_name(start.repository.as_ref());
    let annotation = |key: &str, value: Option<String>| Some((key.to_owned(), value?));
    let annotations = [
        annotation(GENERATION, start.state.generation.map(|n| n.to_string())),
        annotation(CREDENTIALS, start.state.credentials.clone()),
        annotation(REQUEST, start.request.clone()),
        annotation(RECORDED, start.recorded.map(|n| n.to_string())),
        annotation(
            FAILURES,
            (start.failures > 0).then(|| start.failures.to_string()),
        ),
    ];
    let annotations: BTreeMap<String, String> = annotations.into_iter().flatten().collect();
    let uid = start.repository.uid().unwrap_or_default();
    let after = start.after.map(|after| after.to_string());
    let mut parts = vec![uid, after.unwrap_or_default()];
    parts.extend(annotations.values().cloned());
    let of = digest(parts.iter().map(String::as_bytes));
    let timeout = start.repository.spec.sync.timeout.duration();
    let task = Task {
        name: short_name(&repository, &format!("sync-{}", hex::encode(&of[..5]))),
        component: SYNC,
        annotations,
        labels: BTreeMap::from([(REPOSITORY.to_owned(), repository.clone())]),
        limit: timeout.saturating_add(AROUND),
        kept: Some(KEPT),
    };
    build_job(broker, image, Purpose::Sync(servers, &repository), task)
}
