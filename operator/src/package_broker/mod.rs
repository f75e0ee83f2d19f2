//! `PackageBroker`: one installation, and all that makes it run.

mod apply;
pub(crate) mod build;
mod dereference;
pub(crate) mod migration;
pub(crate) mod pace;
mod parts;
mod pods;
mod rows;
pub(crate) mod servers;
pub(crate) mod settled;
mod status;
mod surroundings;
mod taken;
mod unreadable;
mod validate;

use std::{sync::Arc, time::Instant};

use kube::{Resource, ResourceExt, runtime::controller::Action};
use package_broker_crds::PackageBroker;

use crate::{context::Context, error::ReconcileError, runtime::failpoint::reach};

/// Brings an installation to what its spec says.
pub(crate) async fn reconcile(
    broker: Arc<PackageBroker>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let broker = context.written.newest(broker);
    if broker.meta().deletion_timestamp.is_some() || broker.spec.suspend {
        return status::rest(&broker, &context).await;
    }
    let key = (broker.namespace().unwrap_or_default(), broker.name_any());
    if let Some(left) = context.pace.left(&key) {
        return Ok(Action::requeue(left));
    }
    let began = Instant::now();
    // On the heap: it holds all that a broker is made of.
    let brought = Box::pin(bring(&broker, &context)).await;
    let objects = context.repositories.len() + context.tokens.len();
    context.pace.note(&key, began.elapsed(), objects);
    match brought {
        Ok(action) => Ok(action),
        Err(error) => status::failed(&broker, error, &context).await,
    }
}

async fn bring(broker: &PackageBroker, context: &Context) -> Result<Action, ReconcileError> {
    let unreadable = unreadable::of(broker, context).await?;
    if !unreadable.is_empty() {
        return status::refused(broker, &unreadable, context).await;
    }
    let inputs = settled::inputs(broker, context);
    if let Some(applied) = settled::again(broker, &inputs, context).await {
        return status::write(broker, applied, context).await;
    }
    let found = dereference::dereference(broker, context).await?;
    reach("broker.dereferenced");
    let mut valid = match validate::validate(broker, found) {
        Ok(valid) => valid,
        Err(faults) => return status::refused(broker, &faults, context).await,
    };
    let administrator = build::administrator::complete(broker, &mut valid)?;
    let objects = build::build(broker, &valid, &context.images)?;
    let taken = taken::of(broker, &objects, context).await?;
    if !taken.is_empty() {
        return status::refused(broker, &taken, context).await;
    }
    if let Some(secret) = &administrator {
        apply::keep(secret, context).await?;
        reach("broker.administrator-made");
    }
    let applied = apply::apply(broker, &valid, objects, context).await?;
    settled::note(broker, inputs, &applied, context);
    status::write(broker, applied, context).await
}

/// Whether a broker reads a Secret of this name in its namespace.
pub(crate) fn names_secret(broker: &PackageBroker, name: &str) -> bool {
    let names = dereference::secret_names(broker);
    names.iter().any(|secret| secret == name)
}

/// The servers of a broker as they are now; nothing if it has none, or none that could be used.
pub(crate) async fn servers_of(
    broker: &PackageBroker,
    context: &Context,
) -> Result<Option<servers::Servers>, ReconcileError> {
    let secrets = dereference::secrets(broker, context).await?;
    Ok(servers::validate(broker, &secrets).ok().flatten())
}
