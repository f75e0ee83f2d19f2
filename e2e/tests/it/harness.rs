//! The harness by itself, without a broker: what fails here is not the broker's fault.

use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::composer_repository::StaticComposerRepository;
use package_broker_e2e::tree::PackageTree;
use serde_json::json;

#[test]
fn every_composer_installs_from_a_static_repository() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("lib");
    let tree = PackageTree::write(&tree, "acme/lib", "1.0.0", "Acme\\Lib", &json!({})).unwrap();
    let repository = StaticComposerRepository::start(&[tree]).unwrap();
    for version in ComposerVersion::ALL {
        let project = folder.path().join(format!("{version:?}"));
        let extra = json!({"require": {"acme/lib": "^1.0"}});
        let project =
            ComposerProject::create(version, &project, &repository.url(), &extra).unwrap();
        project.composer(&["install"]).unwrap().success().unwrap();
        let said = project
            .php("echo Acme\\Lib::VERSION;")
            .unwrap()
            .success()
            .unwrap();
        assert_eq!(said.stdout, "1.0.0", "{version:?}");
    }
    assert_eq!(repository.server().count("/dist/acme/lib-1.0.0.zip"), 3);
}
