//! The one table of settings: what there is, taken from the types that the settings are read into.

use std::sync::OnceLock;

use package_broker_crds::validation::Structure;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{SettingsError, process::Process};

/// What environment variables start with.
pub(super) const PREFIX: &str = "PACKAGE_BROKER_";

/// Variables of others that say the same, read where ours is not set: clusters of AWS and OpenTelemetry's operator give
/// them to pods.
const ALIASES: [(&str, &str); 5] = [
    ("storage.region", "AWS_REGION"),
    ("storage.roleArn", "AWS_ROLE_ARN"),
    (
        "storage.webIdentityTokenFile",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ),
    ("telemetry.otlpEndpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("telemetry.otlpHeaders", "OTEL_EXPORTER_OTLP_HEADERS"),
];

/// One setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Where it is in the file, for instance `database.url`.
    pub(crate) key: String,
    /// What is written for it.
    pub(crate) form: Form,
    /// What it is when nobody says otherwise.
    pub(crate) default: Option<Value>,
    /// What it means.
    pub(crate) about: String,
}

/// What a setting's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// A number that need not be whole.
    Fraction,
    /// `true` or `false`.
    Switch,
    /// A text that is never shown.
    Secret,
    /// A URL that may have a password, which is never shown.
    SecretUrl,
}

impl Setting {
    /// Its environment variable: `PACKAGE_BROKER_DATABASE_URL` for `database.url`.
    pub(crate) fn variable(&self) -> String {
        let mut name = PREFIX.to_owned();
        for character in self.key.chars() {
            if character.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(if character == '.' {
                '_'
            } else {
                character.to_ascii_uppercase()
            });
        }
        name
    }

    /// A variable of others that is read where ours is not set.
    pub(super) fn alias(&self) -> Option<&'static str> {
        let alias = ALIASES.iter().find(|(key, _)| *key == self.key);
        alias.map(|(_, variable)| *variable)
    }

    /// Whether it may be read from a file of its own, named by the setting with `File` at the end of its name.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.form, Form::Secret | Form::SecretUrl)
    }

    /// The setting that names the file with this one.
    pub(crate) fn file_key(&self) -> String {
        format!("{}File", self.key)
    }
}

/// All settings, with the schema that checks them.
pub(crate) struct Table {
    pub(crate) settings: Vec<Setting>,
    pub(super) structure: Structure,
}

impl Table {
    /// The table, made once.
    pub(crate) fn get() -> Result<&'static Self, SettingsError> {
        static TABLE: OnceLock<Result<Table, String>> = OnceLock::new();
        TABLE
            .get_or_init(Self::make)
            .as_ref()
            .map_err(|error| SettingsError::Defect(error.clone()))
    }

    fn make() -> Result<Self, String> {
        let mut settings = SchemaSettings::draft07();
        settings.inline_subschemas = true;
        let schema = settings.into_generator().into_root_schema_for::<Process>();
        let schema = schema.to_value();
        let mut settings = Vec::new();
        collect("", &schema, &mut settings);
        Ok(Self {
            settings,
            structure: Structure::new(&schema)?,
        })
    }

    /// The setting of that key.
    pub(super) fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}

/// The leaves of a schema, in the order of their keys.
fn collect(prefix: &str, schema: &Value, settings: &mut Vec<Setting>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (name, property) in properties {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        if property["properties"].is_object() {
            collect(&key, property, settings);
            continue;
        }
        let about = property["description"].as_str().unwrap_or_default();
        settings.push(Setting {
            key,
            form: form(property),
            default: property
                .get("default")
                .filter(|default| !default.is_null())
                .cloned(),
            about: about.split_whitespace().collect::<Vec<_>>().join(" "),
        });
    }
}

fn form(property: &Value) -> Form {
    let is = |kind: &str| match &property["type"] {
        Value::String(found) => found == kind,
        Value::Array(found) => found.iter().any(|found| found == kind),
        _ => false,
    };
    match property["format"].as_str() {
        Some("password") => Form::Secret,
        Some("secret-url") => Form::SecretUrl,
        _ if is("boolean") => Form::Switch,
        _ if is("integer") => Form::Number,
        _ if is("number") => Form::Fraction,
        _ => Form::Text,
    }
}
