//! Writes to the API server: server-side apply, and only of what is not so already.

use std::fmt::Debug;

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::remembered::Remembered;

/// Who owns the fields that the operator sets.
pub(crate) const MANAGER: &str = "package-broker-operator";

/// Objects that are remembered, at most. Those that are gone are forgotten with all others when there are so many: each
/// is then applied once more, which changes nothing.
const MOST: usize = 50_000;

/// Applies objects, and remembers what they looked like.
pub(crate) struct Applier {
    client: Client,
    applied: Remembered<String, Applied, MOST>,
}

/// What was applied last, and which version of the object that made.
#[derive(Clone, PartialEq, Eq)]
struct Applied {
    digest: [u8; 32],
    version: Option<String>,
}

impl Applier {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            applied: Remembered::default(),
        }
    }

    /// Makes the object be as described, and returns what it is then. Nothing is asked of the API server, and nothing
    /// returned, if that was applied before and the object still has the version, `present`, that came of it.
    ///
    /// # Errors
    /// What the API server says.
    pub(crate) async fn apply<K>(
        &self,
        object: &K,
        present: Option<String>,
    ) -> Result<Option<K>, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let version = |metadata: &ObjectMeta| metadata.resource_version.clone();
        self.apply_by(object, present, version).await
    }

    /// Like `apply`, where `version` says which version of an object a change makes another one.
    ///
    /// # Errors
    /// What the API server says.
    pub(crate) async fn apply_by<K>(
        &self,
        object: &K,
        present: Option<String>,
        version: fn(&ObjectMeta) -> Option<String>,
    ) -> Result<Option<K>, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let namespace = object.namespace().unwrap_or_default();
        let name = object.name_any();
        let key = format!("{}/{namespace}/{name}", K::kind(&()));
        let text = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
        let digest = Sha256::digest(&text).into();
        if present.is_some()
            && self.applied.get(&key)
                == Some(Applied {
                    digest,
                    version: present,
                })
        {
            return Ok(None);
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let params = PatchParams::apply(MANAGER).force();
        let made = api.patch(&name, &params, &Patch::Apply(object)).await?;
        let version = version(made.meta());
        self.applied.note(key, Applied { digest, version });
        Ok(Some(made))
    }
}
