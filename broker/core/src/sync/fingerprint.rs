//! Which settings a repository was read under.

use sha2::{Digest, Sha256};

use crate::domain::repository::Repository;

/// A digest of the settings that decide what is read. Priority and credentials are not among them.
pub(crate) fn fingerprint(repository: &Repository) -> String {
    let mut hash = Sha256::new();
    let path = repository.path.as_deref().unwrap_or_default();
    for part in [repository.kind.as_str(), &repository.url, path] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(serde_json::to_vec(&repository.filter).unwrap_or_default());
    if !repository.versions.is_all() {
        hash.update(serde_json::to_vec(&repository.versions).unwrap_or_default());
    }
    if !repository.refs.is_empty() {
        hash.update(serde_json::to_vec(&repository.refs).unwrap_or_default());
    }
    if let Some(endpoint) = &repository.bucket.endpoint {
        hash.update(endpoint);
    }
    hex::encode(hash.finalize().get(..16).unwrap_or_default())
}
