//! Real packages: the upstream trees in Debian's sources, as git repositories with tags.

mod expected;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use package_broker_e2e::broker::Broker;
use package_broker_e2e::cache::Cache;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::debian;
use package_broker_e2e::git::GitServer;
use package_broker_e2e::lock;
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::tree::{PackageTree, files_below};
use serde_json::{Map, Value, json};

use expected::{DEPENDENCIES, REPLACED, REQUIRED};

const SYNC_LIMIT: Duration = Duration::from_mins(5);

/// Symfony's many bridges to hosted services and its bundles add time but nothing new;
/// `symfony/intl` is 19 MB of tables.
fn is_served(package: &PackageTree) -> bool {
    let endings = [
        "-notifier",
        "-mailer",
        "-messenger",
        "-provider",
        "-bundle",
        "-bridge",
    ];
    package.name != "symfony/intl" && !endings.iter().any(|end| package.name.ends_with(end))
}

fn make_repositories(git: &GitServer, packages: &[PackageTree]) -> Manifests {
    packages
        .iter()
        .fold(Manifests::on_loopback(), |manifests, package| {
            let repository = git.create(&package.name).unwrap();
            let tag = format!("v{}", package.version);
            repository
                .commit("main", &package.path, &format!("Release {tag}"), 0)
                .unwrap();
            repository.tag(&tag, "main").unwrap();
            let name = package.name.replace(['/', '.', '_'], "-");
            manifests.repository(&name, "git", &git.url(&package.name), &json!({}))
        })
}

fn project(folder: &Path, broker: &Broker) -> ComposerProject {
    let require: Map<String, Value> = REQUIRED
        .iter()
        .map(|(name, _)| ((*name).to_owned(), json!("*")))
        .collect();
    let replace: Map<String, Value> = REPLACED
        .iter()
        .map(|name| ((*name).to_owned(), json!("*")))
        .collect();
    let extra = json!({"require": require, "replace": replace});
    let project =
        ComposerProject::create(ComposerVersion::Debian, folder, broker.url(), &extra).unwrap();
    project
        .authenticate(&broker.auth_json(Manifests::TOKEN))
        .unwrap();
    project
}

#[test]
fn a_package_is_taken_from_a_folder_of_a_big_repository() {
    let packages = debian::packages(&Cache::from_environment().unwrap()).unwrap();
    let package = packages
        .iter()
        .find(|package| package.name == "illuminate/macroable")
        .unwrap();
    let path = "src/Illuminate/Macroable";
    assert!(package.path.ends_with(path), "{}", package.path.display());
    let framework = package.path.ancestors().nth(3).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let git = GitServer::start(folder.path()).unwrap();
    let repository = git.create("laravel").unwrap();
    repository.commit("main", framework, "Release", 0).unwrap();
    repository
        .tag(&format!("v{}", package.version), "main")
        .unwrap();
    let manifests = folder.path().join("manifests");
    let options = json!({"git": {"path": path}});
    Manifests::on_loopback()
        .repository("macroable", "git", &git.url("laravel"), &options)
        .write(&manifests)
        .unwrap();
    let mut broker = Broker::start(&manifests, &folder.path().join("data")).unwrap();
    broker
        .wait_for_packages(Manifests::TOKEN, ["illuminate/macroable"], SYNC_LIMIT)
        .unwrap();

    let directory = folder.path().join("project");
    let extra = json!({"require": {"illuminate/macroable": "^8.0"}});
    let project =
        ComposerProject::create(ComposerVersion::Newest, &directory, broker.url(), &extra).unwrap();
    project
        .authenticate(&broker.auth_json(Manifests::TOKEN))
        .unwrap();
    project.composer(&["install"]).unwrap().success().unwrap();
    let installed = files_below(&directory.join("vendor/illuminate/macroable")).unwrap();
    assert_eq!(installed, files_below(&package.path).unwrap());
}

#[test]
fn real_packages_from_git_are_installed_and_load() {
    let mut packages = debian::packages(&Cache::from_environment().unwrap()).unwrap();
    packages.retain(is_served);
    assert!(
        packages.len() >= debian::MINIMUM,
        "only {} are served",
        packages.len()
    );

    let folder = tempfile::tempdir().unwrap();
    let repositories = folder.path().join("git");
    std::fs::create_dir(&repositories).unwrap();
    let git = GitServer::start(&repositories).unwrap();
    let manifests = folder.path().join("manifests");
    make_repositories(&git, &packages)
        .write(&manifests)
        .unwrap();

    let mut broker = Broker::start(&manifests, &folder.path().join("data")).unwrap();
    let names = packages.iter().map(|package| package.name.as_str());
    broker
        .wait_for_packages(Manifests::TOKEN, names, SYNC_LIMIT)
        .unwrap();

    let project = project(&folder.path().join("project"), &broker);
    project
        .composer(&["update", "--no-ansi", "--no-progress"])
        .unwrap()
        .success()
        .unwrap();
    let lock = project.lock().unwrap();
    let (_, secret) = broker.credentials(Manifests::TOKEN).unwrap();
    assert_eq!(
        lock::faults(&lock, broker.url(), &secret),
        Vec::<String>::new()
    );
    let installed = lock["packages"].as_array().unwrap();
    let installed: BTreeSet<&str> = installed
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    assert!(
        installed.len() >= 25,
        "only {} were installed: {installed:?}",
        installed.len()
    );
    assert_classes_load(&project, &installed);
}

fn assert_classes_load(project: &ComposerProject, installed: &BTreeSet<&str>) {
    let mut expected = Vec::new();
    for (package, class) in REQUIRED.iter().chain(DEPENDENCIES) {
        assert!(installed.contains(package), "{package} was not installed");
        expected.push(*class);
    }
    let classes = serde_json::to_string(&expected).unwrap();
    let script = format!(
        "foreach (json_decode('{}') as $name) {{
            if (!class_exists($name) && !interface_exists($name) && !trait_exists($name)) {{
                echo $name, PHP_EOL;
            }}
        }}
        trigger_deprecation('', '', 'the function of symfony/deprecation-contracts is there');",
        classes.replace('\\', "\\\\")
    );
    let said = project.php(&script).unwrap().success().unwrap();
    assert_eq!(said.stdout.lines().next(), None, "these do not load");
}
