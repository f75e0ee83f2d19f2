//! What `kubectl get` and `kubectl describe` show of each kind in each state: read by people more than anything else here.
//!
//! The texts are in `golden/`; `UPDATE_GOLDEN=1` writes them.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    installs::Sources,
    manifests::{broker, repository, token, with},
    support::{Kube, Team},
};

/// A text without what is another each time: times, ages, ids, ports, and how wide a column is because of these.
fn settled(text: &str) -> String {
    let words = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<String> = line.split_whitespace().map(word).collect();
        format!(
            "{}{}",
            " ".repeat(indent),
            words.join("  ").replace("  ", " ")
        )
    };
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("Resource Version:"));
    let told = lines.map(words);
    // Events come in no order, and are told of in another test.
    let mut lines: Vec<String> = told
        .take_while(|line| !line.starts_with("Events:"))
        .collect();
    lines.push(String::new());
    lines.join("\n")
}

fn word(word: &str) -> String {
    let is_age = word.len() <= 6
        && word.ends_with(['s', 'm', 'h'])
        && word.starts_with(|first: char| first.is_ascii_digit())
        && word
            .chars()
            .all(|letter| letter.is_ascii_digit() || "smh".contains(letter));
    let is_time = word.len() == 20 && word.ends_with('Z') && word.contains('T');
    let bare = word.trim_matches('"');
    let is_id = bare.len() == 36 && bare.matches('-').count() == 4;
    let is_hash = bare.len() == 8 && bare.chars().all(|letter| letter.is_ascii_hexdigit());
    if is_age {
        "AGE".to_owned()
    } else if is_time {
        "TIME".to_owned()
    } else if is_id || is_hash {
        "ID".to_owned()
    } else if let Some((host, rest)) = word.split_once("10.250.0.1:") {
        let path = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        format!("{host}SERVER{path}")
    } else {
        word.to_owned()
    }
}

/// Compares with the golden text of that name, or writes it.
fn check(name: &str, text: &str) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cluster/golden")
        .join(format!("{name}.txt"));
    let text = settled(text);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &text).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    (golden != text).then(|| format!("{name}, golden:\n{golden}\nnow:\n{text}"))
}

/// Objects of each kind, and what is said of them in the end.
fn documents(sources: &Sources) -> Vec<Value> {
    let mut documents = sources.repositories();
    documents.extend(brokers());
    let other = |name| repository(name, "https://git.example.com/acme/lib.git");
    documents.extend([
        repository("unreachable", "http://10.250.0.1:1/acme/lib.git"),
        with(
            other("unsecured"),
            &json!({"credentialsSecretRef": {"name": "gitlab"}}),
        ),
        repository("forbidden", "file:///srv/git/lib.git"),
        with(other("resting"), &json!({"suspend": true})),
        with(other("orphan"), &json!({"brokerRef": {"name": "nobody"}})),
        with(other("early"), &json!({"brokerRef": {"name": "starting"}})),
    ]);
    let own = |secret: &str| json!({"existingSecretRef": {"name": secret, "key": "token"}});
    documents.extend([
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "short"}, "stringData": {"token": "short"},
        }),
        token("ci"),
        with(token("over"), &json!({"expiresAt": "2026-01-01T00:00:00Z"})),
        with(token("brought"), &own("none")),
        with(token("useless"), &own("short")),
        with(token("resting"), &json!({"suspend": true})),
        with(token("orphan"), &json!({"brokerRef": {"name": "nobody"}})),
        with(token("early"), &json!({"brokerRef": {"name": "starting"}})),
        token("going"),
    ]);
    for object in &mut documents {
        let metadata = &mut object["metadata"];
        if GOING.iter().any(|(_, name)| metadata["name"] == *name) {
            metadata["finalizers"] = json!([HELD]);
        }
    }
    documents
}

/// What is deleted, and held by a finalizer.
const GOING: [(&str, &str); 3] = [
    ("packagebroker", "going"),
    ("repository", "monolog-monolog"),
    ("accesstoken", "going"),
];
const HELD: &str = "e2e.package.broker/held";

