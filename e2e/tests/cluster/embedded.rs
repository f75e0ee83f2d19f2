//! A `PackageBroker` with an empty database: one pod with a volume, from manifests to `composer install`.

use std::{path::Path, time::Instant};

use package_broker_e2e::{cache::Cache, debian, git::GitServer, tree::PackageTree};
use serde_json::{Value, json};

use super::{
    manifests::{broker, repository, token},
    support::{Kube, Team, git_server},
};

/// A project that takes all it needs from the broker.
fn project(team: &Team, require: &Value) -> Value {
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

fn publish(server: &GitServer, package: &PackageTree) -> String {
    let name = package.name.clone();
    let source = server.create(&name).unwrap();
    source.commit("main", &package.path, "import", 0).unwrap();
    source.tag(&package.version, "main").unwrap();
    name
}

#[test]
fn a_pod_with_composer_installs_from_a_registry_that_was_applied() {
    let team = Kube::get().namespace("embedded");
    let folder = tempfile::tempdir().unwrap();
    let server = git_server(folder.path());
    let packages = debian::available(
        &Cache::from_environment().unwrap(),
        &["php-psr-log", "php-monolog"],
    )
    .unwrap();
    let mut documents = vec![broker(), token("ci")];
    let mut names = Vec::new();
    for package in &packages {
        let name = publish(&server, package);
        let resource = name.replace('/', "-");
        documents.push(repository(&resource, &server.url(&name)));
        names.push((name, resource));
    }
    team.apply(&documents).unwrap();
    let mut objects = vec!["packagebroker/main".to_owned(), "accesstoken/ci".to_owned()];
    objects.extend(
        names
            .iter()
            .map(|(_, resource)| format!("repository/{resource}")),
    );
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    team.wait_ready(&objects).unwrap();

    let require = json!({"psr/log": "*", "monolog/monolog": "*"});
    let said = team
        .composer(
            "install",
            &project(&team, &require),
            "ci",
            "composer install --no-interaction --no-progress 2>&1\nphp -r 'require \"vendor/autoload.php\"; echo (new Monolog\\Logger(\"x\"))->getName() . \" works\\n\";'\n",
        )
        .unwrap();
    assert!(said.contains("Installing monolog/monolog"), "{said}");
    assert!(said.contains("x works"), "{said}");
    println!(
        "{}",
        team.kubectl(&["get", "package-broker", "--output=wide"])
            .unwrap()
    );
    new_version(&team, &server, folder.path());
}

/// A commit and an annotation: how long until the version is installable.
fn new_version(team: &Team, server: &GitServer, folder: &Path) {
    let source = server.create("acme/fresh").unwrap();
    let tree = folder.join("fresh");
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
    let request = "reconcile.fluxcd.io/requestedAt=now";
    team.kubectl(&["annotate", "repository", "fresh", request])
        .unwrap();
    Team::wait_for("the handled request", || {
        let object = team.get("repository", "fresh")?;
        Ok((object["status"]["lastHandledReconcileAt"] == "now").then_some(()))
    })
    .unwrap();
    println!(
        "a new version is served {:?} after it was asked for",
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
}
