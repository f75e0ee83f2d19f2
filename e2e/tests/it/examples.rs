//! `examples/` works as it stands.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use package_broker_e2e::archive::zip_artifact;
use package_broker_e2e::broker::Broker;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::tree::PackageTree;
use serde_json::json;

const PACKAGES: [&str; 3] = ["lib", "clock", "app-kit"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn contents(zip: &[u8]) -> BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut contents = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        contents.insert(file.name().unwrap().into_owned(), text);
    }
    contents
}

/// With `UPDATE_EXAMPLES=1` it writes the archives instead of comparing them.
#[test]
fn the_committed_archives_hold_the_example_packages() {
    for package in PACKAGES {
        let tree = root().join("examples/packages").join(package);
        let tree = PackageTree::read(&tree, "1.0.0").unwrap();
        let fresh = zip_artifact(&tree).unwrap();
        let file = root().join(format!("examples/artifacts/acme-{package}-1.0.0.zip"));
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            fs::write(&file, &fresh).unwrap();
        }
        let committed = fs::read(&file).unwrap_or_default();
        assert_eq!(
            contents(&committed),
            contents(&fresh),
            "{} is old: run the tests once with UPDATE_EXAMPLES=1",
            file.display()
        );
    }
}

#[test]
fn the_examples_install() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut broker = Broker::start_in(&root(), Path::new("examples"), &data).unwrap();
    let names = ["acme/lib", "acme/clock", "acme/app-kit"];
    broker
        .wait_for_packages("developers", names, Duration::from_mins(1))
        .unwrap();

    let extra = json!({"require": {"acme/app-kit": "^1.0"}});
    let project = folder.path().join("project");
    let project =
        ComposerProject::create(ComposerVersion::Debian, &project, broker.url(), &extra).unwrap();
    project
        .authenticate(&broker.auth_json("developers"))
        .unwrap();
    project.composer(&["install"]).unwrap().success().unwrap();
    let script = "echo (new Acme\\AppKit\\App(new Acme\\Lib\\Greeter(), new Acme\\Clock\\FixedClock('12:00')))->run();";
    let said = project.php(script).unwrap().success().unwrap().stdout;
    assert_eq!(said, "12:00 Hello, Composer!");
}
