//! Tokens that end and are replaced. An hour is too long to wait for: the tests change what the Secret says of its token's
//! age, which the operator goes by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    manifests::{broker, token, with},
    support::{Kube, Team},
};

const ISSUED_AT: &str = "package.broker/issued-at";
const PREVIOUS_VALID_UNTIL: &str = "package.broker/previous-valid-until";

/// What is under a key of the Secret `ci`.
fn in_secret(team: &Team, key: &str) -> Option<String> {
    let secret = team.get("secret", "ci").ok()?;
    let text = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
    String::from_utf8(text).ok()
}

/// Waits until the Secret has a token that is not this one, and the broker takes it.
fn another(team: &Team, before: &str) -> String {
    let found = Team::wait_for("another token", || {
        Ok(in_secret(team, "password").filter(|now| now != before))
    });
    let found = found.unwrap();
    said(team, "Succeeded", |status| {
        status["fingerprint"] == fingerprint(&found).as_str()
    });
    found
}

fn fingerprint(text: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(&Sha256::digest(text)[..4])
}

/// Waits until `Ready` has this reason and the status is as it should be.
fn said(team: &Team, reason: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = Team::wait_for(reason, || {
        let status = team.get("accesstoken", "ci")?["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|one| one["type"] == "Ready");
        let fits = ready.is_some_and(|ready| ready["reason"] == reason) && is_right(&status);
        last = status.clone();
        Ok(fits.then_some(status))
    });
    found.unwrap_or_else(|error| panic!("{error}\nlast: {last}"))
}

fn annotate(team: &Team, object: &str, key: &str, value: &str) {
    let annotation = format!("{key}={value}");
    team.kubectl(&["annotate", "--overwrite", object, &annotation])
        .unwrap();
}

fn ago(hours: u64) -> String {
    let second = Timestamp::now().as_second();
    let then = second - i64::try_from(hours * 3_600).unwrap();
    Timestamp::from_second(then).unwrap().to_string()
}

/// Has a pod ask with a token until the broker answers like this.
fn answered(team: &Team, token: &str, status: u16) {
    static NAMES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NAMES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("ask-{number}");
    let auth = json!({"http-basic": {"main": {"username": "token", "password": token}}});
    team.apply(&[json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {"auth.json": auth.to_string()},
    })])
    .unwrap();
    let url = format!("http://main.{}.svc/packages.json", team.name());
    let script = format!(
        "php -r '$token = json_decode(getenv(\"COMPOSER_AUTH\"), true)[\"http-basic\"][\"main\"][\"password\"];\n\
         $context = stream_context_create([\"http\" => [\"ignore_errors\" => true, \"header\" => \"Authorization: Bearer $token\"]]);\n\
         for ($try = 0; $try < 90; $try++) {{ @file_get_contents(\"{url}\", false, $context);\n\
         if (str_contains($http_response_header[0] ?? \"\", \" {status} \")) exit(0); sleep(1); }}\n\
         echo $http_response_header[0] ?? \"no answer\"; exit(1);'\n"
    );
    team.composer(&name, &json!({}), &name, &script).unwrap();
}

