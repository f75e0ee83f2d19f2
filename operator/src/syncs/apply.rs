//! Makes the Jobs of syncs, and passes on what is known.

use std::time::Instant;

use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use super::{dereference::Found, job, plan::Plan};
use crate::{
    context::Context,
    error::ReconcileError,
    package_broker,
    runtime::{failpoint::reach, jobs},
};

/// Makes those that are due, and removes those that say nothing any more.
pub(super) async fn apply(
    broker: &PackageBroker,
    plan: &Plan,
    found: &Found,
    context: &Context,
) -> Result<(), ReconcileError> {
    let of = (broker.namespace().unwrap_or_default(), broker.name_any());
    if let Some(opened) = context.databases.known(&of) {
        for request in &found.met {
            opened.met(request).await?;
            reach("syncs.request-met");
        }
    }
    for job in &found.superseded {
        jobs::delete(&context.client, job).await?;
        reach("syncs.superseded");
    }
    if plan.start.is_empty() {
        return Ok(());
    }
    let Some(servers) = package_broker::servers_of(broker, context).await? else {
        // Its reconcile says what is wrong with them.
        return Ok(());
    };
    let image = package_broker::build::image(broker, &context.images);
    for start in &plan.start {
        let job = job::build(broker, &image, &servers, start);
        let key = (job.namespace().unwrap_or_default(), job.name_any());
        if jobs::create(&context.client, &job).await? {
            context.syncs.unseen.note(key, Instant::now());
        }
        reach("syncs.begun");
    }
    Ok(())
}
