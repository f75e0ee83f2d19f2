//! What an API server does to a document before it looks at it.

use serde_json::Value;

/// The document with the schema's defaults filled in, and without nulls: the schemas have no
/// nullable fields, and a null in such a field stands for its absence.
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
        _ => {}
    }
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
}
