//! `v1/Secret` documents.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use package_broker_crds::validation::{FieldError, FieldPath, check_metadata, metadata_schema};
use package_broker_kinds::SecretData;
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Value, json};

use super::{
    dialect::{Compiled, compiled},
    object::Source,
};

/// A Secret and where it stood.
pub(super) struct Secret {
    pub(super) data: SecretData,
    /// The keys whose value is that of `stringData`.
    plain: BTreeSet<String>,
    kind: String,
    immutable: bool,
    pub(super) source: Source,
}

/// The Secret of a document.
///
/// # Errors
/// All mistakes in it. They repeat no value.
pub(super) fn read(document: &Value, source: &Source) -> Result<Secret, Vec<FieldError>> {
    static STRUCTURE: Compiled = Compiled::new();
    let structure = compiled(&STRUCTURE, schema).map_err(|error| vec![error])?;
    let document = structure.complete(document);
    let mut errors = structure.check(&document);
    errors.extend(check_metadata(&document));
    let mut data = SecretData::new();
    let mut plain = BTreeSet::new();
    for (field, decode) in [
        ("data", decode_base64 as Decode),
        ("stringData", decode_text),
    ] {
        let path = FieldPath::root().field(field);
        let entries = document.get(field).and_then(Value::as_object);
        for (key, value) in entries.into_iter().flatten() {
            let Some(text) = value.as_str() else { continue };
            match entry(key, text, decode) {
                Ok(bytes) => {
                    data.insert(key.clone(), SecretSlice::from(bytes));
                    if field == "stringData" {
                        plain.insert(key.clone());
                    }
                }
                Err((message, fix)) => errors.push(FieldError::new(path.field(key), message, fix)),
            }
        }
    }
    let kind = document["type"].as_str().unwrap_or("Opaque");
    errors.extend(check_type(kind, &data));
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Secret {
        data,
        plain,
        kind: kind.to_owned(),
        immutable: document["immutable"].as_bool().unwrap_or_default(),
        source: source.clone(),
    })
}

impl Secret {
    /// The field that holds the value of a key.
    pub(super) fn path(&self, key: &str) -> FieldPath {
        let field = if self.plain.contains(key) {
            "stringData"
        } else {
            "data"
        };
        FieldPath::root().field(field).field(key)
    }

    /// What a cluster would not let happen to this Secret after `old`.
    pub(super) fn check_change_from(&self, old: &Self) -> Vec<FieldError> {
        let field = |name: &str| FieldPath::root().field(name);
        let mut errors = Vec::new();
        if self.kind != old.kind {
            errors.push(FieldError::new(
                field("type"),
                "cannot change",
                "delete the Secret, or give the one with the new type another name",
            ));
        }
        if !old.immutable {
            return errors;
        }
        if !self.immutable {
            errors.push(FieldError::new(
                field("immutable"),
                "was true, which cannot be taken back",
                "write immutable: true, or give the Secret another name",
            ));
        }
        let keys: BTreeSet<&String> = self.data.keys().chain(old.data.keys()).collect();
        let changed: Vec<&str> = keys
            .into_iter()
            .filter(|key| !same(self.data.get(*key), old.data.get(*key)))
            .map(String::as_str)
            .collect();
        if !changed.is_empty() {
            errors.push(FieldError::new(
                field("immutable"),
                format!("was true, so the data cannot change, but {} did", changed.join(", ")),
                "give the Secret with the new data another name, and use that name where it is needed",
            ));
        }
        errors
    }
}

fn same(a: Option<&SecretSlice<u8>>, b: Option<&SecretSlice<u8>>) -> bool {
    a.map(ExposeSecret::expose_secret) == b.map(ExposeSecret::expose_secret)
}

/// The keys that a cluster requires of Secrets of a type.
fn check_type(kind: &str, data: &SecretData) -> Option<FieldError> {
    let has = |key: &&str| data.contains_key(*key);
    let (keys, complete, all): (&[&str], _, _) = match kind {
        "kubernetes.io/tls" => {
            let keys = &["tls.crt", "tls.key"];
            (keys, keys.iter().all(has), " and ")
        }
        "kubernetes.io/basic-auth" => {
            let keys = &["username", "password"];
            (keys, keys.iter().any(has), " or ")
        }
        "kubernetes.io/ssh-auth" => {
            let keys = &["ssh-privatekey"];
            (keys, keys.iter().all(has), "")
        }
        _ => return None,
    };
    if complete {
        return None;
    }
    Some(FieldError::new(
        FieldPath::root().field("type"),
        format!("is {kind}, which needs {}", keys.join(all)),
        "add the missing key, or remove type",
    ))
}

type Mistake = (&'static str, &'static str);
type Decode = fn(&str) -> Result<Vec<u8>, Mistake>;

fn entry(key: &str, text: &str, decode: Decode) -> Result<Vec<u8>, Mistake> {
    let key_char = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if key.is_empty() || key.len() > 253 || !key.bytes().all(key_char) {
        return Err((
            "is not a key of a Secret",
            "use letters, digits, -, _ and . only",
        ));
    }
    decode(text)
}

fn decode_base64(text: &str) -> Result<Vec<u8>, Mistake> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD.decode(text).map_err(|_| {
        (
            "is not base64",
            "encode the value, or move it to stringData as it is",
        )
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one of two functions of the same type"
)]
fn decode_text(text: &str) -> Result<Vec<u8>, Mistake> {
    Ok(text.as_bytes().to_vec())
}

fn schema() -> Value {
    let texts = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "additionalProperties": {"type": "string"},
        })
    };
    json!({
        "type": "object",
        "required": ["metadata"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Always v1."},
            "kind": {"type": "string", "description": "Always Secret."},
            "metadata": metadata_schema(),
            "type": {"type": "string", "description": "What the Secret is for."},
            "immutable": {"type": "boolean", "description": "Whether the data cannot change."},
            "data": texts("Values in base64."),
            "stringData": texts("Values as they are."),
        },
    })
}
