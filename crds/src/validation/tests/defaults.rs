//! What a document says by leaving fields out.

use serde_json::json;

use super::*;
use crate::SyncLimits;

#[test]
fn defaults_are_applied() {
    let Ok(Admitted::PackageBroker(broker)) =
        admit(&broker(json!({"limits": {"maxArchiveSize": "1Gi"}})))
    else {
        panic!("not admitted")
    };
    assert_eq!(broker.spec.packagist.url, "https://repo.packagist.org");
    assert_eq!(
        broker.spec.sync,
        SyncLimits {
            max_concurrent: 4,
            packages_per_repository: 4,
            per_host: 8,
            job_template: None,
        }
    );
    assert_eq!(broker.spec.limits.max_archive_size.bytes(), 1 << 30);
    assert_eq!(broker.spec.limits.max_metadata_size.bytes(), 128 << 20);
    assert_eq!(broker.spec.limits.requests_per_hour_per_address, None);
    let retention = broker.spec.audit.retention.duration();
    assert!(broker.spec.audit.enabled && retention.as_secs() == 90 * 24 * 3_600);
    let Ok(Admitted::Repository(repository)) = admit(&composer(json!({"sync": {"mode": "lazy"}})))
    else {
        panic!("not admitted")
    };
    // Whether there is a schedule decides what this means: the mapping knows.
    assert_eq!(repository.spec.sync.interval, None);
    assert_eq!(repository.spec.sync.timeout.duration().as_secs(), 600);
    let Ok(Admitted::AccessToken(token)) =
        admit(&token(json!({"existingSecretRef": {"name": "x"}})))
    else {
        panic!("not admitted")
    };
    assert_eq!(
        token
            .spec
            .existing_secret_ref
            .map(|reference| reference.key.to_string()),
        Some("token".to_owned())
    );
    assert!(token.spec.scopes.is_all());
    assert_eq!(token.spec.rate_limit, None);
}

/// Rust code that builds a spec with `Default` means the same as a document that says nothing.
#[test]
fn defaults_in_rust_and_in_the_schema_agree() {
    let Ok(Admitted::PackageBroker(admitted)) = admit(&broker(json!({}))) else {
        panic!("not admitted")
    };
    assert_eq!(admitted.spec, crate::PackageBrokerSpec::default());
}

/// A cluster takes `5.0` for an integer, and generators write it.
#[test]
fn whole_floats_are_integers() {
    let Ok(Admitted::Repository(repository)) = admit(&composer(json!({"priority": 5.0}))) else {
        panic!("not admitted")
    };
    assert_eq!(repository.spec.priority, 5);
    assert_eq!(
        verdict(&composer(json!({"priority": 5.5}))),
        "spec.priority: is a number, not a whole number; write a whole number"
    );
    assert_eq!(
        verdict(&composer(json!({"priority": 2e6}))),
        "spec.priority: is more than 1000000; write 1000000 or less"
    );
}
