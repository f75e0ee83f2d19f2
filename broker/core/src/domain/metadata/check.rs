//! What a version must be for every client to load it (protocol A.3, A.12).
//!
//! One version that fails to load stops the client for everyone who touches the package, so such a version is left
//! out here, with a reason. Harmless oddities are mended; keys that would mislead clients are dropped.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{
    fields::{Fields, Raw, shared},
    links::{self, Dist, SourceRef},
};
use crate::domain::{
    names::PackageName,
    skipped::Skipped,
    version::{self, NormalizedVersion},
};

/// The maps from package name to constraint.
const LINKS: [&str; 5] = ["require", "require-dev", "conflict", "replace", "provide"];

/// Keys of a version that belong to the source's own protocol, to lock files or to a project's root, and mislead
/// clients when they are served (protocol A.12).
const DROPPED: [&str; 10] = [
    "uid",
    "notification-url",
    "transport-options",
    "installation-source",
    "config",
    "repositories",
    "minimum-stability",
    "prefer-stable",
    "scripts",
    "autoload-dev",
];

/// The longest version text; Composer's own are below 100.
const MAX_VERSION_LENGTH: usize = 250;

/// What is known of a version that passed.
pub(super) struct Checked {
    pub(super) normalized: NormalizedVersion,
    /// The fields to keep.
    pub(super) fields: Fields,
    /// What two of them mean.
    pub(super) dist: Option<Dist>,
    pub(super) source: Option<SourceRef>,
}

/// Checks and cleans the fields of a version.
pub(super) fn check(package: &PackageName, mut fields: Fields) -> Result<Checked, Skipped> {
    let pretty = pretty_version(&fields)?;
    let skip = |reason: String| Skipped::new(pretty.clone(), reason);
    let normalized = version::normalize(&pretty).map_err(|error| skip(error.to_string()))?;
    check_name(package, &fields).map_err(skip)?;
    fields.retain(|key, _| !DROPPED.contains(&key));
    put_in_front(package, &pretty, &normalized, &mut fields);
    for key in LINKS {
        check_link(key, &mut fields).map_err(skip)?;
    }
    let source = check_source(&mut fields).map_err(skip)?;
    let dist = check_dist(&mut fields).map_err(skip)?;
    check_shapes(&mut fields).map_err(skip)?;
    Ok(Checked {
        normalized,
        fields,
        dist,
        source,
    })
}

fn pretty_version(fields: &Fields) -> Result<String, Skipped> {
    let Some(raw) = fields.get("version") else {
        return Err(Skipped::new("(none)", "there is no \"version\""));
    };
    let text = raw.read::<String>().or_else(|| {
        raw.read::<serde_json::Number>()
            .map(|number| number.to_string())
    });
    match text {
        Some(text) if text.len() <= MAX_VERSION_LENGTH && !text.trim().is_empty() => Ok(text),
        Some(text) => {
            let shown: String = text.chars().take(40).collect();
            Err(Skipped::new(
                shown,
                "\"version\" is empty or longer than 250 characters",
            ))
        }
        None => Err(Skipped::new("(none)", "\"version\" is not a string")),
    }
}

fn check_name(package: &PackageName, fields: &Fields) -> Result<(), String> {
    match fields.read::<String>("name") {
        Some(name) if name.eq_ignore_ascii_case(package.as_str()) => Ok(()),
        None if fields.get("name").is_none() => Ok(()),
        Some(name) => Err(format!("its name is \"{name}\", not \"{package}\"")),
        None => Err("\"name\" is not a string".to_owned()),
    }
}

/// Writes `name`, `version` and `version_normalized` first, in their clean forms.
fn put_in_front(
    package: &PackageName,
    pretty: &str,
    normalized: &NormalizedVersion,
    fields: &mut Fields,
) {
    let clean = [
        ("name", package.as_str()),
        ("version", pretty),
        ("version_normalized", normalized.as_str()),
    ];
    let in_place = fields
        .iter()
        .zip(clean)
        .filter(|((key, _), (wanted, _))| ***key == **wanted)
        .count()
        == 3;
    if !in_place {
        let rest = std::mem::take(fields);
        for (key, _) in clean {
            fields.push(shared(key), Raw::of(""));
        }
        for (key, value) in rest
            .iter()
            .filter(|(key, _)| !clean.iter().any(|(name, _)| **name == ***key))
        {
            fields.push(std::sync::Arc::clone(key), value.clone());
        }
        for key in clean.map(|(key, _)| key) {
            if let Some(value) = rest.get(key) {
                fields.set(key, value.clone());
            }
        }
    }
    for (key, value) in clean {
        if !fields.get(key).is_some_and(|raw| raw.is_text(value)) {
            fields.set(key, Raw::of(value));
        }
    }
}

fn check_link(key: &str, fields: &mut Fields) -> Result<(), String> {
    let Some(raw) = fields.get(key) else {
        return Ok(());
    };
    if raw.is_nothing() {
        fields.remove(key);
        return Ok(());
    }
    if links::known_good(raw) {
        return Ok(());
    }
    let constraints: BTreeMap<String, &RawValue> = serde_json::from_str(raw.text())
        .map_err(|_| format!("\"{key}\" is not a map from name to constraint"))?;
    for (target, constraint) in constraints {
        let text: String = serde_json::from_str(constraint.get())
            .map_err(|_| format!("the constraint of \"{target}\" in \"{key}\" is not a string"))?;
        if text != "self.version" && !version::is_valid_constraint(&text) {
            return Err(format!(
                "\"{text}\", the constraint of \"{target}\" in \"{key}\", is not a version constraint"
            ));
        }
    }
    links::remember_good(raw);
    Ok(())
}

