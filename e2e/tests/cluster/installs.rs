//! What suites with Composer share: sources of real packages, projects, and how a new version comes.

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use package_broker_e2e::{
    cache::Cache,
    debian,
    git::{GitRepository, GitServer},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    manifests::repository,
    support::{Team, git_server},
};

/// A git server that pods reach, with packages of Debian.
pub(crate) struct Sources {
    server: GitServer,
    folder: TempDir,
    names: Vec<String>,
}

impl Sources {
    /// One git repository for each of these packages.
    pub(crate) fn of_debian(packages: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = git_server(folder.path());
        let cache = Cache::from_environment().unwrap();
        let mut names = Vec::new();
        for package in debian::available(&cache, packages).unwrap() {
            let source = server.create(&package.name).unwrap();
            source.commit("main", &package.path, "import", 0).unwrap();
            source.tag(&package.version, "main").unwrap();
            names.push(package.name);
        }
        Self {
            server,
            folder,
            names,
        }
    }

    /// A Repository for each.
    pub(crate) fn repositories(&self) -> Vec<Value> {
        let of = |name: &String| repository(&name.replace('/', "-"), &self.server.url(name));
        self.names.iter().map(of).collect()
    }

    /// What `kubectl` calls these.
    pub(crate) fn objects(&self) -> Vec<String> {
        let of = |name: &String| format!("repository/{}", name.replace('/', "-"));
        self.names.iter().map(of).collect()
    }
}

/// A project that takes all it needs from the broker.
pub(crate) fn project(team: &Team, require: &Value) -> Value {
    json!({
        "repositories": [
            {"type": "composer", "url": format!("http://main.{}.svc", team.name())},
            {"packagist.org": false},
        ],
        "require": require,
        "config": {"secure-http": false},
        "minimum-stability": "stable",
    })
}

/// What is new in a source and asked for by an annotation can be installed: a tag, and a commit on a branch. How long that
/// took is told.
pub(crate) fn new_version(team: &Team, sources: &Sources) {
    let server = &sources.server;
    let source = server.create("acme/fresh").unwrap();
    let tree = sources.folder.path().join("fresh");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(
        tree.join("composer.json"),
        json!({"name": "acme/fresh", "autoload": {"files": []}}).to_string(),
    )
    .unwrap();
    source.commit("main", &tree, "first", 1).unwrap();
    source.tag("1.0.0", "main").unwrap();
    team.apply(&[repository("fresh", &server.url("acme/fresh"))])
        .unwrap();
    team.wait_ready(&["repository/fresh"]).unwrap();

    source.tag("1.1.0", "main").unwrap();
    let began = Instant::now();
    ask_for_a_sync(team, "of-a-tag");
    println!(
        "the status told of a new tag {:?} after it was asked for",
        began.elapsed()
    );
    let said = team
        .composer(
            "update",
            &project(team, &json!({"acme/fresh": "^1.1"})),
            "ci",
            "composer update --no-interaction --no-progress 2>&1\n",
        )
        .unwrap();
    assert!(said.contains("Installing acme/fresh (1.1.0)"), "{said}");
    pushed(team, &source, &tree);
}

/// A commit is pushed to a branch, and a client that asks again and again gets it.
fn pushed(team: &Team, source: &GitRepository, tree: &Path) {
    let before = source.head("main").unwrap();
    // Composer writes the commit of what it took into the lock file; the file of the package shows that it is that one.
    let script = "\
        newest() { composer update --no-cache --no-interaction --no-progress >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }\n\
          php -r '$lock = json_decode(file_get_contents(\"composer.lock\"), true); echo $lock[\"packages\"][0][\"dist\"][\"reference\"];'; }\n\
        first=$(newest); echo first $first\n\
        until [ \"$(newest)\" != $first ]; do :; done\n\
        echo second $(newest) $(date +%s.%N) $(cat vendor/acme/fresh/NEWS)\n";
    let project = project(team, &json!({"acme/fresh": "dev-main"}));
    team.start_composer("pushed", &project, "ci", script)
        .unwrap();
    Team::wait_for("the branch as it was", || {
        let said = team.attempt(&["logs", "pushed"])?.stdout;
        Ok(said.contains(&format!("first {before}")).then_some(()))
    })
    .unwrap();
    std::fs::write(tree.join("NEWS"), "pushed").unwrap();
    source.commit("main", tree, "second", 2).unwrap();
    let after = source.head("main").unwrap();
    assert_ne!(before, after);
    let began = SystemTime::now();
    ask_for_a_sync(team, "of-a-commit");
    let served = began.elapsed().unwrap();
    let said = team.end_of("pushed").unwrap();
    let second = said.lines().find_map(|line| line.strip_prefix("second "));
    let words: Vec<&str> = second.unwrap_or_default().split(' ').collect();
    let [reference, at, "pushed"] = words[..] else {
        panic!("{said}")
    };
    assert_eq!(reference, after, "{said}");
    let at = UNIX_EPOCH + Duration::from_secs_f64(at.parse().unwrap());
    println!(
        "a pushed commit was installed by Composer in a pod {:?} after it was asked for; the status told of it after {served:?}",
        at.duration_since(began).unwrap()
    );
}

/// Asks by annotation, and waits until it is said that this was met.
fn ask_for_a_sync(team: &Team, value: &str) {
    let request = format!("reconcile.fluxcd.io/requestedAt={value}");
    team.kubectl(&["annotate", "--overwrite", "repository", "fresh", &request])
        .unwrap();
    Team::wait_for("the handled request", || {
        let object = team.get("repository", "fresh")?;
        Ok((object["status"]["lastHandledReconcileAt"] == value).then_some(()))
    })
    .unwrap();
}
