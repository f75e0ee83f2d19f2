//! What the operator puts right, what it takes over, and how things end.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    manifests::{broker, token, with},
    support::{Kube, Team},
};

/// The token in a Secret.
fn token_in(team: &Team, secret: &str) -> Option<String> {
    let secret = team.get("secret", secret).ok()?;
    let text = STANDARD.decode(secret["data"]["password"].as_str()?).ok()?;
    String::from_utf8(text).ok()
}

/// Waits until the broker takes another token than `before`, which is in the Secret.
fn another(team: &Team, before: &str) -> String {
    let now = Team::wait_for("another token", || {
        Ok(token_in(team, "ci").filter(|now| now != before && now.len() >= 32))
    })
    .unwrap();
    registered(team, &now);
    now
}

/// Waits until the status tells of this very token, and that it is valid.
fn registered(team: &Team, text: &str) {
    let wanted = fingerprint(text);
    Team::wait_for("a status that tells of it", || {
        let object = team.get("accesstoken", "ci")?;
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ready = conditions
            .iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "True");
        Ok((ready && object["status"]["fingerprint"] == wanted.as_str()).then_some(()))
    })
    .unwrap();
}

fn fingerprint(text: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(&Sha256::digest(text)[..4])
}

#[test]
fn what_is_deleted_or_edited_is_put_right_or_taken_over() {
    let team = Kube::get().namespace("healing");
    team.apply(&[broker(), token("ci")]).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    let first = token_in(&team, "ci").unwrap();
    registered(&team, &first);

    // Gone: made anew, and the old one is worth nothing.
    team.kubectl(&["delete", "secret", "ci"]).unwrap();
    let second = another(&team, &first);
    // Given another one: taken over, and the rest of the Secret follows.
    let own = "a-token-that-somebody-chose-for-ci-0001";
    let patch = json!({"stringData": {"password": own}});
    team.patch(["secret", "ci"], &patch).unwrap();
    registered(&team, own);
    let auth = Team::wait_for("an auth.json with it", || {
        let secret = team.get("secret", "ci")?;
        let text = STANDARD.decode(secret["data"]["auth.json"].as_str().unwrap_or_default())?;
        let text = String::from_utf8(text)?;
        Ok(text.contains(own).then_some(text))
    });
    assert!(auth.unwrap().contains("main.healing.svc"));
    assert_ne!(second, own);
    // Broken: made anew.
    let patch = json!({"stringData": {"password": "short"}});
    team.patch(["secret", "ci"], &patch).unwrap();
    another(&team, "short");

    // Children that are changed or deleted come back.
    for child in ["service/main", "deployment/main", "secret/main-state"] {
        team.kubectl(&["delete", child]).unwrap();
        Team::wait_for(child, || {
            Ok(team
                .attempt(&["get", child])?
                .status
                .success()
                .then_some(()))
        })
        .unwrap();
    }
    let patch = json!({"spec": {"replicas": 0}});
    team.patch(["deployment", "main"], &patch).unwrap();
    Team::wait_for("one replica again", || {
        Ok((team.get("deployment", "main")?["spec"]["replicas"] == 1).then_some(()))
    })
    .unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    team.check_kstatus().unwrap();
}

#[test]
fn a_suspended_token_is_refused_and_comes_back() {
    let team = Kube::get().namespace("suspended");
    team.apply(&[broker(), token("ci")]).unwrap();
    team.wait_ready(&["accesstoken/ci"]).unwrap();
    let registered = |wanted: &'static str| {
        Team::wait_for("the condition Registered", || {
            let object = team.get("accesstoken", "ci")?;
            let conditions = object["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let found = conditions.iter().find(|one| one["type"] == "Registered");
            Ok(found
                .filter(|one| one["status"] == wanted)
                .map(|one| one["reason"].clone()))
        })
        .unwrap()
    };
    let suspended = with(token("ci"), &json!({"suspend": true}));
    team.apply(&[suspended]).unwrap();
    assert_eq!(registered("False"), "Suspended");
    team.check_kstatus().unwrap();
    team.apply(&[with(token("ci"), &json!({"suspend": false}))])
        .unwrap();
    assert_eq!(registered("True"), "Succeeded");
    team.check_kstatus().unwrap();
}

/// Nothing waits for the operator: a namespace goes, whatever is in it, and so does a broker before what belongs to it.
#[test]
fn things_end_in_any_order() {
    let team = Kube::get().namespace("ending");
    team.apply(&[broker(), token("ci")]).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    team.kubectl(&["delete", "packagebroker", "main", "--timeout=60s"])
        .unwrap();
    Team::wait_for("the end of the pod", || {
        let pods = team.kubectl(&["get", "pods", "--output=name"])?;
        Ok(pods.trim().is_empty().then_some(()))
    })
    .unwrap();
    // The volume and what belongs to others stay.
    team.kubectl(&["get", "persistentvolumeclaim", "main-data"])
        .unwrap();
    team.kubectl(&["get", "secret", "ci"]).unwrap();
    Team::wait_for("a token that misses its broker", || {
        let object = team.get("accesstoken", "ci")?;
        let text = object["status"].to_string();
        Ok(text.contains("NotFound").then_some(()))
    })
    .unwrap();
    team.check_kstatus().unwrap();
    // It comes back, with the same token.
    let before = token_in(&team, "ci").unwrap();
    team.apply(&[broker()]).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    assert_eq!(token_in(&team, "ci"), Some(before));
    Kube::get()
        .run(&["delete", "namespace", team.name(), "--timeout=90s"])
        .unwrap();
}
