//! The strings with a form of their own: durations, quantities, package patterns, networks, names.
//!
//! Each type carries its rule as CEL rather than as a schema `pattern`, because CEL lets the
//! message say what to write instead: the API server and `package-broker run` then answer a
//! mistake with the same sentence.

mod cron;
pub(crate) mod maps;
mod measures;
mod names;
pub(crate) mod urls;

pub use cron::CronExpression;
pub use measures::{DurationString, InvalidText, Quantity};
pub use names::{
    AnnotationValue, Cidr, Hostname, LabelValue, ObjectName, PackagePattern, RefPattern, SecretKey,
};

use serde_json::{Value, json};

/// A CEL rule whose message quotes the offending value: `"5" is not a duration; write …`.
///
/// Neither `what` nor `fix` may contain an apostrophe: both end up in a CEL string literal.
fn quoting_rule(rule: &str, what: &str, fix: &str) -> Value {
    json!({
        "rule": rule,
        "message": format!("not {what}; {fix}"),
        "messageExpression": format!("'\"' + self + '\" is not {what}; {fix}'"),
    })
}

/// Gives a string type its schema (length bound and CEL rules) and its text.
macro_rules! text_schema {
    ($name:ident, $max_length:literal, $rules:expr) => {
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "maxLength": $max_length,
                    "x-kubernetes-validations": $rules,
                })
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
use text_schema;

/// Declares a type that is its text and nothing more.
macro_rules! plain_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text as the user wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}
use plain_text;
