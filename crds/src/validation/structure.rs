//! Types, bounds, required and unknown fields.

use jsonschema::{
    Draft, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
    paths::LocationSegment,
};
use serde_json::{Value, json};

use super::{FieldError, FieldPath, Segment, defaults, metadata::quoted, nearest};

/// A structural schema, compiled. Strict: fields the schema does not name are errors.
pub struct Structure {
    schema: Value,
    validator: Validator,
}

impl Structure {
    /// Compiles a structural schema as a CustomResourceDefinition has it.
    ///
    /// # Errors
    /// When it is not a schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let mut strict = schema.clone();
        make_strict(&mut strict);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .should_validate_formats(true)
            .build(&strict)
            .map_err(|error| format!("the built-in schema is broken: {error}"))?;
        Ok(Self {
            schema: strict,
            validator,
        })
    }

    /// The document as an API server would look at it: defaults filled in, and nulls in optional
    /// fields taken for their absence.
    #[must_use]
    pub fn complete(&self, document: &Value) -> Value {
        defaults::complete(&self.schema, document)
    }

    /// All places where the document is not as the schema says. Values are repeated only for
    /// fields that have a fixed set of them.
    pub fn check(&self, document: &Value) -> Vec<FieldError> {
        self.validator
            .iter_errors(document)
            .flat_map(|error| self.explain(&error))
            .collect()
    }

    fn explain(&self, error: &ValidationError<'_>) -> Vec<FieldError> {
        let path = location(error);
        let one = |message: String, fix: String| vec![FieldError::new(path.clone(), message, fix)];
        let bound = |limit: &Value| limit.as_f64().map_or(limit.to_string(), |n| n.to_string());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
                .iter()
                .map(|name| self.unknown_field(&path, name))
                .collect(),
            ValidationErrorKind::Required { property } => vec![self.missing_field(&path, property)],
            ValidationErrorKind::Type { kind } => vec![wrong_type(path, error.instance(), kind)],
            ValidationErrorKind::Enum { options } => {
                vec![not_an_option(path, error.instance(), options)]
            }
            ValidationErrorKind::UniqueItems => duplicates(&path, error.instance()),
            ValidationErrorKind::Minimum { limit } => one(
                format!("is less than {}", bound(limit)),
                format!("write {} or more", bound(limit)),
            ),
            ValidationErrorKind::Maximum { limit } => one(
                format!("is more than {}", bound(limit)),
                format!("write {} or less", bound(limit)),
            ),
            ValidationErrorKind::MinLength { .. } => one(
                "is empty".to_owned(),
                "write a value, or remove the field".to_owned(),
            ),
            ValidationErrorKind::MaxLength { limit } => one(
                format!("is longer than {limit} characters"),
                "shorten it".to_owned(),
            ),
            ValidationErrorKind::MaxItems { limit } => one(
                format!("has more than {limit} items"),
                "merge or remove some".to_owned(),
            ),
            ValidationErrorKind::MaxProperties { limit } => one(
                format!("has more than {limit} entries"),
                "remove some".to_owned(),
            ),
            ValidationErrorKind::Format { format } if format == "date-time" => one(
                "is not a time in RFC 3339".to_owned(),
                "write for instance 2027-01-31T00:00:00Z".to_owned(),
            ),
            _ => one(error.masked().to_string(), "correct the value".to_owned()),
        }
    }

    fn unknown_field(&self, parent: &FieldPath, name: &str) -> FieldError {
        let known = self.properties_at(parent);
        let fix = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("remove it; known here: {}", known.join(", ")),
        };
        FieldError::new(parent.field(name), "unknown field", fix)
    }

    fn missing_field(&self, parent: &FieldPath, property: &Value) -> FieldError {
        let name = property.as_str().unwrap_or_default();
        let path = parent.field(name);
        let description = self
            .node_at(&path)
            .and_then(|node| node["description"].as_str())
            .and_then(|text| text.split_inclusive(['.', ':']).next())
            .map_or(String::new(), |sentence| {
                format!(" ({})", sentence.trim_end_matches(['.', ':']))
            });
        let fix = format!("add {name}{description}");
        FieldError::new(path, "is required", fix)
    }

    fn node_at(&self, path: &FieldPath) -> Option<&Value> {
        path.segments()
            .iter()
            .try_fold(&self.schema, |node, segment| match segment {
                Segment::Field(name) => node
                    .get("properties")
                    .and_then(|properties| properties.get(name))
                    .or_else(|| node.get("additionalProperties")),
                Segment::Index(_) => node.get("items"),
            })
    }

    /// The fields a user may write; those that only a server writes have no description.
    fn properties_at(&self, path: &FieldPath) -> Vec<&str> {
        let properties = self
            .node_at(path)
            .and_then(|node| node["properties"].as_object());
        properties
            .into_iter()
            .flatten()
            .filter(|(_, property)| property.get("description").is_some())
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// Says in the words of JSON Schema what Kubernetes adds to it.
fn make_strict(schema: &mut Value) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema["additionalProperties"] = json!(false);
    }
    if schema.get("x-kubernetes-list-type") == Some(&json!("set")) {
        schema["uniqueItems"] = json!(true);
    }
    for (_, property) in schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        make_strict(property);
    }
    if let Some(items) = schema.get_mut("items") {
        make_strict(items);
    }
}

fn location(error: &ValidationError<'_>) -> FieldPath {
    error
        .instance_path()
        .into_iter()
        .fold(FieldPath::root(), |path, segment| match segment {
            LocationSegment::Property(name) => path.field(&name),
            LocationSegment::Index(index) => path.index(index),
        })
}

fn wrong_type(path: FieldPath, instance: &Value, expected: &TypeKind) -> FieldError {
    let expected = match expected {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(_) => "another type".to_owned(),
    };
    let fix = match (expected.as_str(), instance) {
        ("string", Value::Number(_) | Value::Bool(_)) => "put the value in quotes",
        ("string", _) => "write a text",
        ("array", _) => "write a list, each item on a line of its own after \"- \"",
        ("object", _) => "write fields, each on a line of its own as \"name: value\"",
        ("boolean", _) => "write true or false",
        ("integer", Value::String(_)) => "write a whole number without quotes",
        ("integer", _) => "write a whole number",
        _ => "correct the value",
    };
    let message = format!(
        "is {}, not {}",
        article(type_of(instance)),
        article(&expected)
    );
    FieldError::new(path, message, fix)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The name of a JSON type in a sentence, in the words of YAML.
fn article(kind: &str) -> &str {
    match kind {
        "null" => "empty",
        "boolean" => "a boolean",
        "number" => "a number",
        "integer" => "a whole number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}

fn not_an_option(path: FieldPath, instance: &Value, options: &Value) -> FieldError {
    let options: Vec<&str> = options
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let listed = options.join(", ");
    let given = instance.as_str().unwrap_or_default();
    let fix = match nearest(given, options.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("write {}", options.join(" or ")),
    };
    let message = format!("{} is not one of {listed}", quoted(given));
    FieldError::new(path, message, fix)
}

fn duplicates(path: &FieldPath, instance: &Value) -> Vec<FieldError> {
    let items = instance.as_array().map_or(&[][..], Vec::as_slice);
    let repeats = (0..items.len()).filter(|&index| items[..index].contains(&items[index]));
    repeats
        .map(|index| FieldError::new(path.index(index), "is in the list already", "remove it"))
        .collect()
}
