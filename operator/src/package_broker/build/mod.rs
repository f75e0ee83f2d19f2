//! The objects that should exist for a `PackageBroker`. Pure: no client.

pub(crate) mod administrator;
mod autoscaling;
mod deployment;
mod disruption;
mod expose;
pub(crate) mod job;
mod keys;
mod monitoring;
mod networkpolicy;
pub(crate) mod pod;
mod pod_template;
mod service;
mod settings;
mod state;
mod surroundings;
mod volume;

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service},
};
use kube::ResourceExt;
use package_broker_core::domain::keyring::{KeyRing, KeyRingError};
use package_broker_crds::PackageBroker;
use thiserror::Error;

use self::pod::Purpose;
pub(crate) use self::{
    autoscaling::as_scaled,
    deployment::replicas,
    state::{LARGEST, public_url, sync_request, without_cluster},
    surroundings::Surroundings,
};
use super::{
    servers::{File, KEYS, Servers},
    validate::Valid,
};
use crate::{args::Images, database::Access};

/// What the `ConfigMap` of settings is called after its broker.
const CONFIGURATION: &str = "configuration";
/// The file of settings, in that `ConfigMap` and in pods.
const SETTINGS: &str = "settings.json";

/// The port that clients connect to, in the pod.
const HTTP: i32 = 8080;
/// The port of probes, metrics and status, in the pod and in the service.
const OPERATIONS: i32 = 8081;
/// The port of the service that clients in the cluster connect to, and that routes lead to.
const SERVICE: i32 = 80;
/// The annotation of pods that says which state they were given last: a change has the node look at the pod at once, and
/// with it at what is mounted into it.
pub(crate) const STATE: &str = "package.broker/state";

/// All objects of an installation.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) backing: Backing,
    pub(crate) service: Service,
    pub(crate) deployment: Deployment,
    pub(crate) surroundings: Box<Surroundings>,
    /// What the status tells of what went in.
    pub(crate) summary: Summary,
}

/// What is beneath the pods.
#[derive(Debug)]
pub(crate) enum Backing {
    Embedded(Box<Embedded>),
    Servers(Box<Replicated>),
}

/// Everything in one pod.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) state: Secret,
    /// Tells one state from another.
    pub(crate) digest: String,
    pub(crate) volume: PersistentVolumeClaim,
}

/// State on servers.
#[derive(Debug)]
pub(crate) struct Replicated {
    /// The Secret with new keys, if there are none yet.
    pub(crate) new_keys: Option<Secret>,
    pub(crate) keys: KeyRing,
    pub(crate) access: Access,
    pub(crate) settings: ConfigMap,
    pub(crate) migration: Job,
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
    /// No random numbers, for instance.
    #[error("keys cannot be made: {0}")]
    Keys(#[from] KeyRingError),
    /// The same.
    #[error("a password cannot be made: {0}")]
    Random(String),
}

/// Builds them.
pub(super) fn build(
    broker: &PackageBroker,
    valid: &Valid,
    images: &Images,
) -> Result<Objects, BuildError> {
    let summary = Summary {
        image: image(broker, images),
        repositories: valid.counts.0,
        tokens: valid.counts.1,
        refused: valid.refused,
    };
    let (backing, deployment) = match &valid.servers {
        None => embedded(broker, valid, &summary)?,
        Some(servers) => replicated(broker, servers.clone(), &summary)?,
    };
    Ok(Objects {
        backing,
        service: service::build(broker),
        deployment,
        surroundings: Box::new(surroundings::build(broker)),
        summary,
    })
}

fn embedded(
    broker: &PackageBroker,
    valid: &Valid,
    summary: &Summary,
) -> Result<(Backing, Deployment), BuildError> {
    let (state, digest) = state::build(broker, valid)?;
    let embedded = Embedded {
        state,
        digest,
        volume: volume::build(broker),
    };
    let deployment = deployment::embedded(broker, &summary.image);
    Ok((Backing::Embedded(Box::new(embedded)), deployment))
}

fn replicated(
    broker: &PackageBroker,
    mut servers: Servers,
    summary: &Summary,
) -> Result<(Backing, Deployment), BuildError> {
    let (keys, new_keys) = if let Some(keys) = servers.keys.take() {
        (keys, None)
    } else {
        let made = KeyRing::generate()?;
        let secret = keys::build(broker, &made);
        servers.files.push(File {
            name: KEYS,
            secret: secret.name_any(),
            key: KEYS.to_owned(),
            value: made.to_text(),
        });
        (made, Some(secret))
    };
    let (settings, configuration) = settings::build(broker, &servers);
    let migrate = Purpose::Migrate(&servers);
    let serve = Purpose::Serve(&servers);
    let deployment = deployment::replicated(broker, &summary.image, serve, &configuration);
    let replicated = Replicated {
        new_keys,
        keys,
        migration: job::migration(broker, summary, migrate, &configuration),
        access: servers.access,
        settings,
    };
    Ok((Backing::Servers(Box::new(replicated)), deployment))
}

/// The name of an object of a broker.
pub(super) fn named(broker: &PackageBroker, what: &str) -> String {
    format!("{}-{what}", broker.name_any())
}

/// The image that the pods run: the operator's, with what the spec says instead.
pub(crate) fn image(broker: &PackageBroker, images: &Images) -> String {
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
