//! Whether a `Repository` can be used, and how it goes. Pure: no client.

use kube::ResourceExt;
use package_broker_crds::{ConditionType, PackageBroker, Reason, Repository};
use package_broker_kinds::{
    SecretData,
    credentials::{self, Mistake},
    egress, schedule, webhook,
};

use super::dereference::{Found, Named, NamedSecrets, credentials_secret, webhook_secret};
use crate::{
    member::{home, local_name},
    refusal::Refusal,
    runtime::{
        conditions::{Fact, Verdict},
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
    if let Err(refusal) = judge(repository, broker, &found.secrets) {
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

/// Whether it can be used under this broker and with these Secrets.
///
/// # Errors
/// The first mistake.
pub(super) fn judge(
    repository: &Repository,
    broker: &PackageBroker,
    secrets: &NamedSecrets,
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
    judge_credentials(repository, secrets)?;
    let namespace = repository.namespace().unwrap_or_default();
    let name = webhook_secret(repository).unwrap_or_default();
    let field = webhook::PATH.join(".");
    let field = (field.as_str(), namespace.as_str(), name);
    check(field, &secrets.webhook, webhook::check)
}

/// Whether the source can be asked with this Secret.
fn judge_credentials(repository: &Repository, secrets: &NamedSecrets) -> Result<(), Refusal> {
    let namespace = repository.namespace().unwrap_or_default();
    let spec = &repository.spec;
    let name = credentials_secret(repository).unwrap_or_default();
    let field = ("spec.credentialsSecretRef.name", namespace.as_str(), name);
    check(field, &secrets.credentials, |data| {
        let mistakes = credentials::check(spec.type_, &spec.url, data);
        mistakes.into_iter().next()
    })
}

/// What is said of its credentials, if it has any.
pub(super) fn credentials_valid(repository: &Repository, secrets: &NamedSecrets) -> Option<Fact> {
    credentials_secret(repository)?;
    let judged = judge_credentials(repository, secrets);
    let good = "the Secret holds what the source asks for";
    let (reason, message) = match &judged {
        Ok(()) => (Reason::Succeeded, good.to_owned()),
        Err(refusal) => (refusal.reason, refusal.message.clone()),
    };
    Some(Fact {
        type_: ConditionType::CredentialsValid,
        holds: judged.is_ok(),
        reason,
        message,
    })
}

/// Whether a Secret is there and holds what it should.
fn check(
    (field, namespace, name): (&str, &str, &str),
    secret: &Named,
    mistake: impl Fn(&SecretData) -> Option<Mistake>,
) -> Result<(), Refusal> {
    let data = match secret {
        Named::None => return Ok(()),
        Named::Found(data) => data,
        Named::Missing => return Err(Refusal::no_secret(field, namespace, name)),
    };
    match mistake(data) {
        None => Ok(()),
        Some(mistake) => {
            let message = mistake.in_secret(field, name);
            Err(Refusal::new(Reason::InvalidSecret, message))
        }
    }
}
