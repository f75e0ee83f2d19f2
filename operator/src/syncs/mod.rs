//! Syncs of a broker on servers: Jobs in its namespace, as many at once as it allows.
//!
//! What is due follows from the resources, from the Jobs that are there and from the database; nothing else is kept. A
//! Job's name follows from what it is for, so that none is made twice.

mod apply;
mod dereference;
mod due;
mod job;
mod past;
mod plan;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Resource, runtime::controller::Action};
use package_broker_crds::PackageBroker;

use self::past::Report;
use crate::{
    context::Context,
    error::ReconcileError,
    runtime::{failpoint::reach, live::named, remembered::Remembered},
};

/// What this work on brokers is called.
pub(crate) const WORK: &str = "Syncs";
/// Reports and new Jobs that are remembered, at most; when there are so many, they are looked up anew.
const MOST: usize = 20_000;
/// A Job that was not seen for so long is gone: somebody deleted it at once.
const LOST_AFTER: Duration = Duration::from_mins(1);
/// The shortest time between two looks, so that what is due at nearly the same time is started together.
const SHORTEST: Duration = Duration::from_millis(50);

/// What is remembered of Jobs.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    /// What pods said at their end, by the uid of their Job. They say it once.
    reports: Remembered<String, Arc<Report>, MOST>,
    /// Jobs that were made and not seen yet, by namespace and name, and since when.
    unseen: Remembered<(String, String), Instant, MOST>,
}

/// Starts what is due, and says how it stands with each repository.
pub(crate) async fn reconcile(
    broker: Arc<PackageBroker>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if broker.meta().deletion_timestamp.is_some() || broker.spec.suspend {
        return Ok(Action::await_change());
    }
    let Some(found) = dereference::dereference(&broker, &context).await? else {
        // Nothing is declared yet: whoever does it has this looked at again.
        return Ok(Action::await_change());
    };
    reach("syncs.dereferenced");
    let now = Timestamp::now();
    let plan = plan::plan(&broker, &found, now);
    apply::apply(&broker, &plan, &found, &context).await?;
    context.note_live(&broker, |live| live.repositories = named(plan.live));
    context.backoffs.succeeded_at(WORK, broker.as_ref());
    Ok(match plan.next {
        Some(next) => {
            let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            Action::requeue(left.max(SHORTEST))
        }
        None => Action::await_change(),
    })
}