#[test]
fn a_token_is_rotated_and_the_one_before_is_valid_for_a_while() {
    let team = Kube::get().namespace("rotation");
    let rotation = json!({"rotation": {"interval": "2h", "overlap": "1h"}});
    team.apply(&[broker(), with(token("ci"), &rotation)])
        .unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    let first = in_secret(&team, "password").unwrap();
    let status = said(&team, "Succeeded", |status| {
        status["nextRotationTime"].is_string()
    });
    assert!(
        status["issuedAt"].is_string() && status.get("rotatedAt").is_none(),
        "{status}"
    );

    annotate(&team, "secret/ci", ISSUED_AT, &ago(3));
    let second = another(&team, &first);
    assert_eq!(in_secret(&team, "previous").as_ref(), Some(&first));
    let status = said(&team, "Succeeded", |status| {
        status["rotatedAt"].is_string() && status["previousValidUntil"].is_string()
    });
    answered(&team, &first, 200);
    answered(&team, &second, 200);
    team.check_kstatus().unwrap();

    // A status that is lost is the same again.
    let lost = json!({"status": {"issuedAt": null, "rotatedAt": null, "previousValidUntil": null}});
    let lost = lost.to_string();
    let patch = [
        "patch",
        "accesstoken",
        "ci",
        "--subresource=status",
        "--type=merge",
        "--patch",
    ];
    team.kubectl(&[&patch[..], &[lost.as_str()]].concat())
        .unwrap();
    said(&team, "Succeeded", |now| {
        ["issuedAt", "rotatedAt", "previousValidUntil"]
            .iter()
            .all(|field| now[field] == status[field])
    });

    // Its time is over: it is forgotten, and refused.
    annotate(&team, "secret/ci", PREVIOUS_VALID_UNTIL, &ago(1));
    Team::wait_for("a Secret with one token", || {
        Ok(in_secret(&team, "previous").is_none().then_some(()))
    })
    .unwrap();
    answered(&team, &first, 401);
    answered(&team, &second, 200);
    team.check_kstatus().unwrap();
}

#[test]
fn a_token_that_leaked_stops_at_once() {
    let team = Kube::get().namespace("leaked");
    let rotation = json!({"rotation": {"interval": "2h", "overlap": "1h"}});
    team.apply(&[broker(), with(token("ci"), &rotation)])
        .unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    let first = in_secret(&team, "password").unwrap();
    let request = "package.broker/rotate-requested-at";
    let value = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let value = value.as_secs().to_string();
    annotate(&team, "accesstoken/ci", request, &value);
    let second = another(&team, &first);
    assert_eq!(in_secret(&team, "previous"), None);
    said(&team, "Succeeded", |status| {
        status["lastHandledRotateAt"] == value.as_str()
    });
    answered(&team, &first, 401);
    answered(&team, &second, 200);
    // Once for each value.
    annotate(&team, "accesstoken/ci", "example.com/other", "1");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(in_secret(&team, "password"), Some(second));
    team.check_kstatus().unwrap();
}

#[test]
fn a_token_that_is_too_old_ends_and_can_be_renewed() {
    let team = Kube::get().namespace("aged");
    team.apply(&[broker(), with(token("ci"), &json!({"ttl": "2h"}))])
        .unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    let first = in_secret(&team, "password").unwrap();
    annotate(&team, "secret/ci", ISSUED_AT, &ago(3));
    said(&team, "Expired", |status| status["expiresAt"].is_string());
    answered(&team, &first, 401);
    team.check_kstatus().unwrap();
    annotate(
        &team,
        "accesstoken/ci",
        "package.broker/rotate-requested-at",
        "1",
    );
    let second = another(&team, &first);
    answered(&team, &second, 200);
    team.check_kstatus().unwrap();
}

#[test]
fn a_secret_that_stays_is_taken_over_by_who_says_so() {
    let team = Kube::get().namespace("orphans");
    let template = json!({"labels": {"team": "php"}, "annotations": {"example.com/note": "x"}});
    let orphan = json!({"secret": {"creationPolicy": "Orphan", "template": template}});
    team.apply(&[broker(), with(token("ci"), &orphan)]).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    let first = in_secret(&team, "password").unwrap();
    let metadata = team.get("secret", "ci").unwrap()["metadata"].clone();
    assert_eq!(metadata["labels"]["team"], "php");
    assert_eq!(metadata["annotations"]["example.com/note"], "x");
    assert!(metadata.get("ownerReferences").is_none(), "{metadata}");

    team.kubectl(&["delete", "accesstoken", "ci"]).unwrap();
    answered(&team, &first, 401);
    assert_eq!(in_secret(&team, "password").as_ref(), Some(&first));
    team.apply(&[token("ci")]).unwrap();
    said(&team, "Conflict", |_| true);
    answered(&team, &first, 401);
    team.apply(&[with(token("ci"), &orphan)]).unwrap();
    said(&team, "Succeeded", |_| true);
    answered(&team, &first, 200);
    assert_eq!(in_secret(&team, "password"), Some(first));
    team.check_kstatus().unwrap();
}
