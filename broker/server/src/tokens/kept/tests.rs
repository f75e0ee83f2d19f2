use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::*;

const URL: &str = "http://127.0.0.1:8080";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn resource(spec: &Value, request: Option<&str>) -> AccessToken {
    let mut object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "AccessToken",
        "metadata": {"name": "ci"}, "spec": {"brokerRef": {"name": "main"}},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    if let Some(request) = request {
        object["metadata"]["annotations"] = json!({"package.broker/rotate-requested-at": request});
    }
    serde_json::from_value(object).unwrap()
}

/// The token, since when it is there, and the one before, after a look at this time.
fn look(folder: &Path, resource: &AccessToken, time: &str) -> (String, String, Option<String>) {
    let kept = keep(resource, folder, URL, at(time)).unwrap().unwrap();
    let text = kept.text.expose_secret().to_owned();
    let auth = fs::read_to_string(folder.join(AUTH)).unwrap();
    assert!(auth.contains(&text), "auth.json has another token");
    let previous = kept.previous;
    (
        text,
        kept.issued_at.unwrap().to_string(),
        previous.map(|previous| previous.text.expose_secret().to_owned()),
    )
}

fn rotating() -> AccessToken {
    resource(
        &json!({"rotation": {"interval": "48h", "overlap": "24h"}}),
        None,
    )
}

#[test]
fn a_made_token_is_kept_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let (path, plain) = (folder.path(), resource(&json!({}), None));
    let first = look(path, &plain, "2026-01-01T00:00:00Z");
    assert_eq!(first.1, "2026-01-01T00:00:00Z");
    assert_eq!(look(path, &plain, "2027-01-01T00:00:00Z"), first);
    keep(
        &plain,
        path,
        "https://packages.example.com/r",
        at("2027-01-01T00:00:00Z"),
    )
    .unwrap();
    let text = fs::read_to_string(path.join(AUTH)).unwrap();
    assert!(text.contains("\"packages.example.com\""), "{text}");
    for name in [AUTH, TOKEN] {
        let mode = fs::metadata(path.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn damaged_files_are_not_overwritten() {
    for (name, said) in [(AUTH, "holds no token of ours"), (TOKEN, "is damaged")] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), "{\"token\": \"hunter2\"}").unwrap();
        let plain = resource(&json!({}), None);
        let error = keep(&plain, folder.path(), URL, Timestamp::now())
            .err()
            .unwrap();
        assert!(error.to_string().contains(said), "{error}");
        assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
    }
}

#[test]
fn a_token_is_rotated_and_the_one_before_is_kept_for_the_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotating) = (folder.path(), rotating());
    let (first, ..) = look(path, &rotating, "2026-01-01T00:00:00Z");
    assert_eq!(look(path, &rotating, "2026-01-02T23:59:59Z").0, first);
    let (second, issued, previous) = look(path, &rotating, "2026-01-03T00:00:00Z");
    assert!(second != first && previous == Some(first.clone()));
    assert_eq!(issued, "2026-01-03T00:00:00Z");
    let again = look(path, &rotating, "2026-01-03T23:59:59Z");
    assert_eq!(again, (second.clone(), issued.clone(), Some(first)));
    let over = look(path, &rotating, "2026-01-04T00:00:00Z");
    assert_eq!(over, (second.clone(), issued, None));
    let stored = fs::read_to_string(path.join(TOKEN)).unwrap();
    assert!(!stored.contains("previous"), "{stored}");
}

/// It ends between the two files: the new token is the one that counts, and the one that leaked does not come back.
#[test]
fn a_change_that_was_interrupted_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (first, ..) = look(path, &rotating(), "2026-01-01T00:00:00Z");
    let before = fs::read(path.join(AUTH)).unwrap();
    let leaked = resource(&rotating_spec(), Some("leaked"));
    let (second, _, previous) = look(path, &leaked, "2026-01-02T00:00:00Z");
    assert!(second != first && previous.is_none());
    fs::write(path.join(AUTH), &before).unwrap();
    assert_eq!(look(path, &leaked, "2026-01-02T00:00:01Z").0, second);
    // Done, it is forgotten: what somebody puts there now, they want.
    look(path, &leaked, "2026-01-02T00:00:02Z");
    fs::write(path.join(AUTH), &before).unwrap();
    let (third, issued, _) = look(path, &leaked, "2026-01-02T00:00:03Z");
    assert_eq!((third, issued.as_str()), (first, "2026-01-02T00:00:03Z"));
}

fn rotating_spec() -> Value {
    json!({"rotation": {"interval": "48h", "overlap": "24h"}})
}

#[test]
fn what_somebody_does_with_the_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (first, ..) = look(path, &rotating(), "2026-01-01T00:00:00Z");
    // Deleted, to have a new one made.
    fs::remove_file(path.join(AUTH)).unwrap();
    let (second, issued, previous) = look(path, &rotating(), "2026-01-02T00:00:00Z");
    assert!(second != first && previous.is_none());
    assert_eq!(issued, "2026-01-02T00:00:00Z");
    // Of a release that wrote nothing beside it: as old as the first look.
    fs::remove_file(path.join(TOKEN)).unwrap();
    let (same, issued, _) = look(path, &rotating(), "2026-01-05T00:00:00Z");
    assert_eq!((same, issued.as_str()), (second, "2026-01-05T00:00:00Z"));
}

#[test]
fn one_that_is_suspended_from_the_start_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ci");
    let spec = |suspend: bool| json!({"suspend": suspend, "rotation": rotating_spec()["rotation"]});
    let suspended = resource(&spec(true), None);
    let now = at("2026-01-01T00:00:00Z");
    assert!(keep(&suspended, &path, URL, now).unwrap().is_none() && !path.exists());
    let (first, ..) = look(&path, &resource(&spec(false), None), "2026-01-01T00:00:00Z");
    // Suspended, it is left alone, but for somebody who wants it gone.
    assert_eq!(look(&path, &suspended, "2026-02-01T00:00:00Z").0, first);
    let leaked = resource(&spec(true), Some("leaked"));
    assert_ne!(look(&path, &leaked, "2026-02-01T00:00:00Z").0, first);
}
