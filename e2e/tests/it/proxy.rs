//! Real clients through a proxy that terminates TLS and serves the broker under a path.

use std::path::Path;

use package_broker_e2e::archive::zip_artifact;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::composer_repository::StaticComposerRepository;
use package_broker_e2e::lock;
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::tree::PackageTree;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::proxy::{Prefix, Proxied, Proxy};
use crate::support::registry::{Registry, manifests};

const PATH: &str = "/r/team";

/// `acme/kit` (an artifact), which requires `acme/log` (from a Composer repository), behind a proxy.
struct World {
    registry: Registry,
    proxy: Proxy,
    url: String,
    folder: TempDir,
    _upstream: StaticComposerRepository,
}

impl World {
    fn start(prefix: Prefix) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = library(folder.path(), "log", &json!({}));
        let upstream = StaticComposerRepository::start(&[log]).unwrap();
        let artifacts = folder.path().join("artifacts");
        std::fs::create_dir(&artifacts).unwrap();
        let kit = library(folder.path(), "kit", &json!({"acme/log": "^1.0"}));
        std::fs::write(artifacts.join("kit.zip"), zip_artifact(&kit).unwrap()).unwrap();
        let all = manifests(&json!({}))
            .repository("log", "composer", &upstream.url(), &json!({}))
            .repository("kit", "artifact", artifacts.to_str().unwrap(), &json!({}));
        let mut registry = Registry::start(&all);
        let proxy = Proxy::start(registry.broker.url(), PATH, prefix);
        // The port of the proxy is known only now.
        let url = format!("{}{PATH}", proxy.origin());
        let external = json!({"externalUrl": url});
        registry.patch("PackageBroker", Manifests::BROKER, &external);
        Self {
            registry,
            proxy,
            url,
            folder,
            _upstream: upstream,
        }
    }

    fn project(&self, version: ComposerVersion) -> ComposerProject {
        let directory = self.folder.path().join(format!("project-{version:?}"));
        // Without `secure-http: false`, which the harness sets for others: everything is https.
        let extra = json!({
            "require": {"acme/kit": "^1.0"},
            "config": {"cafile": self.proxy.authority()},
        });
        let project = ComposerProject::create(version, &directory, &self.url, &extra).unwrap();
        let auth = self.registry.broker.auth_json(Manifests::TOKEN);
        project.authenticate(&auth).unwrap();
        project
    }
}

/// `acme/SHORT` 1.0.0 with the class `Acme\SHORT\Info`.
fn library(folder: &Path, short: &str, require: &Value) -> PackageTree {
    let (path, class) = (folder.join(short), format!("Acme\\{short}\\Info"));
    PackageTree::write(&path, &format!("acme/{short}"), "1.0.0", &class, require).unwrap()
}

#[test]
fn clients_install_through_a_proxy_that_strips_the_path() {
    clients_install(Prefix::Stripped);
}

#[test]
fn clients_install_through_a_proxy_that_keeps_the_path() {
    clients_install(Prefix::Kept);
}

fn clients_install(prefix: Prefix) {
    let world = World::start(prefix);
    for version in [ComposerVersion::Debian, ComposerVersion::Newest] {
        let project = world.project(version);
        succeed(&project, &["update"]);
        assert_installed(&project);
        assert_clean_lock(&world, &project);
        let log = world.proxy.take_log();
        assert_asked(&log, 200, "GET /r/team/packages.json");
        assert_asked(&log, 200, "GET /r/team/p2/acme/kit.json");
        assert_asked(&log, 200, "GET /r/team/p2/acme/log.json");
        assert_asked(&log, 200, "POST /r/team/notify-batch");
        // Metadata is compressed: the proxy's log would show it of archives as well.
        assert!(log.iter().any(|proxied| proxied.encoding != "-"), "{log:?}");
        assert_archives(&log);

        succeed(&project, &["update"]);
        let log = world.proxy.take_log();
        for path in ["packages.json", "p2/acme/kit.json", "p2/acme/log.json"] {
            assert_asked(&log, 304, &format!("GET {PATH}/{path}"));
        }
        assert!(log.iter().all(|proxied| proxied.status == 304), "{log:?}");

        project.remove_vendor().unwrap();
        project.remove_cache().unwrap();
        succeed(&project, &["install"]);
        assert_installed(&project);
        assert_archives(&world.proxy.take_log());
    }
}

fn succeed(project: &ComposerProject, arguments: &[&str]) {
    project.composer(arguments).unwrap().success().unwrap();
}

fn assert_installed(project: &ComposerProject) {
    let script = "echo Acme\\kit\\Info::VERSION, ' ', Acme\\log\\Info::VERSION;";
    let said = project.php(script).unwrap().success().unwrap();
    assert_eq!(said.stdout, "1.0.0 1.0.0");
}

fn assert_asked(log: &[Proxied], status: u16, request: &str) {
    let asked = |proxied: &&Proxied| proxied.request == request;
    let statuses: Vec<u16> = log
        .iter()
        .filter(asked)
        .map(|proxied| proxied.status)
        .collect();
    assert!(!statuses.is_empty(), "{request} is not in {log:?}");
    assert!(
        statuses.iter().all(|is| *is == status),
        "{request}: {log:?}"
    );
}

/// Both archives came through, and as the bytes that were hashed.
fn assert_archives(log: &[Proxied]) {
    let start = format!("GET {PATH}/dist/acme/");
    let archives: Vec<&Proxied> = log
        .iter()
        .filter(|proxied| proxied.request.starts_with(&start))
        .collect();
    assert_eq!(archives.len(), 2, "{log:?}");
    for archive in archives {
        assert_eq!(
            (archive.status, archive.encoding.as_str()),
            (200, "-"),
            "{log:?}"
        );
    }
}

/// Every URL is absolute, of https and below the public URL; no credentials.
fn assert_clean_lock(world: &World, project: &ComposerProject) {
    let (_, secret) = world.registry.broker.credentials(Manifests::TOKEN).unwrap();
    let lock = project.lock().unwrap();
    let faults = lock::faults(&lock, &world.url, &secret);
    assert_eq!(faults, Vec::<String>::new(), "{lock:#}");
    for package in lock["packages"].as_array().unwrap() {
        let text = package.to_string();
        let urls = text.matches("://").count();
        let ours = text.matches(&format!("\"{}/", world.url)).count();
        assert!(
            urls >= 2,
            "an archive and a place for notifications: {text}"
        );
        assert_eq!(urls, ours, "{text}");
    }
}