fn brokers() -> Vec<Value> {
    let named = |name: &str, spec: &Value| {
        let mut broker = with(broker(), spec);
        broker["metadata"]["name"] = name.into();
        broker
    };
    let on = |database: &str, bucket: &str| {
        json!({
            "database": {"secretRef": {"name": database}},
            "storage": {"s3": {
                "bucket": "packages", "endpoint": "http://10.250.0.1:1", "credentialsSecretRef": {"name": bucket},
            }},
        })
    };
    let secret = |name: &str, data: &Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    let closed = "postgres://packages:packages@10.250.0.1:1/packages?sslmode=disable";
    vec![
        broker(),
        named("resting", &json!({"suspend": true})),
        named("going", &json!({"suspend": true})),
        // No node takes its pod.
        named(
            "starting",
            &json!({"podTemplate": {"nodeSelector": {"nowhere": "here"}}}),
        ),
        // Its Secrets are not there.
        named("lacking", &on("database", "bucket")),
        secret("closed", &json!({"url": closed})),
        secret("keys", &json!({"accessKeyId": "k", "secretAccessKey": "s"})),
        named("unreachable", &on("closed", "keys")),
        // There is a policy of that name that is somebody else's.
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "taken"},
            "spec": {"podSelector": {"matchLabels": {"app": "other"}}},
        }),
        named("taken", &json!({"networkPolicy": {"enabled": true}})),
    ]
}

#[test]
fn each_state_reads_well() {
    let team = Kube::get().namespace("golden");
    let sources = Sources::of_debian(&["php-psr-log", "php-monolog"]);
    team.apply(&documents(&sources)).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci", "accesstoken/going"])
        .unwrap();
    team.wait_ready(&sources.objects()).unwrap();
    for (kind, name) in GOING {
        team.kubectl(&["delete", kind, name, "--wait=false"])
            .unwrap();
    }
    // All of them have come to rest when each has been looked at and the failing one has failed.
    Team::wait_for("all states", || {
        let text = team.kubectl(&["get", "package-broker", "--no-headers"])?;
        let is_there = |state: &str| text.lines().any(|line| line.contains(state));
        let states = [
            "SyncFailed",
            "SecretNotFound",
            "NotAllowed",
            "NotFound",
            "Expired",
            "Suspended",
            "Conflict",
            "DatabaseUnavailable",
            "DependencyNotReady",
            "InvalidSecret",
            "PodsNotReady",
        ];
        // Of its servers, the storage is looked at last.
        let unreachable = team.get("packagebroker", "unreachable")?["status"].to_string();
        let is_looked_at = unreachable.contains("StorageReady");
        let are_there = states.iter().all(|state| is_there(state));
        Ok((are_there && is_looked_at).then_some(()))
    })
    .unwrap();
    // What is said last may take some looks more.
    let mut last = Vec::new();
    let settled = Team::wait_for("what the golden texts say", || {
        last = differences(&team);
        Ok(last.is_empty().then_some(()))
    });
    for (kind, name) in GOING {
        let free = json!({"metadata": {"finalizers": null}});
        team.patch([kind, name], &free).unwrap();
    }
    assert!(settled.is_ok(), "{}", last.join("\n"));
}

/// Where what is shown now is other than golden.
fn differences(team: &Team) -> Vec<String> {
    let show = |arguments: &[&str]| team.kubectl(arguments).unwrap();
    let mut differences = Vec::new();
    for kind in ["packagebrokers", "repositories", "accesstokens"] {
        differences.extend(check(&format!("get-{kind}"), &show(&["get", kind])));
        let wide = show(&["get", kind, "--output=wide"]);
        differences.extend(check(&format!("wide-{kind}"), &wide));
    }
    for (kind, names) in DESCRIBED {
        for name in *names {
            let text = show(&["describe", kind, name]);
            differences.extend(check(&format!("describe-{kind}-{name}"), &text));
        }
    }
    differences
}

/// One for each state that can be held still.
const DESCRIBED: &[(&str, &[&str])] = &[
    (
        "packagebroker",
        &[
            "main",
            "starting",
            "unreachable",
            "lacking",
            "taken",
            "resting",
            "going",
        ],
    ),
    (
        "repository",
        &[
            "psr-log",
            "unreachable",
            "unsecured",
            "forbidden",
            "orphan",
            "early",
            "resting",
            "monolog-monolog",
        ],
    ),
    (
        "accesstoken",
        &[
            "ci", "over", "brought", "useless", "orphan", "early", "resting", "going",
        ],
    ),
];
