//! The statuses that were written last. A watch tells of a write only some time after it: until then, what is known of an
//! object is older than what was said of it, and the times of its conditions would be set anew.

use std::sync::Arc;

use kube::{Resource, core::object::HasStatus};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::remembered::Remembered;

/// Objects that are remembered, at most; when there are so many, all are forgotten, and what was seen counts.
const MOST: usize = 50_000;

/// The last status of each object that is newer than what the watch has told, by the object's uid.
#[derive(Debug, Default)]
pub(crate) struct Written(Remembered<String, Status, MOST>);

/// A status, and the version of the object that it was written over.
#[derive(Debug)]
struct Status {
    over: Option<String>,
    status: Value,
}

impl Written {
    /// The object with the status that was written over this very version of it, if one was.
    pub(crate) fn newest<K>(&self, object: Arc<K>) -> Arc<K>
    where
        K: Resource + HasStatus<Status: DeserializeOwned> + Clone,
    {
        let Some(uid) = &object.meta().uid else {
            return object;
        };
        let mut all = self.0.all();
        let Some(known) = all.get(uid) else {
            return object;
        };
        if known.over != object.meta().resource_version {
            // The watch has come to that write, or to what somebody else wrote.
            all.remove(uid);
            return object;
        }
        let Ok(status) = serde_json::from_value(known.status.clone()) else {
            return object;
        };
        drop(all);
        let mut newest = K::clone(&object);
        *newest.status_mut() = Some(status);
        Arc::new(newest)
    }

    /// Remembers what was written over this version.
    pub(crate) fn note(&self, object: &impl Resource, status: &impl Serialize) {
        let metadata = object.meta();
        let (Some(uid), Ok(status)) = (&metadata.uid, serde_json::to_value(status)) else {
            return;
        };
        let over = metadata.resource_version.clone();
        self.0.note(uid.clone(), Status { over, status });
    }
}

#[cfg(test)]
mod tests {
    use package_broker_crds::{AccessToken, AccessTokenStatus};
    use serde_json::json;

    use super::*;

    fn token(version: &str, fingerprint: Option<&str>) -> Arc<AccessToken> {
        let token = json!({
            "apiVersion": "package.broker/v1alpha1", "kind": "AccessToken",
            "metadata": {"name": "ci", "uid": "1", "resourceVersion": version},
            "spec": {"brokerRef": {"name": "main"}}, "status": {"fingerprint": fingerprint},
        });
        Arc::new(serde_json::from_value(token).unwrap())
    }

    fn fingerprint(token: &AccessToken) -> Option<&str> {
        token.status.as_ref()?.fingerprint.as_deref()
    }

    #[test]
    fn a_status_counts_from_when_it_is_written_and_until_the_watch_tells_of_another_version() {
        let written = Written::default();
        let seen = token("1", None);
        assert_eq!(fingerprint(&written.newest(Arc::clone(&seen))), None);
        for mine in ["first", "second"] {
            let status = AccessTokenStatus {
                fingerprint: Some(mine.to_owned()),
                ..AccessTokenStatus::default()
            };
            written.note(seen.as_ref(), &status);
            assert_eq!(fingerprint(&written.newest(Arc::clone(&seen))), Some(mine));
        }
        let next = written.newest(token("3", Some("theirs")));
        assert_eq!(fingerprint(&next), Some("theirs"));
        assert_eq!(fingerprint(&written.newest(seen)), None);
    }
}
