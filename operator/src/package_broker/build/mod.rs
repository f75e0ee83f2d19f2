//! The objects that should exist for a `PackageBroker`. Pure: no client.

mod autoscaling;
mod deployment;
mod disruption;
mod expose;
mod monitoring;
mod networkpolicy;
mod pod_template;
mod service;
mod state;
mod surroundings;
mod volume;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, Secret, Service},
};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;
use thiserror::Error;

pub(crate) use self::{
    state::{LARGEST, public_url, sync_request},
    surroundings::Surroundings,
};
use super::validate::Valid;
use crate::args::Images;

/// The port that clients connect to, in the pod.
const HTTP: i32 = 8080;
/// The port of probes, metrics and status, in the pod and in the service.
const OPERATIONS: i32 = 8081;
/// The port of the service that clients in the cluster connect to, and that routes lead to.
const SERVICE: i32 = 80;
/// Pods of a broker: only one can have the volume.
const REPLICAS: i32 = 1;
/// The annotation of pods that says which state they were given last: a change has the node look at the pod at once, and
/// with it at what is mounted into it.
pub(crate) const STATE: &str = "package.broker/state";

/// All objects of an installation.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) state: Secret,
    /// Tells one state from another.
    pub(crate) digest: String,
    pub(crate) volume: PersistentVolumeClaim,
    pub(crate) service: Service,
    pub(crate) deployment: Deployment,
    pub(crate) surroundings: Box<Surroundings>,
    /// What the status tells of what went in.
    pub(crate) summary: Summary,
}

/// What went into an installation.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) image: String,
    pub(crate) repositories: usize,
    pub(crate) tokens: usize,
    pub(crate) refused: usize,
}

/// Something cannot be written down.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    /// Not seen yet.
    #[error("the state cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// More than a Secret holds.
    #[error(
        "the repositories, tokens and Secrets of this broker take {0} bytes, and a Secret holds {LARGEST}: spread them over several PackageBrokers, or give this one a database"
    )]
    TooLarge(usize),
}

/// Builds them.
pub(super) fn build(
    broker: &PackageBroker,
    valid: &Valid,
    images: &Images,
) -> Result<Objects, BuildError> {
    let (state, digest) = state::build(broker, valid)?;
    let image = image(broker, images);
    Ok(Objects {
        state,
        digest,
        volume: volume::build(broker),
        service: service::build(broker),
        deployment: deployment::build(broker, &image),
        surroundings: Box::new(surroundings::build(broker, REPLICAS)),
        summary: Summary {
            image,
            repositories: valid.counts.0,
            tokens: valid.counts.1,
            refused: valid.refused,
        },
    })
}

/// The name of an object of a broker.
fn named(broker: &PackageBroker, what: &str) -> String {
    format!("{}-{what}", broker.name_any())
}

/// The image that the pods run: the operator's, with what the spec says instead.
fn image(broker: &PackageBroker, images: &Images) -> String {
    let Some(wanted) = &broker.spec.image else {
        return images.broker.clone();
    };
    let (ours, suffix) = split(&images.broker);
    let repository = wanted.repository.as_deref().unwrap_or(ours);
    match (&wanted.digest, &wanted.tag) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        (None, None) => format!("{repository}{suffix}"),
    }
}

/// The name of an image, and its tag or digest with what is in front of that.
fn split(image: &str) -> (&str, &str) {
    let end = image.find('@').or_else(|| {
        let name = image.rfind('/').map_or(0, |slash| slash + 1);
        image[name..].find(':').map(|colon| name + colon)
    });
    image.split_at(end.unwrap_or(image.len()))
}

#[cfg(test)]
mod tests;
