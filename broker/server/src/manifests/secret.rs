//! `v1/Secret` documents.

use std::{collections::BTreeMap, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use package_broker_crds::validation::{
    FieldError, FieldPath, Structure, check_metadata, metadata_schema,
};
use secrecy::SecretSlice;
use serde_json::{Value, json};

/// The decoded `data` and `stringData` of a Secret by key. `Debug` shows the keys only.
pub(crate) type SecretData = BTreeMap<String, SecretSlice<u8>>;

/// The data of a Secret document.
///
/// # Errors
/// All mistakes in it. They repeat no value.
pub(super) fn read(document: &Value) -> Result<SecretData, Vec<FieldError>> {
    let structure = structure().map_err(|error| vec![error])?;
    let document = structure.complete(document);
    let mut errors = structure.check(&document);
    errors.extend(check_metadata(&document));
    let mut data = SecretData::new();
    for (field, decode) in [
        ("data", decode_base64 as Decode),
        ("stringData", decode_text),
    ] {
        let path = FieldPath::root().field(field);
        for (key, value) in document
            .get(field)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let Some(text) = value.as_str() else { continue };
            match entry(key, text, decode) {
                Ok(bytes) => {
                    data.insert(key.clone(), SecretSlice::from(bytes));
                }
                Err((message, fix)) => errors.push(FieldError::new(path.field(key), message, fix)),
            }
        }
    }
    if errors.is_empty() {
        Ok(data)
    } else {
        Err(errors)
    }
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

fn structure() -> Result<&'static Structure, FieldError> {
    static STRUCTURE: OnceLock<Result<Structure, String>> = OnceLock::new();
    STRUCTURE
        .get_or_init(|| Structure::new(&schema()))
        .as_ref()
        .map_err(|problem| {
            FieldError::new(
                FieldPath::root(),
                problem,
                "report this as a defect of the program",
            )
        })
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
