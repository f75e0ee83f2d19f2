//! Packages from a bucket: from the manifest with its Secret to what Composer installs.

use package_broker_e2e::archive::zip_artifact;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::tree::PackageTree;
use serde_json::json;

use crate::servers::s3::S3Server;
use crate::support::eventually;
use crate::support::registry::Registry;

/// The archive of `acme/SHORT` with the class `Acme\SHORT\Info`, which requires `require`.
fn archive(short: &str, version: &str, require: &serde_json::Value) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (name, class) = (format!("acme/{short}"), format!("Acme\\{short}\\Info"));
    let tree = PackageTree::write(folder.path(), &name, version, &class, require).unwrap();
    zip_artifact(&tree).unwrap()
}

#[test]
fn packages_of_a_bucket_install() {
    let server = S3Server::start();
    server.put("acme/php/lib.zip", &archive("lib", "1.0.0", &json!({})));
    server.put(
        "acme/php/kits/kit.zip",
        &archive("kit", "1.0.0", &json!({"acme/lib": "^1.0"})),
    );
    server.put("acme/php-old/x.zip", &archive("old", "1.0.0", &json!({})));
    let more = json!({
        "bucket": {"endpoint": server.endpoint()},
        "credentialsSecretRef": {"name": "bucket"},
    });
    let manifests = Manifests::on_loopback()
        .secret(
            "bucket",
            &json!({"accessKeyId": S3Server::KEY, "secretAccessKey": S3Server::SECRET}),
        )
        .repository("artifacts", "artifact", "s3://acme/php", &more);
    let mut registry = Registry::start(&manifests);
    assert_eq!(server.take_counts(), (1, 2));

    let extra = json!({"require": {"acme/kit": "^1.0"}});
    let directory = registry.folder().join("project");
    let url = registry.broker.url();
    let project =
        ComposerProject::create(ComposerVersion::Debian, &directory, url, &extra).unwrap();
    project
        .authenticate(&registry.broker.auth_json(Manifests::TOKEN))
        .unwrap();
    project.composer(&["install"]).unwrap().success().unwrap();
    let said = project.php("echo Acme\\kit\\Info::VERSION;").unwrap();
    assert_eq!(said.success().unwrap().stdout, "1.0.0");
    let lock = project.lock().unwrap().to_string();
    assert!(lock.contains("acme/lib") && !lock.contains("s3:"), "{lock}");
    assert_eq!(server.take_counts(), (0, 2));

    server.put("acme/php/lib-2.zip", &archive("lib", "1.1.0", &json!({})));
    registry.sync("artifacts");
    assert_eq!(server.take_counts(), (1, 1));
    project.composer(&["update"]).unwrap().success().unwrap();
    let lock = project.lock().unwrap().to_string();
    assert!(lock.contains("1.1.0"), "{lock}");

    // What is published and stored outlives a key that no longer counts.
    let wrong = json!({"accessKeyId": S3Server::KEY, "secretAccessKey": "hunter2"});
    let manifests = registry.manifests().clone().secret("bucket", &wrong);
    registry.edit(&manifests);
    eventually("the refusal", || {
        (registry.said(&["access was denied"]) > 0).then_some(())
    });
    project.remove_vendor().unwrap();
    project.composer(&["install"]).unwrap().success().unwrap();
    let log = registry.broker.log();
    for secret in ["hunter2", S3Server::SECRET, "X-Amz", "Signature"] {
        assert!(!log.contains(secret), "{log}");
    }
}
