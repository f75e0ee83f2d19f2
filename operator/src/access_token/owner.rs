//! Whose a Secret is: one that was made for another object, or by somebody else, is not touched.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use package_broker_crds::{AccessToken, CreationPolicy, Reason};

use crate::{
    children::{child_of, is_child, labels, orphan},
    refusal::Refusal,
};

/// The `AccessToken` that a Secret was made for which stays without it: an owner reference would take the Secret along.
const NAME: &str = "package.broker/access-token";
/// Which of several of this name, one after the other.
const UID: &str = "package.broker/access-token-uid";

/// Metadata of the Secret of a token, with what the spec adds. What the operator goes by comes last, so that it stands.
pub(super) fn metadata(token: &AccessToken, name: &str) -> ObjectMeta {
    let ours = labels(token.spec.broker_ref.name.as_str());
    let mut metadata = if stays(token) {
        orphan(token, name, ours.clone())
    } else {
        child_of(token, name, ours.clone())
    };
    let template = token.spec.secret.as_ref().map(|secret| &secret.template);
    let (mut labels, mut annotations) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in template.iter().flat_map(|template| &template.labels) {
        labels.insert(key.clone(), value.as_str().to_owned());
    }
    for (key, value) in template.iter().flat_map(|template| &template.annotations) {
        annotations.insert(key.clone(), value.as_str().to_owned());
    }
    labels.extend(ours);
    if stays(token) {
        annotations.insert(NAME.to_owned(), token.name_any());
        annotations.extend(token.uid().map(|uid| (UID.to_owned(), uid)));
    }
    metadata.labels = Some(labels);
    metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
    metadata
}

/// Checks that a Secret is the token's: made for it, or left by one of the same name where both say that it stays.
///
/// # Errors
/// What to do about it.
pub(super) fn check(token: &AccessToken, secret: &Secret) -> Result<(), Refusal> {
    if is_child(secret.metadata.owner_references.as_ref(), token) || is_left_to(token, secret) {
        return Ok(());
    }
    let name = secret.name_any();
    let message = if secret.annotations().get(NAME) == Some(&token.name_any()) {
        format!(
            "the Secret \"{name}\" is of an earlier AccessToken of this name; delete it, or take over the token in it with spec.secret.creationPolicy: Orphan"
        )
    } else {
        format!(
            "there is a Secret \"{name}\" that is not of this AccessToken; delete it, or choose another name in spec.secret.name"
        )
    };
    Err(Refusal::new(Reason::Conflict, message))
}

fn is_left_to(token: &AccessToken, secret: &Secret) -> bool {
    let owners = secret.metadata.owner_references.iter().flatten();
    let is_controlled = owners
        .into_iter()
        .any(|owner| owner.controller == Some(true));
    let annotations = secret.annotations();
    let is_same = token.uid().is_some() && annotations.get(UID) == token.metadata.uid.as_ref();
    let is_of_name = annotations.get(NAME) == Some(&token.name_any());
    !is_controlled && is_of_name && (is_same || stays(token))
}

/// Whether the Secret stays when the token's object goes.
fn stays(token: &AccessToken) -> bool {
    let secret = token.spec.secret.as_ref();
    secret.is_some_and(|secret| secret.creation_policy == CreationPolicy::Orphan)
}
