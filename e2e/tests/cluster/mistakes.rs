//! What people get wrong: each mistake has its reason, and a message that names the field and the fix. None keeps the
//! rest from being served.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    backing::Servers,
    events::{Said, each_is_told_once},
    manifests::{broker, repository, token, with},
    mistakes_on_servers::of_servers,
    support::{Kube, Team, git_server},
    watched::Watched,
};

/// An object with a mistake, what else it needs, and what is said of it.
pub(super) struct Mistake {
    object: Value,
    also: Vec<Value>,
    reason: &'static str,
    /// Parts of the message.
    parts: &'static [&'static str],
}

pub(super) fn mistake(
    object: Value,
    reason: &'static str,
    parts: &'static [&'static str],
) -> Mistake {
    Mistake {
        object,
        also: Vec::new(),
        reason,
        parts,
    }
}

impl Mistake {
    /// What is said, and of what.
    fn said(&self) -> Said<'_> {
        let kind = self.object["kind"].as_str().unwrap();
        let name = self.object["metadata"]["name"].as_str().unwrap();
        (kind, name, self.reason)
    }
}

/// The same with a Secret.
pub(super) fn with_secret(mistake: Mistake, name: &str, data: &[(&str, &str)]) -> Mistake {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into()))
        .collect();
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data});
    Mistake {
        also: vec![secret],
        ..mistake
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn of_repositories(server: &str) -> Vec<Mistake> {
    let url = format!("{server}/acme/there.git");
    let secured = |name: &str| {
        let reference = json!({"credentialsSecretRef": {"name": name}, "url": "https://git.example.com/acme/lib.git"});
        with(repository(name, &url), &reference)
    };
    let of = |name: &str, spec: Value| with(repository(name, &url), &spec);
    vec![
        mistake(
            of("no-broker", json!({"brokerRef": {"name": "mian"}})),
            "NotFound",
            &[
                "spec.brokerRef.name",
                "no PackageBroker \"mian\"",
                "create it",
            ],
        ),
        mistake(
            secured("no-secret"),
            "SecretNotFound",
            &[
                "spec.credentialsSecretRef.name",
                "no Secret \"no-secret\"",
                "create it",
            ],
        ),
        mistake(
            of(
                "no-hook",
                json!({"webhook": {"secretRef": {"name": "no-hook"}}}),
            ),
            "SecretNotFound",
            &[
                "spec.webhook.secretRef.name",
                "no Secret \"no-hook\"",
                "create it",
            ],
        ),
        with_secret(
            mistake(
                of(
                    "short-hook",
                    json!({"webhook": {"secretRef": {"name": "short-hook"}}}),
                ),
                "InvalidSecret",
                &[
                    "key secret is no line of text of 16 bytes or more",
                    "write a longer one",
                ],
            ),
            "short-hook",
            &[("secret", "hunter2")],
        ),
        with_secret(
            mistake(
                secured("empty-secret"),
                "InvalidSecret",
                &[
                    "has no credentials for a git source over https",
                    "give it some of the keys username",
                ],
            ),
            "empty-secret",
            &[],
        ),
        with_secret(
            mistake(
                secured("half-login"),
                "InvalidSecret",
                &["has username but no password", "add the key password"],
            ),
            "half-login",
            &[("username", "ci")],
        ),
        with_secret(
            mistake(
                secured("two-logins"),
                "InvalidSecret",
                &["has username and token", "keep one of them"],
            ),
            "two-logins",
            &[("username", "ci"), ("password", "x"), ("token", "y")],
        ),
        with_secret(
            mistake(
                secured("misspelt"),
                "InvalidSecret",
                &["has an unknown key passwrd", "did you mean password?"],
            ),
            "misspelt",
            &[("username", "ci"), ("passwrd", "x")],
        ),
        with_secret(
            mistake(
                secured("ssh-for-https"),
                "InvalidSecret",
                &["has ssh-privatekey, which this URL cannot use"],
            ),
            "ssh-for-https",
            &[
                ("token", "y"),
                ("ssh-privatekey", "x"),
                ("known_hosts", "h k v"),
            ],
        ),
        with_secret(
            mistake(
                secured("no-pem"),
                "InvalidSecret",
                &["key ca.crt is not a certificate in PEM"],
            ),
            "no-pem",
            &[("token", "y"), ("ca.crt", "hunter2")],
        ),
        with_secret(
            mistake(
                secured("bad-header"),
                "InvalidSecret",
                &["is not of lines Name: value", "PRIVATE-TOKEN"],
            ),
            "bad-header",
            &[("header", "hunter2")],
        ),
        mistake(
            of("plain-http", json!({"brokerRef": {"name": "strict"}})),
            "NotAllowed",
            &[
                "spec.url is plain http, which is refused",
                "spec.egress.allowHttp",
            ],
        ),
        mistake(
            of(
                "local",
                json!({"brokerRef": {"name": "strict"}, "url": "file:///srv/git/lib.git"}),
            ),
            "NotAllowed",
            &[
                "spec.url is local, which is refused",
                "spec.egress.allowFileUrls",
            ],
        ),
        mistake(
            of(
                "bucket-http",
                json!({"brokerRef": {"name": "strict"}, "type": "artifact", "url": "s3://bucket/x", "bucket": {"endpoint": "http://s3.example.com"}}),
            ),
            "NotAllowed",
            &["spec.bucket.endpoint is plain http"],
        ),
        mistake(
            of("never", json!({"sync": {"schedule": "0 0 31 2 *"}})),
            "InvalidSpec",
            &[
                "spec.sync.schedule: \"0 0 31 2 *\" never comes",
                "name a day that one of the months has",
            ],
        ),
        mistake(
            of("gone", json!({"url": format!("{server}/acme/gone.git")})),
            "SyncFailed",
            &["the last sync failed"],
        ),
        mistake(
            of(
                "closed-port",
                json!({"url": "http://10.250.0.1:1/acme/lib.git"}),
            ),
            "SyncFailed",
            &["the last sync failed"],
        ),
        mistake(
            of(
                "no-such-host",
                json!({"url": "http://nowhere.example.test/acme/lib.git"}),
            ),
            "SyncFailed",
            &["the last sync failed"],
        ),
        mistake(
            of(
                "loopback",
                json!({"url": "http://127.0.0.1:8081/acme/lib.git"}),
            ),
            "SyncFailed",
            &["allowedNetworks"],
        ),
        mistake(
            of("no-composer", json!({"type": "composer", "url": server})),
            "SyncFailed",
            &["the last sync failed"],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn of_tokens() -> Vec<Mistake> {
    let brought = |name: &str, key: &str| {
        with(
            token(name),
            &json!({"existingSecretRef": {"name": name, "key": key}}),
        )
    };
    let text = "a-token-of-my-own-that-is-long-enough";
    vec![
        mistake(
            with(
                token("t-no-broker"),
                &json!({"brokerRef": {"name": "mian"}}),
            ),
            "NotFound",
            &["spec.brokerRef.name", "no PackageBroker \"mian\""],
        ),
        mistake(
            brought("t-no-secret", "token"),
            "SecretNotFound",
            &["spec.existingSecretRef.name", "no Secret \"t-no-secret\""],
        ),
        with_secret(
            mistake(
                brought("t-no-key", "token"),
                "InvalidSecret",
                &["has no key \"token\"", "name one of: tokne"],
            ),
            "t-no-key",
            &[("tokne", text)],
        ),
        with_secret(
            mistake(
                brought("t-short", "token"),
                "InvalidSecret",
                &["the token has 5 characters; use 32 to 512"],
            ),
            "t-short",
            &[("token", "short")],
        ),
        with_secret(
            mistake(
                brought("t-cut", "token"),
                "InvalidSecret",
                &["it was cut or mistyped"],
            ),
            "t-cut",
            &[("token", "pb_0123456789012345678901234567890123456789")],
        ),
        with_secret(
            mistake(
                brought("t-blank", "token"),
                "InvalidSecret",
                &["holds a blank"],
            ),
            "t-blank",
            &[("token", "a token of my own that is long enough")],
        ),
        with_secret(
            mistake(
                token("t-taken"),
                "Conflict",
                &[
                    "there is a Secret \"t-taken\" that is not of this AccessToken",
                    "spec.secret.name",
                ],
            ),
            "t-taken",
            &[("password", text)],
        ),
        mistake(
            with(
                token("t-over"),
                &json!({"expiresAt": "2020-01-01T00:00:00Z"}),
            ),
            "Expired",
            &["spec.expiresAt has passed", "set a later time"],
        ),
        mistake(
            with(
                token("t-template"),
                &json!({"secret": {"template": {"labels": {"a b": "x"}}}}),
            ),
            "InvalidSpec",
            &["spec.secret.template.labels[\"a b\"]: is not a key"],
        ),
    ]
}

fn of_brokers() -> Vec<Mistake> {
    let named = |name: &str, spec: Value| {
        let mut object = with(broker(), &spec);
        object["metadata"]["name"] = name.into();
        object
    };
    let mut all = vec![
        mistake(
            named(
                "b-image",
                json!({"image": {"repository": "localhost/nothing", "tag": "1", "pullPolicy": "Never"}}),
            ),
            "PodsNotReady",
            &[
                "the pod does not start, ErrImageNeverPull",
                "localhost/nothing:1",
                "correct spec.image",
            ],
        ),
        mistake(
            named(
                "b-class",
                json!({"volume": {"storageClassName": "nowhere"}}),
            ),
            "PodsNotReady",
            &[
                "no node takes the pod",
                "look at the PersistentVolumeClaim, and at spec.volume",
            ],
        ),
        mistake(
            named(
                "b-huge",
                json!({"resources": {"requests": {"memory": "1000Gi"}}}),
            ),
            "PodsNotReady",
            &[
                "no node takes the pod",
                "Insufficient memory",
                "ask for less in spec.resources",
            ],
        ),
    ];
    all.extend(of_names_and_administrators(&named));
    all
}

fn of_names_and_administrators(named: &dyn Fn(&str, Value) -> Value) -> Vec<Mistake> {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "b-service"}, "spec": {"ports": [{"port": 80}]},
    });
    let administered = |name: &str| {
        named(
            name,
            json!({"administrator": {"secretRef": {"name": name}}}),
        )
    };
    vec![
        Mistake {
            also: vec![service],
            ..mistake(
                named("b-service", json!({})),
                "Conflict",
                &[
                    "there is a Service \"b-service\"",
                    "is left alone",
                    "give the PackageBroker another name",
                ],
            )
        },
        mistake(
            administered("b-nobody"),
            "SecretNotFound",
            &[
                "spec.administrator.secretRef.name",
                "no Secret \"b-nobody\"",
                "create it",
            ],
        ),
        with_secret(
            mistake(
                administered("b-short"),
                "InvalidSecret",
                &[
                    "key password is no line of text of 12 to 256 bytes",
                    "write a longer one",
                ],
            ),
            "b-short",
            &[("username", "admin"), ("password", "hunter2")],
        ),
    ]
}

#[test]
fn each_mistake_is_told_with_its_fix() {
    let team = Kube::get().namespace("mistakes");
    let events = Watched::begin(&team, "events");
    let folder = tempfile::tempdir().unwrap();
    let server = git_server(folder.path());
    server.create("acme/there").unwrap();
    let mut strict = broker();
    strict["metadata"]["name"] = "strict".into();
    strict["spec"] = json!({});
    let mut mistakes = of_repositories(server.server().url().as_str());
    mistakes.extend(of_tokens());
    mistakes.extend(of_brokers());
    let servers = Servers::start();
    mistakes.extend(of_servers(&servers));
    assert!(mistakes.len() >= 40, "{}", mistakes.len());
    let mut documents = servers.secrets();
    documents.extend([broker(), strict, token("good")]);
    for mistake in &mistakes {
        documents.extend(mistake.also.clone());
        documents.push(mistake.object.clone());
    }
    team.apply(&documents).unwrap();
    for mistake in &mistakes {
        told(&team, mistake);
    }
    // None of them keeps a token that is right from being taken.
    team.wait_ready(&["packagebroker/main", "accesstoken/good"])
        .unwrap();
    team.check_kstatus().unwrap();
    let said: Vec<_> = mistakes.iter().map(Mistake::said).collect();
    // What fails at once, fails later again, or comes on its way to what it is, by one or two other states.
    each_is_told_once(&events, &said, 4);
    let events = team.kubectl(&["get", "events", "--output=json"]).unwrap();
    for secret in ["hunter2", "a-token-of-my-own-that-is-long-enough"] {
        assert!(!events.contains(secret), "a secret is in an event");
    }
    conflict(&team);
}

/// Waits until an object's `Ready` is as it should be.
fn told(team: &Team, mistake: &Mistake) {
    let (kind, name, _) = mistake.said();
    let what = format!("{kind} {name}: {} with {:?}", mistake.reason, mistake.parts);
    let mut last = String::new();
    let found = Team::wait_for(&what, || {
        let object = team.get(kind, name)?;
        let ready = team_ready(&object);
        let text = ready.to_string();
        let message = ready["message"].as_str().unwrap_or_default();
        let fits = ready["status"] == "False"
            && ready["reason"] == mistake.reason
            && mistake.parts.iter().all(|part| message.contains(part));
        last = text;
        Ok(fits.then(|| message.to_owned()))
    });
    match found {
        Ok(message) => println!("{kind:14} {name:14} {:14} {message}", mistake.reason),
        Err(error) => panic!("{error}\nlast: {last}"),
    }
}

fn team_ready(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|one| one["type"] == "Ready"));
    ready.cloned().unwrap_or_default()
}

/// Two objects with one token: the older one has it.
fn conflict(team: &Team) {
    let brought = |name: &str| {
        with(
            token(name),
            &json!({"existingSecretRef": {"name": "shared", "key": "token"}}),
        )
    };
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shared"},
        "stringData": {"token": "one-token-that-two-objects-would-have"},
    });
    team.apply(&[secret, brought("first")]).unwrap();
    team.wait_ready(&["accesstoken/first"]).unwrap();
    team.apply(&[brought("second")]).unwrap();
    told(
        team,
        &mistake(
            brought("second"),
            "Conflict",
            &[
                "AccessToken \"first\" has the same token",
                "a token of its own",
            ],
        ),
    );
}
