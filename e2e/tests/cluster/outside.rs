//! What happens outside of the cluster is noticed: something is pushed, and a server beside the database goes.

use std::time::Instant;

use package_broker_e2e::git::GitRepository;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    backing::Servers,
    installs::project,
    manifests::{broker, repository, token, with},
    support::{Kube, Team, git_server},
};

const SECRET: &str = "a secret of the host";

/// A source that says when something is pushed, and is not asked before.
struct Source {
    _server: package_broker_e2e::git::GitServer,
    repository: GitRepository,
    url: String,
    folder: TempDir,
}

impl Source {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = git_server(folder.path());
        let source = Self {
            repository: server.create("acme/hooked").unwrap(),
            url: server.url("acme/hooked"),
            _server: server,
            folder,
        };
        source.push("1.0.0", 1);
        source
    }

    fn push(&self, version: &str, day: u64) {
        let tree = self.folder.path().join("hooked");
        std::fs::create_dir_all(&tree).unwrap();
        let manifest = json!({"name": "acme/hooked", "description": version});
        std::fs::write(tree.join("composer.json"), manifest.to_string()).unwrap();
        self.repository.commit("main", &tree, version, day).unwrap();
        self.repository.tag(version, "main").unwrap();
    }

    fn documents(&self) -> [Value; 3] {
        let spec = json!({
            "type": "github", "sync": {"interval": "24h"}, "webhook": {"secretRef": {"name": "hook"}},
        });
        [
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"secret": SECRET},
            }),
            with(repository("hooked", &self.url), &spec),
            token("ci"),
        ]
    }
}

/// A call as GitHub makes it, with PHP: `$1` is its URL. Says the status of the answer.
const CALL: &str = r#"cat > /tmp/call.php <<'PHP'
<?php
$body = '{"ref":"refs/tags/1.1.0"}';
$signature = 'sha256=' . hash_hmac('sha256', $body, getenv('HOOK'));
$call = curl_init($argv[1]);
curl_setopt_array($call, [
    CURLOPT_POST => true, CURLOPT_POSTFIELDS => $body, CURLOPT_RETURNTRANSFER => true,
    CURLOPT_HTTPHEADER => ['X-GitHub-Event: push', "X-Hub-Signature-256: $signature"],
]);
curl_exec($call);
echo 'answered ', curl_getinfo($call, CURLINFO_RESPONSE_CODE), "\n";
PHP
"#;

/// A push, the call of the host, and Composer that installs what was pushed.
fn pushed(team: &Team, source: &Source) {
    team.wait_ready(&["packagebroker/main", "repository/hooked", "accesstoken/ci"])
        .unwrap();
    let status = team.get("repository", "hooked").unwrap()["status"].clone();
    let path = status["webhookPath"].as_str().unwrap();
    assert_eq!(path, "/webhooks/hooked");
    let before = status["revision"].as_str().unwrap().to_owned();
    assert!(before.starts_with("main@sha1:"), "{before}");
    source.push("1.1.0", 2);
    let url = format!("http://main.{}.svc{path}", team.name());
    let script = format!(
        "{CALL}HOOK=wrong php /tmp/call.php {url}\nHOOK='{SECRET}' php /tmp/call.php {url}\n"
    );
    let began = Instant::now();
    let said = team.composer("call", &json!({}), "ci", &script).unwrap();
    assert_eq!(said.trim(), "answered 403\nanswered 202", "{said}");
    Team::wait_for("the new revision", || {
        let status = team.get("repository", "hooked")?["status"].clone();
        Ok((status["revision"] != before.as_str() && status["versions"] == 3).then_some(()))
    })
    .unwrap();
    println!(
        "what was pushed is served {:?} after a pod was made that calls",
        began.elapsed()
    );
    let project = project(team, &json!({"acme/hooked": "^1.1"}));
    let update =
        "composer update --no-interaction --no-progress 2>&1; composer show acme/hooked 2>&1\n";
    let said = team.composer("pushed", &project, "ci", update).unwrap();
    assert!(said.contains("Installing acme/hooked (1.1.0)"), "{said}");
    // As Composer's own driver for GitHub would have it.
    let page = source.url.trim_end_matches(".git");
    assert!(said.contains(&format!("{page}/tree/1.1.0")), "{said}");
    let packages = Team::wait_for("the number of packages", || {
        let status = team.get("packagebroker", "main")?["status"].clone();
        Ok(status["packages"].as_i64())
    });
    assert_eq!(packages.unwrap(), 1);
}