fn check_source(fields: &mut Fields) -> Result<Option<SourceRef>, String> {
    let Some(raw) = fields.get("source") else {
        return Ok(None);
    };
    if raw.is_nothing() {
        fields.remove("source");
        return Ok(None);
    }
    match raw.read::<SourceRef>() {
        Some(source) if !source.url.is_empty() && !source.reference.is_empty() => Ok(Some(source)),
        _ => Err("\"source\" lacks one of type, url and reference".to_owned()),
    }
}

fn check_dist(fields: &mut Fields) -> Result<Option<Dist>, String> {
    let Some(raw) = fields.get("dist") else {
        return Ok(None);
    };
    if raw.is_nothing() {
        fields.remove("dist");
        return Ok(None);
    }
    let dist = raw
        .read::<Dist>()
        .ok_or("\"dist\" lacks type or url, or holds something other than strings")?;
    if dist.url.is_empty() {
        return Err("\"dist\" has an empty url".to_owned());
    }
    if let Some(sum) = dist.checksum()
        && !(sum.len() == 40 && sum.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(format!(
            "\"dist.shasum\" is \"{sum}\", not 40 hexadecimal digits"
        ));
    }
    Ok(Some(dist))
}

/// Keys whose shape some client trusts blindly.
fn check_shapes(fields: &mut Fields) -> Result<(), String> {
    for key in ["type", "description", "homepage", "target-dir"] {
        if fields
            .get(key)
            .is_some_and(|raw| !raw.text().starts_with('"'))
        {
            fields.remove(key);
        }
    }
    if fields
        .get("time")
        .is_some_and(|raw| !raw.read::<String>().is_some_and(|time| is_date(&time)))
    {
        fields.remove("time");
    }
    for key in ["autoload", "extra", "suggest", "support", "php-ext"] {
        let Some(raw) = fields.get(key) else { continue };
        if raw.is_nothing() {
            fields.remove(key);
        } else if !raw.text().starts_with('{') {
            return Err(format!("\"{key}\" is not a map"));
        }
    }
    for key in ["authors", "keywords", "funding", "include-path"] {
        if fields
            .get(key)
            .is_some_and(|raw| !raw.text().starts_with('['))
        {
            fields.remove(key);
        }
    }
    check_published(fields);
    Ok(())
}

/// `published-time` is RFC 3339 or whole seconds (protocol A.11); anything else is no date.
fn check_published(fields: &mut Fields) {
    let Some(raw) = fields.get("published-time") else {
        return;
    };
    let good =
        raw.read::<i64>().is_some() || raw.read::<String>().is_some_and(|time| is_date(&time));
    if !good {
        fields.remove("published-time");
    }
}

/// Dates as Composer repositories write them: RFC 3339, or `2020-01-02 03:04:05`.
fn is_date(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Result<String, String> {
        let package = PackageName::parse("acme/lib").unwrap();
        let fields = serde_json::from_str(text).unwrap();
        check(&package, fields)
            .map(|checked| serde_json::to_string(&checked.fields).unwrap())
            .map_err(|skipped| skipped.reason)
    }

    #[test]
    fn harmless_oddities_are_mended() {
        for (given, kept) in [
            (
                r#"{"version":1.0}"#,
                r#"{"name":"acme/lib","version":"1.0","version_normalized":"1.0.0.0"}"#,
            ),
            (
                r#"{"version":"v1","name":"Acme/Lib","version_normalized":"x","require":[],"dist":null}"#,
                r#"{"name":"acme/lib","version":"v1","version_normalized":"1.0.0.0"}"#,
            ),
            (
                r#"{"name":"acme/lib","version":"1.0","time":1234,"uid":5,"type":"library"}"#,
                r#"{"name":"acme/lib","version":"1.0","version_normalized":"1.0.0.0","type":"library"}"#,
            ),
        ] {
            assert_eq!(judge(given).unwrap(), kept, "{given}");
        }
    }

    #[test]
    fn what_stops_a_client_is_refused_with_its_reason() {
        for (given, reason) in [
            (r"{}", "there is no \"version\""),
            (r#"{"version":["1"]}"#, "not a string"),
            (r#"{"version":"  "}"#, "empty"),
            (r#"{"version":"banana split"}"#, "banana"),
            (r#"{"version":"1","name":"other/lib"}"#, "other/lib"),
            (r#"{"version":"1","require":"php"}"#, "not a map"),
            (r#"{"version":"1","require":{"php":8}}"#, "not a string"),
            (
                r#"{"version":"1","require":{"php":">>8"}}"#,
                "not a version constraint",
            ),
            (
                r#"{"version":"1","dist":{"type":"zip","url":null}}"#,
                "\"dist\"",
            ),
            (
                r#"{"version":"1","dist":{"type":"zip","url":""}}"#,
                "empty url",
            ),
            (
                r#"{"version":"1","dist":{"type":"zip","url":"u","shasum":"abc"}}"#,
                "shasum",
            ),
            (
                r#"{"version":"1","source":{"type":"git","url":"u"}}"#,
                "\"source\"",
            ),
            (r#"{"version":"1","autoload":"src"}"#, "\"autoload\""),
        ] {
            let found = judge(given).unwrap_err();
            assert!(found.contains(reason), "{given}: {found}");
        }
    }
}
