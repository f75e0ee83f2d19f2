//! The matrix: what people do with Composer, by each Composer version.

mod caches;

use std::path::Path;

use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::http::get;
use package_broker_e2e::lock;
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::process::{self, Finished};
use serde_json::{Value, json};

use crate::support::drivers::Running;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, eventually};
use crate::world::World;
use caches::{a_warm_cache_works_without_network, require_with_a_cold_and_a_warm_cache};

macro_rules! for_each_composer {
    ($($scenario:ident),+ $(,)?) => {
        mod composer_2_5 {
            $(#[test] fn $scenario() { super::$scenario(super::ComposerVersion::Debian); })+
        }
        mod composer_2_8 {
            $(#[test] fn $scenario() { super::$scenario(super::ComposerVersion::Trixie); })+
        }
        mod composer_newest {
            $(#[test] fn $scenario() { super::$scenario(super::ComposerVersion::Newest); })+
        }
    };
}

for_each_composer!(
    update_install_and_require,
    require_with_a_cold_and_a_warm_cache,
    questions_about_packages,
    a_branch_is_installed_by_commit,
    a_warm_cache_works_without_network,
    a_client_without_credentials_is_told,
    a_token_installs_what_is_in_its_scope,
    a_mirror_is_quiet_about_what_it_does_not_have,
);

#[test]
fn the_newest_composer_of_the_matrix_is_2_11_or_later() {
    let mut composer = ComposerVersion::Newest.command().unwrap();
    composer.args(["--version", "--no-ansi"]);
    composer.env("COMPOSER_ALLOW_SUPERUSER", "1");
    let said = process::run(composer, PATIENCE).unwrap().success().unwrap();
    let mut numbers = said
        .stdout
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(version >= (2, 11), "{said}");
}

fn run(project: &ComposerProject, arguments: &[&str]) -> Finished {
    let mut all = arguments.to_vec();
    all.extend(["--no-ansi"]);
    project.composer(&all).unwrap()
}

fn succeed(project: &ComposerProject, arguments: &[&str]) -> Finished {
    run(project, arguments).success().unwrap()
}

fn assert_clean_lock(world: &World, project: &ComposerProject) {
    let (_, secret) = world.broker.credentials(Manifests::TOKEN).unwrap();
    let lock = project.lock().unwrap();
    assert_eq!(
        lock::faults(&lock, world.broker.url(), &secret),
        Vec::<String>::new(),
        "{lock:#}"
    );
}

fn installed_versions(project: &ComposerProject) -> String {
    let script = "echo Acme\\kit\\Info::VERSION, ' ', Acme\\lib\\Info::VERSION, ' ', Acme\\log\\Info::VERSION;";
    project.php(script).unwrap().success().unwrap().stdout
}

fn update_install_and_require(version: ComposerVersion) {
    let world = World::start();
    let project = world.project(version, &json!({"acme/kit": "^1.0"}));
    succeed(&project, &["update"]);
    assert_eq!(installed_versions(&project), "1.0.0 1.1.0 1.1.0");
    assert_clean_lock(&world, &project);
    let lock = project.lock().unwrap();

    project.remove_vendor().unwrap();
    succeed(&project, &["install"]);
    project.remove_vendor().unwrap();
    project.remove_cache().unwrap();
    succeed(&project, &["install"]);
    assert_eq!(installed_versions(&project), "1.0.0 1.1.0 1.1.0");
    let archive = "/dist/acme/log-1.1.0.zip";
    assert_eq!(
        world.upstream.server().count(archive),
        1,
        "an archive is fetched once"
    );

    assert_update_changes_nothing(&project, &lock);

    succeed(&project, &["require", "acme/lib:1.0.0"]);
    assert_eq!(installed_versions(&project), "1.0.0 1.0.0 1.1.0");
    assert_clean_lock(&world, &project);
}

/// The broker knows the checksum of an archive it builds only once it has built it, that is after
/// the first install: this alone may be new in a second lock, and nothing in a third.
fn assert_update_changes_nothing(project: &ComposerProject, lock: &Value) {
    let again = succeed(project, &["update"]).stderr;
    assert!(again.contains("Nothing to modify in lock file"), "{again}");
    let second = project.lock().unwrap();
    let mut expected = lock.clone();
    for (index, package) in expected["packages"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        let shasum = &mut package["dist"]["shasum"];
        if shasum == "" {
            *shasum = second["packages"][index]["dist"]["shasum"].clone();
        }
    }
    assert_eq!(second, expected);
    succeed(project, &["update"]);
    assert_eq!(project.lock().unwrap(), second);
}

fn questions_about_packages(version: ComposerVersion) {
    let world = World::start();
    let project = world.project(version, &json!({"acme/kit": "^1.0"}));
    // Before anything is installed, so that it is the broker who finds it.
    let found = succeed(&project, &["search", "lib"]).stdout;
    assert!(
        found.contains("acme/lib") && !found.contains("acme/log"),
        "{found}"
    );
    succeed(&project, &["update"]);

    let shown = succeed(&project, &["show", "--all", "acme/lib"]).stdout;
    let versions = shown
        .lines()
        .find(|line| line.starts_with("versions"))
        .unwrap_or_default();
    for version in ["dev-main", "v2.0.0", "v1.1.0", "v1.0.0"] {
        assert!(
            versions.contains(version),
            "{version} is not among the {shown}"
        );
    }
    let listed = succeed(&project, &["show", "--all", "acme/*"]).stdout;
    assert!(
        listed.contains("acme/kit") && listed.contains("acme/log"),
        "{listed}"
    );

    let outdated = succeed(&project, &["outdated"]).stdout;
    assert!(
        outdated.contains("acme/lib") && outdated.contains("2.0.0"),
        "{outdated}"
    );
    assert!(!outdated.contains("acme/log"), "{outdated}");

    let audit = succeed(&project, &["audit"]);
    let said = format!("{}{}", audit.stdout, audit.stderr);
    assert!(
        said.contains("No security vulnerability advisories found"),
        "{audit}"
    );
    let prohibits = run(&project, &["prohibits", "acme/lib", "2.0.0"]);
    assert!(prohibits.stdout.contains("acme/kit"), "{prohibits}");
    assert!(prohibits.stdout.contains("requires"), "{prohibits}");
}

fn a_branch_is_installed_by_commit(version: ComposerVersion) {
    let world = World::start();
    let project = world.project(version, &json!({"acme/lib": "dev-main"}));
    succeed(&project, &["update"]);
    let said = project
        .php("echo Acme\\lib\\Info::VERSION;")
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(said.stdout, "main");
    assert_clean_lock(&world, &project);
    let lock = project.lock().unwrap();
    let reference = lock["packages"][0]["dist"]["reference"].as_str().unwrap();
    assert_eq!(reference.len(), 40, "{reference}");
    project.remove_vendor().unwrap();
    project.remove_cache().unwrap();
    succeed(&project, &["install"]);
}

fn a_client_without_credentials_is_told(version: ComposerVersion) {
    let world = World::start();
    let project = world.project_without_token(version, &json!({"acme/kit": "^1.0"}));
    let refused = run(&project, &["update"]);
    assert_ne!(refused.code(), 0, "{refused}");
    assert!(refused.stderr.contains("401"), "{refused}");
    assert!(!project.directory().join("composer.lock").exists());
    assert!(
        world
            .git
            .server()
            .requests()
            .iter()
            .all(|request| request.authorization.is_none())
    );
}

/// A broker over these manifests, and a project that reads from it with the token of every set.
fn broker_and_project(
    folder: &Path,
    manifests: &Manifests,
    version: ComposerVersion,
    extra: &Value,
) -> (Running, ComposerProject) {
    let broker = Running::start(manifests, folder);
    eventually("/readyz", || {
        let ready = get(&format!("{}/readyz", broker.metrics_url()), &[]).unwrap();
        (ready.status == 200).then_some(())
    });
    let directory = folder.join("project");
    let project = ComposerProject::create(version, &directory, broker.url(), extra).unwrap();
    project
        .authenticate(&broker.auth_json(Manifests::TOKEN))
        .unwrap();
    (broker, project)
}

fn a_token_installs_what_is_in_its_scope(version: ComposerVersion) {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.release("acme/secret", "1.0.0");
    let scopes = json!({"scopes": {"packages": ["acme/l*"]}});
    let manifests = Manifests::on_loopback()
        .repository("team", "composer", &upstream.url(), &json!({}))
        .patched("AccessToken", Manifests::TOKEN, &scopes);
    let folder = tempfile::tempdir().unwrap();
    let extra = json!({"require": {"acme/lib": "^1.0"}});
    let (_broker, project) = broker_and_project(folder.path(), &manifests, version, &extra);
    succeed(&project, &["update"]);
    assert_eq!(project.lock().unwrap()["packages"][0]["name"], "acme/lib");
    let refused = run(&project, &["require", "acme/secret:^1.0"]);
    assert_ne!(refused.code(), 0, "{refused}");
    assert!(refused.stderr.contains("could not be found"), "{refused}");
    let listed = succeed(&project, &["show", "--all", "acme/*"]).stdout;
    assert!(
        listed.contains("acme/lib") && !listed.contains("acme/secret"),
        "{listed}"
    );
}

fn a_mirror_is_quiet_about_what_it_does_not_have(version: ComposerVersion) {
    let public = Upstream::unlisted();
    public.release("globex/tool", "1.0.0");
    let packagist = json!({"packagist": {"enabled": true, "url": public.url()}});
    let manifests =
        Manifests::on_loopback().patched("PackageBroker", Manifests::BROKER, &packagist);
    let folder = tempfile::tempdir().unwrap();
    let extra = json!({
        "require": {"globex/tool": "^1.0", "globex/virtual": "^1.0"},
        "provide": {"globex/virtual": "1.0"},
    });
    let (_broker, project) = broker_and_project(folder.path(), &manifests, version, &extra);
    let updated = succeed(&project, &["update"]);
    assert!(public.asked("/p2/globex/virtual") > 0);
    let said = format!("{}{}", updated.stdout, updated.stderr);
    assert!(!said.contains("Warning from"), "{said}");
    assert_eq!(
        project.lock().unwrap()["packages"][0]["name"],
        "globex/tool"
    );
}
