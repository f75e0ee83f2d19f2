//! Whether a `Repository` can be used, and how it goes. Pure: no client.

use kube::ResourceExt;
use package_broker_crds::{PackageBroker, Reason, Repository};
use package_broker_kinds::{credentials, egress, schedule};

use super::dereference::{Found, Named};
use crate::{
    member::{home, local_name},
    refusal::Refusal,
    runtime::{
        conditions::Verdict,
        live::{LastSync, LiveRepository},
    },
};

/// How it stands with it.
pub(super) fn validate(repository: &Repository, found: &Found) -> Verdict {
    let (namespace, name) = home(repository);
    let Some(broker) = &found.broker else {
        return Refusal::no_broker(&namespace, &name).verdict();
    };
    if let Err(refusal) = &found.admitted {
        return refusal.clone().verdict();
    }
    if let Err(refusal) = judge(repository, broker, &found.secret) {
        return refusal.verdict();
    }
    if repository.spec.suspend {
        return Verdict::Suspended;
    }
    let live = found.live.as_ref();
    let live = live.and_then(|live| live.repository(&local_name(repository)));
    let generation = repository.metadata.generation;
    match live.filter(|live| live.generation == generation) {
        Some(live) => judge_sync(live),
        None => Verdict::Progressing(
            Reason::DependencyNotReady,
            format!("waiting until PackageBroker \"{name}\" has taken it up"),
        ),
    }
}

fn judge_sync(live: &LiveRepository) -> Verdict {
    match &live.last_sync {
        None => Verdict::Progressing(Reason::Progressing, "the first sync is running".to_owned()),
        Some(LastSync { error: None, .. }) => Verdict::Ready(format!(
            "{} and {} are served",
            counted(live.packages.into(), "package"),
            counted(live.versions, "version"),
        )),
        Some(LastSync {
            error: Some(error),
            lasting,
            ..
        }) => {
            let message = format!("the last sync failed: {error}");
            if *lasting {
                Verdict::Stalled(Reason::SyncFailed, message)
            } else {
                Verdict::Retrying(Reason::SyncFailed, message)
            }
        }
    }
}

fn counted(number: i64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Whether it can be used under this broker and with this Secret.
///
/// # Errors
/// The first mistake.
pub(super) fn judge(
    repository: &Repository,
    broker: &PackageBroker,
    secret: &Named,
) -> Result<(), Refusal> {
    if let Some(refused) = egress::refused(&repository.spec, &broker.spec.egress).first() {
        let field = refused.path.join(".");
        let message = format!("{field} {}; {}", refused.message, refused.fix);
        return Err(Refusal::new(Reason::NotAllowed, message));
    }
    if let Some(mistake) = schedule::mistake(&repository.spec.sync) {
        let field = schedule::PATH.join(".");
        let message = format!("{field}: {}; {}", mistake.message, mistake.fix);
        return Err(Refusal::new(Reason::InvalidSpec, message));
    }
    let reference = repository.spec.credentials_secret_ref.as_ref();
    let name = reference.map_or("", |reference| reference.name.as_str());
    let field = "spec.credentialsSecretRef.name";
    let data = match secret {
        Named::None => return Ok(()),
        Named::Found(data) => data,
        Named::Missing => {
            let namespace = repository.namespace().unwrap_or_default();
            return Err(Refusal::no_secret(field, &namespace, name));
        }
    };
    let spec = &repository.spec;
    match credentials::check(spec.type_, &spec.url, data).first() {
        None => Ok(()),
        Some(mistake) => {
            let key = mistake.key.as_ref();
            let key = key.map(|key| format!(": key {key}")).unwrap_or_default();
            let (said, fix) = (&mistake.message, &mistake.fix);
            let message = format!("{field}: Secret \"{name}\"{key} {said}; {fix}");
            Err(Refusal::new(Reason::InvalidSecret, message))
        }
    }
}
