//! `PackageBroker`: one installation, and all that makes it run.

mod apply;
pub(crate) mod build;
mod dereference;
mod pods;
mod status;
mod surroundings;
mod validate;

use std::sync::Arc;

use kube::{Resource, runtime::controller::Action};
use package_broker_crds::PackageBroker;

use crate::{context::Context, error::ReconcileError, runtime::failpoint::reach};

/// Brings an installation to what its spec says.
pub(crate) async fn reconcile(
    broker: Arc<PackageBroker>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if broker.meta().deletion_timestamp.is_some() || broker.spec.suspend {
        return status::rest(&broker, &context).await;
    }
    match bring(&broker, &context).await {
        Ok(action) => Ok(action),
        Err(error) => status::failed(&broker, error, &context).await,
    }
}

async fn bring(broker: &PackageBroker, context: &Context) -> Result<Action, ReconcileError> {
    let found = dereference::dereference(broker, context).await?;
    reach("broker.dereferenced");
    let valid = validate::validate(found);
    let objects = build::build(broker, &valid, &context.images)?;
    let applied = apply::apply(broker, objects, context).await?;
    status::write(broker, applied, context).await
}
