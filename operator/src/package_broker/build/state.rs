//! What an embedded broker is given: its manifests, in one Secret that is mounted into its pod.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Resource, ResourceExt};
use package_broker_crds::{
    API_VERSION, PackageBroker, RECONCILE_REQUESTED_AT, Repository, SYNC_REQUESTED_AT, TOKEN_SHA256,
};
use package_broker_kinds::SecretData;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BuildError, Valid, administrator, named};
use crate::{
    access_token::{Credential, credentials},
    children::{child_of, labels},
    repository::{credentials_secret, webhook_secret},
};

/// What a Secret holds at most: what the API server takes, less some room for the rest of the object.
pub(crate) const LARGEST: usize = 1_000_000;
/// The file in the pod.
const FILE: &str = "state.json";

/// The URL of an installation: the one that the spec says, else that of its service.
pub(crate) fn public_url(broker: &PackageBroker) -> String {
    let of_service = || {
        let namespace = broker.namespace().unwrap_or_default();
        format!("http://{}.{namespace}.svc", broker.name_any())
    };
    broker.spec.external_url.clone().unwrap_or_else(of_service)
}

/// The Secret, and a digest of what is in it.
pub(super) fn build(broker: &PackageBroker, valid: &Valid) -> Result<(Secret, String), BuildError> {
    let mut document = broker_document(broker)?;
    let administrator = administrator::secret_of(broker);
    let mut secrets = Secrets::default();
    if let Some(data) = &valid.administrator {
        document["spec"]["administrator"] = json!({"secretRef": {"name": administrator}});
        secrets.add(&administrator, data);
    }
    let mut items = vec![document];
    for (repository, found) in &valid.repositories {
        items.push(repository_document(repository)?);
        for (name, data) in [
            (credentials_secret(repository), &found.credentials),
            (webhook_secret(repository), &found.webhook),
        ] {
            if let (Some(name), Some(data)) = (name, data) {
                secrets.add(name, data);
            }
        }
    }
    for credential in credentials(&valid.tokens) {
        items.push(token_document(&credential)?);
    }
    let secrets = secrets.0.into_iter();
    items.extend(secrets.map(|(name, data)| secret_document(broker, name, &data)));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let text = serde_json::to_vec(&list)?;
    if text.len() > LARGEST {
        return Err(BuildError::TooLarge(text.len()));
    }
    let digest = hex::encode(&Sha256::digest(&text)[..8]);
    let name = named(broker, "state");
    let secret = Secret {
        metadata: child_of(broker, &name, labels(&broker.name_any())),
        type_: Some("package.broker/state".to_owned()),
        data: Some(BTreeMap::from([(FILE.to_owned(), ByteString(text))])),
        ..Secret::default()
    };
    Ok((secret, digest))
}

/// Secrets by name, each once: several objects may name one.
#[derive(Default)]
struct Secrets<'a>(BTreeMap<&'a str, BTreeMap<&'a str, ByteString>>);

impl<'a> Secrets<'a> {
    fn add(&mut self, name: &'a str, data: &'a SecretData) {
        let entries = data.iter().map(|(key, value)| {
            let value = ByteString(value.expose_secret().to_vec());
            (key.as_str(), value)
        });
        self.0.entry(name).or_default().extend(entries);
    }
}

/// Fields of a broker that are done here for it.
const IN_CLUSTER: &[&str] = &[
    "database",
    "storage",
    "cache",
    "replicas",
    "volume",
    "image",
    "resources",
    "deletionPolicy",
    "suspend",
    "expose",
    "autoscaling",
    "networkPolicy",
    "monitoring",
    "podTemplate",
    "allowedNamespaces",
];

/// The broker without what is done here for it, with the URL that clients use.
fn broker_document(broker: &PackageBroker) -> Result<Value, BuildError> {
    let mut spec = serde_json::to_value(&broker.spec)?;
    drop_fields(&mut spec, IN_CLUSTER);
    drop_fields(&mut spec["sync"], &["jobTemplate"]);
    spec["externalUrl"] = public_url(broker).into();
    Ok(document("PackageBroker", broker, &spec))
}

/// The same, as an object.
pub(crate) fn without_cluster(broker: &PackageBroker) -> Result<PackageBroker, BuildError> {
    Ok(serde_json::from_value(broker_document(broker)?)?)
}

fn repository_document(repository: &Repository) -> Result<Value, BuildError> {
    let spec = serde_json::to_value(&repository.spec)?;
    let mut document = document("Repository", repository, &spec);
    if let Some(request) = sync_request(repository) {
        document["metadata"]["annotations"] = json!({SYNC_REQUESTED_AT: request});
    }
    Ok(document)
}

/// A token as one of which the hash is known: the broker needs no more, and no token is in its state. When it ends is worked
/// out here, as is when another takes its place.
fn token_document(credential: &Credential<'_>) -> Result<Value, BuildError> {
    let mut spec = serde_json::to_value(&credential.of.spec)?;
    let here = ["secret", "suspend", "ttl", "rotation", "existingSecretRef"];
    drop_fields(&mut spec, &here);
    if let Some(end) = credential.expires_at {
        spec["expiresAt"] = serde_json::to_value(Time(end))?;
    }
    let mut document = document("AccessToken", credential.of, &spec);
    document["metadata"]["name"] = credential.name.as_str().into();
    document["metadata"]["annotations"] = json!({TOKEN_SHA256: hex::encode(credential.hash.0)});
    Ok(document)
}

/// What asks for a sync besides the interval: either of the annotations.
pub(crate) fn sync_request(repository: &Repository) -> Option<String> {
    let annotations = repository.annotations();
    let asked = [SYNC_REQUESTED_AT, RECONCILE_REQUESTED_AT];
    let asked: Vec<&str> = asked
        .iter()
        .filter_map(|key| annotations.get(*key).map(String::as_str))
        .collect();
    (!asked.is_empty()).then(|| asked.join(" "))
}

fn document<K: Resource<DynamicType = ()>>(kind: &str, object: &K, spec: &impl Serialize) -> Value {
    let mut metadata = json!({"name": object.name_any(), "namespace": object.namespace()});
    if let Some(generation) = object.meta().generation {
        metadata["generation"] = generation.into();
    }
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
}

fn secret_document(broker: &PackageBroker, name: &str, data: &BTreeMap<&str, ByteString>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": broker.namespace()},
        "data": data,
    })
}

fn drop_fields(spec: &mut Value, fields: &[&str]) {
    if let Some(spec) = spec.as_object_mut() {
        for field in fields {
            spec.shift_remove(*field);
        }
    }
}
