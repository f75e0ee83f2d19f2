//! The JSON schema of the values. What is not a value is refused, so that a mistyped one is not passed over.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Alert, Entry, limits};

/// The schema as a file.
pub(super) fn schema(entries: &[Entry], alerts: &[Alert]) -> Result<String> {
    let mut root = object();
    let limits = limits::limits();
    for entry in entries {
        let Some((key, above)) = entry.path.split_last() else {
            continue;
        };
        // Below a value that people give as a whole, everything is theirs.
        let is_below = |whole: &Entry| is_whole(whole) && above.starts_with(&whole.path);
        if entries.iter().any(is_below) {
            continue;
        }
        let mut at = root.get_mut("properties");
        for key in above {
            let value = at.and_then(|properties| properties.get_mut(key));
            at = value.and_then(|value| value.get_mut("properties"));
        }
        let Some(properties) = at else { continue };
        let path = entry.path.join(".");
        let mut property = property(entry, &path);
        for (_, limit) in limits.iter().filter(|(limited, _)| *limited == path) {
            extend(&mut property, limit);
        }
        if path == "metrics.prometheusRule.rules" {
            extend(&mut property, &of_alerts(alerts));
        }
        properties[key.as_str()] = property;
    }
    // A chart that has this one as a dependency may have more that is global.
    if let Some(global) = root["properties"].get_mut("global") {
        global["additionalProperties"] = true.into();
    }
    root["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    if !alerts.is_empty() {
        root["definitions"] = json!({"alert": alert()});
    }
    Ok(serde_json::to_string_pretty(&root)? + "\n")
}

fn object() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": Map::new()})
}

fn extend(property: &mut Value, limit: &Value) {
    if let (Some(property), Some(limit)) = (property.as_object_mut(), limit.as_object()) {
        property.extend(limit.clone());
    }
}

/// A value of its own with others below it, `resources` for instance.
fn is_whole(entry: &Entry) -> bool {
    entry.default.is_empty() && !entry.description.is_empty()
}

/// What the default says of a value.
fn property(entry: &Entry, path: &str) -> Value {
    let name = entry.path.last().map(String::as_str).unwrap_or_default();
    let mut property = match entry.default.as_str() {
        "" if is_whole(entry) => json!({"type": "object"}),
        "" => object(),
        map if map.starts_with('{') => json!({"type": "object"}),
        list if list.starts_with('[') => json!({"type": "array", "items": {"type": "object"}}),
        "true" | "false" => json!({"type": "boolean"}),
        number if number.parse::<u32>().is_ok() => json!({"type": "integer", "minimum": 0}),
        _ => json!({"type": "string"}),
    };
    let is_text = ["labels", "annotations", "nodeselector"]
        .iter()
        .any(|ending| name.to_lowercase().ends_with(ending));
    let limit = match name {
        _ if is_text => limits::texts(),
        "digest" => json!({"pattern": "^(sha256:[0-9a-f]{64})?$"}),
        "tag" => json!({"pattern": "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"}),
        "registry" | "imageRegistry" => json!({"pattern": r"^[^\s@]*$"}),
        "repository" => json!({"pattern": r"^[^\s@]+$"}),
        "render" | "adapt" => json!({"enum": ["auto", "always", "never"]}),
        "namespace" => json!({"pattern": limits::NAME_OR_NONE}),
        _ if path.starts_with("leaderElection.") => json!({"minimum": 1}),
        _ => json!({}),
    };
    extend(&mut property, &limit);
    if !entry.description.is_empty() {
        property["description"] = entry.description.as_str().into();
    }
    property
}

/// Those that there are, by name.
fn of_alerts(alerts: &[Alert]) -> Value {
    let properties: Map<String, Value> = alerts
        .iter()
        .map(|alert| {
            let alert_schema = json!({"$ref": "#/definitions/alert"});
            (alert.name.clone(), alert_schema)
        })
        .collect();
    json!({"additionalProperties": false, "properties": properties})
}

/// What can be other of an alert.
fn alert() -> Value {
    let texts = || {
        let mut texts = json!({"type": "object"});
        extend(&mut texts, &limits::texts());
        texts
    };
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "enabled": {"type": "boolean"},
            "expr": {"type": "string", "minLength": 1},
            "for": {"type": "string", "pattern": limits::DURATION},
            "severity": {"type": "string", "minLength": 1},
            "labels": texts(),
            "annotations": texts(),
        },
    })
}