/// The administrator, whom the operator made: what its Secret holds lets it in.
fn administrator(team: &Team) {
    let secret = team.get("secret", "main-admin").unwrap();
    assert_eq!(secret["type"], "kubernetes.io/basic-auth");
    let script = r#"cat > /tmp/ask.php <<'PHP'
<?php
$call = curl_init($argv[1]);
$login = file_get_contents('/admin/username') . ':' . file_get_contents('/admin/password');
curl_setopt_array($call, [CURLOPT_USERPWD => $login, CURLOPT_RETURNTRANSFER => true]);
$state = json_decode(curl_exec($call), true);
echo curl_getinfo($call, CURLINFO_RESPONSE_CODE), ' ', $state['packages'], "\n";
PHP
"#;
    let url = format!("http://main.{}.svc/api/status", team.name());
    let script = format!("{script}php /tmp/ask.php {url}\n");
    team.start_composer_with("admin", &json!({}), "ci", &script, Some("main-admin"))
        .unwrap();
    assert_eq!(team.end_of("admin").unwrap().trim(), "200 1");
}

/// The condition of the broker, and whether that is ready.
fn condition(team: &Team, type_: &str) -> (String, String, String) {
    let broker = team.get("packagebroker", "main").unwrap();
    let of = |type_: &str| {
        let conditions = broker["status"]["conditions"].as_array().unwrap().iter();
        let mut found = conditions.filter(|condition| condition["type"] == type_);
        found.next().cloned().unwrap_or_default()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let condition = of(type_);
    (
        text(&condition["status"]),
        text(&of("Ready")["status"]),
        text(&condition["message"]),
    )
}

fn until(team: &Team, type_: &str, status: &str, ready: &str) -> String {
    let what = format!("{type_}={status} with Ready={ready}");
    Team::wait_for(&what, || {
        let (now, is_ready, message) = condition(team, type_);
        Ok((now == status && is_ready == ready).then_some(message))
    })
    .unwrap()
}

/// A bucket and a Redis that go and come back. Without Redis all is served, so that the broker stays ready.
fn lost_and_found(team: &Team, servers: &Servers) {
    until(team, "CacheReady", "True", "True");
    servers.redis.process().pause();
    let message = until(team, "CacheReady", "False", "True");
    println!("CacheReady: {message}");
    servers.redis.process().resume();
    until(team, "CacheReady", "True", "True");
    servers.garage.process().pause();
    let message = until(team, "StorageReady", "False", "False");
    println!("StorageReady: {message}");
    servers.garage.process().resume();
    until(team, "StorageReady", "True", "True");
    team.check_kstatus().unwrap();
}

#[test]
fn a_push_and_an_outage_are_noticed_by_a_registry_on_servers() {
    let team = Kube::get().namespace("outside");
    let (servers, source) = (Servers::start(), Source::start());
    let mut documents = servers.secrets();
    documents.push(servers.broker());
    documents.extend(source.documents());
    team.apply(&documents).unwrap();
    pushed(&team, &source);
    administrator(&team);
    let migration = team.get("packagebroker", "main").unwrap()["status"]["migration"].clone();
    assert!(migration["completedAt"].is_string() && migration["image"].is_string());
    lost_and_found(&team, &servers);
}

#[test]
fn a_push_is_noticed_by_an_embedded_registry() {
    let team = Kube::get().namespace("outside-embedded");
    let source = Source::start();
    team.apply(&[broker()]).unwrap();
    team.apply(&source.documents()).unwrap();
    pushed(&team, &source);
    administrator(&team);
}
