//! `examples/cluster` works as its README says: the very files, with other hosts, credentials and images.

use std::{
    fs,
    path::{Path, PathBuf},
};

use package_broker_e2e::git::GitServer;

use super::{
    backing::Servers,
    support::{Kube, Team, git_server},
    tls::TlsServer,
};

const OBJECTS: [&str; 3] = [
    "packagebroker/main",
    "repository/acme-lib",
    "accesstoken/ci",
];
/// What the registry logs in with at the git server.
const LOGIN: &str = "reader-of-acme";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A git server that asks for TLS, with a package.
struct Source {
    tls: TlsServer,
    git: GitServer,
    _folder: tempfile::TempDir,
}

impl Source {
    /// `acme/lib` as it is in `examples/packages`.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = git_server(folder.path());
        let lib = git.create("acme/lib").unwrap();
        let tree = examples().join("packages/lib");
        lib.commit("main", &tree, "first", 0).unwrap();
        lib.tag("1.0.0", "main").unwrap();
        Self {
            tls: TlsServer::before(&git.server().url()),
            git,
            _folder: folder,
        }
    }

    /// What the README says to put in place of what.
    fn changes(&self) -> Vec<(&'static str, String)> {
        let password = format!("password: {LOGIN}\n  ca.crt: |\n");
        let authority = self.tls.authority();
        let authority = authority.lines().map(|line| format!("    {line}\n"));
        vec![
            ("https://git.example.com", self.tls.url()),
            (
                "password: change-me\n",
                password + &authority.collect::<String>(),
            ),
        ]
    }

    /// Whether it was asked with the credentials of the Secret.
    fn was_logged_in_to(&self) -> bool {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let login = format!("Basic {}", STANDARD.encode(format!("deploy:{LOGIN}")));
        let requests = self.git.server().requests();
        let mut all = requests.iter();
        all.any(|request| request.authorization.as_ref() == Some(&login))
    }
}

/// The files of an example with these texts in place of those; each of them is there.
fn changed(example: &str, changes: &[(&str, String)]) -> tempfile::TempDir {
    let from = examples().join("cluster").join(example);
    let mut files = vec![from.clone()];
    if from.is_dir() {
        let all = fs::read_dir(&from).unwrap();
        files = all.map(|file| file.unwrap().path()).collect();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut missing: Vec<&str> = changes.iter().map(|(old, _)| *old).collect();
    for file in files {
        let mut text = fs::read_to_string(&file).unwrap();
        for (old, new) in changes {
            missing.retain(|change| change != old || !text.contains(old));
            text = text.replace(old, new);
        }
        fs::write(folder.path().join(file.file_name().unwrap()), text).unwrap();
    }
    assert!(missing.is_empty(), "{example} has no {missing:?}");
    folder
}

fn apply(team: &Team, example: &str, changes: &[(&str, String)]) {
    let folder = changed(example, changes);
    let path = folder.path().to_string_lossy().into_owned();
    team.kubectl(&["apply", "--filename", &path]).unwrap();
}

/// The Job of the examples installs the package.
fn install(team: &Team) {
    let image = Kube::get().image("composer");
    let image = ("docker.io/library/composer:2", image);
    apply(team, "install.yaml", &[image]);
    let end = Team::wait_for("the end of the Job", || {
        let status = team.get("job", "install")?["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let mut ends = conditions.into_iter().filter(|one| one["status"] == "True");
        Ok(ends.find(|one| one["type"] == "Complete" || one["type"] == "Failed"))
    });
    let said = team.kubectl(&["logs", "job/install", "--all-containers"]);
    let said = said.unwrap();
    assert_eq!(end.unwrap()["type"], "Complete", "{said}");
    assert!(said.contains("Installing acme/lib (1.0.0)"), "{said}");
}

#[test]
fn the_registry_in_one_pod_is_applied_and_installed_from() {
    let team = Kube::get().namespace("example-embedded");
    let source = Source::start();
    apply(&team, "embedded", &source.changes());
    team.wait_ready(&OBJECTS).unwrap();
    assert!(source.was_logged_in_to());
    install(&team);
    team.check_kstatus().unwrap();
}

#[test]
fn the_registry_on_servers_is_applied_and_installed_from() {
    let team = Kube::get().namespace("example-servers");
    let source = Source::start();
    let servers = Servers::start();
    let mut changes = source.changes();
    changes.extend([
        (
            "postgres://packages:change-me@postgres.example.com:5432/packages?sslmode=verify-full",
            servers.database_url(),
        ),
        (
            "rediss://:change-me@redis.example.com:6379",
            servers.redis_url(),
        ),
        ("https://s3.example.com", servers.endpoint()),
        ("change-me-key-id", Servers::KEY[0].to_owned()),
        ("change-me-secret-key", Servers::KEY[1].to_owned()),
    ]);
    apply(&team, "servers", &changes);
    team.wait_ready(&OBJECTS).unwrap();
    let broker = team.get("packagebroker", "main").unwrap();
    assert_eq!(broker["status"]["readyReplicas"], 2, "{broker:#}");
    install(&team);
    team.check_kstatus().unwrap();
}
