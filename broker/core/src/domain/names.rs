//! Names of packages and repositories, checked once where they enter.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest package name we accept, in bytes; real names are below 100.
pub const MAX_NAME_LENGTH: usize = 200;

/// A name that is not a legal Composer package name (protocol A.13).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{name}\" is not a package name: {problem}; a name is \"vendor/name\" in lower-case letters, digits and single separators _ . -"
)]
pub struct NameError {
    /// The text as it was given, cut to 80 characters.
    pub name: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A legal, lower-case Composer package name `vendor/name` (protocol A.13). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(Arc<str>);

impl PackageName {
    /// Reads a name. Upper-case letters are folded, as clients ask for names in lower case.
    ///
    /// # Errors
    /// [`NameError`] if the name breaks one of the rules of protocol A.13.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let problem = |problem| NameError {
            name: name.chars().take(80).collect(),
            problem,
        };
        if name.len() > MAX_NAME_LENGTH {
            return Err(problem("it is longer than 200 characters"));
        }
        let folded = name.to_ascii_lowercase();
        let (vendor, package) = folded
            .split_once('/')
            .ok_or_else(|| problem("there is no \"/\""))?;
        check_part(vendor, false).map_err(problem)?;
        check_part(package, true).map_err(problem)?;
        Ok(Self(folded.into()))
    }

    /// The whole name, `vendor/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    pub fn vendor(&self) -> &str {
        self.0.split_once('/').map_or("", |(vendor, _)| vendor)
    }

    /// The part after the slash.
    pub fn short(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

/// One side of a name. Only the second part may hold a double dash.
fn check_part(part: &str, allow_double_dash: bool) -> Result<(), &'static str> {
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return Err("one side of the \"/\" is empty");
    };
    if !first.is_ascii_alphanumeric() || !last.is_ascii_alphanumeric() {
        return Err("each side of the \"/\" starts and ends with a letter or digit");
    }
    let mut separators = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => separators = 0,
            b'_' | b'.' | b'-' => {
                separators += 1;
                let double_dash = allow_double_dash
                    && separators == 2
                    && *byte == b'-'
                    && at > 0
                    && bytes.get(at - 1) == Some(&b'-');
                if separators > 1 && !double_dash {
                    return Err("separators stand alone");
                }
            }
            _ => return Err("it holds a character other than letters, digits, _ . -"),
        }
    }
    if part.strip_suffix(".json").is_some() {
        return Err("it ends in .json");
    }
    if is_device_name(part) {
        return Err("it is a device name on Windows");
    }
    Ok(())
}

fn is_device_name(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part);
    match stem {
        "nul" | "con" | "prn" | "aux" => true,
        _ => {
            let digits = stem
                .strip_prefix("com")
                .or_else(|| stem.strip_prefix("lpt"));
            digits.is_some_and(|rest| matches!(rest.as_bytes(), [b'1'..=b'9']))
        }
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for PackageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PackageName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::parse(&name)
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// The name of a `Repository`, unique in an installation. Cheap to clone.
///
/// Kubernetes keeps it to an RFC 1123 name; the one exception is [`RepositoryName::packagist`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// Takes a name that the schema of the kind has already checked.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The repository that stands for `PackageBroker.spec.packagist`. The underscore keeps it apart from
    /// every name Kubernetes allows.
    pub fn packagist() -> Self {
        Self("_packagist".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for RepositoryName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names_pass_and_fold() {
        for name in [
            "acme/lib",
            "a/b",
            "acme-corp/my_lib.x",
            "a1/b--c",
            "Acme/Lib",
            "php-http/psr7.json-x",
        ] {
            assert!(PackageName::parse(name).is_ok(), "{name}");
        }
        assert_eq!(PackageName::parse("Acme/Lib").unwrap().as_str(), "acme/lib");
    }

    #[test]
    fn illegal_names_are_refused() {
        for name in [
            "",
            "acme",
            "acme/",
            "/lib",
            "a//b",
            "acme/li b",
            "-a/b",
            "a-/b",
            "a/b-",
            "a/_b",
            "a--b/c",
            "a/b---c",
            "a/b__c",
            "a/b..c",
            "a/b.json",
            "nul/b",
            "a/com1",
            "a/lpt9.x",
            "acme/lib/x",
            "acme/é",
            "a/b~dev",
            "../x",
        ] {
            assert!(PackageName::parse(name).is_err(), "{name}");
        }
        assert!(PackageName::parse(&format!("a/{}", "b".repeat(300))).is_err());
    }

    #[test]
    fn parts_are_named() {
        let name = PackageName::parse("acme/lib").unwrap();
        assert_eq!((name.vendor(), name.short()), ("acme", "lib"));
    }
}
