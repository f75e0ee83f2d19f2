//! What an API server does to a document before it looks at it.

use serde_json::{Number, Value};

/// The document with the schema's defaults filled in, and without nulls: the schemas have no
/// nullable fields, and a null in such a field stands for its absence. Whole numbers are whole
/// numbers however they are written: `5.0` and `5e0` are `5` where an integer belongs.
pub(super) fn complete(schema: &Value, document: &Value) -> Value {
    let mut document = document.clone();
    fill(schema, &mut document);
    document
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return;
            };
            fields.retain(|name, field| !(field.is_null() && properties.contains_key(name)));
            for (name, property) in properties {
                if let Some(default) = property.get("default")
                    && !fields.contains_key(name)
                {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    fill(property, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    fill(schema, item);
                }
            }
        }
        Value::Number(number) if schema.get("type").is_some_and(|kind| kind == "integer") => {
            if let Some(whole) = whole(number) {
                *value = Value::from(whole);
            }
        }
        _ => {}
    }
}

/// The integer that a number with a point or an exponent stands for, where it is one for certain.
fn whole(number: &Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64().filter(|_| number.is_f64())?;
    if float.fract() != 0.0 || float.abs() > EXACT {
        return None;
    }
    // Rounds nothing: the text of a whole float has its digits and no point.
    format!("{float:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::complete;

    #[test]
    fn defaults_reach_into_what_is_there_and_nulls_are_absent() {
        let schema = json!({"properties": {
            "a": {"default": 1},
            "b": {"properties": {"c": {"default": "x"}, "d": {}}},
            "e": {"default": {"f": 2}, "properties": {"f": {"default": 2}, "g": {"default": 3}}},
        }});
        assert_eq!(
            complete(
                &schema,
                &json!({"a": null, "b": {"d": null}, "other": null})
            ),
            json!({"a": 1, "b": {"c": "x"}, "e": {"f": 2, "g": 3}, "other": null})
        );
        assert_eq!(
            complete(&schema, &json!({"e": {}})),
            json!({"a": 1, "e": {"f": 2, "g": 3}})
        );
    }

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        let schema = json!({"properties": {
            "a": {"type": "integer"}, "b": {"type": "number"}, "c": {"items": {"type": "integer"}},
        }});
        assert_eq!(
            complete(
                &schema,
                &json!({"a": 5.0, "b": 5.0, "c": [-1e3, -0.0, 0.5, 1e300, 7, "5.0"]})
            ),
            json!({"a": 5, "b": 5.0, "c": [-1000, 0, 0.5, 1e300, 7, "5.0"]})
        );
    }
}
