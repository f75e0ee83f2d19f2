//! What a token allows its bearer, as it is stored.

use serde::{Deserialize, Serialize};

use super::{quota::Quota, scope::Scope};

/// What may be read, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// The packages that may be read.
    #[serde(flatten)]
    pub scope: Scope,
    /// The requests that may be made; nothing means any number.
    #[serde(
        default,
        rename = "requestsPerHour",
        skip_serializing_if = "Option::is_none"
    )]
    pub quota: Option<Quota>,
}

impl From<Scope> for Permissions {
    /// Without a limit of requests.
    fn from(scope: Scope) -> Self {
        Self { scope, quota: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_they_are_stored_as_the_scope_alone() {
        let scope = Scope::default();
        let permissions = Permissions::from(scope.clone());
        let stored = serde_json::to_string(&permissions).unwrap();
        assert_eq!(stored, serde_json::to_string(&scope).unwrap());
        assert_eq!(
            serde_json::from_str::<Permissions>(&stored).unwrap(),
            permissions
        );
    }

    #[test]
    fn a_release_that_knows_no_limits_reads_the_scope() {
        let permissions = Permissions {
            quota: Some(Quota::per_hour(600)),
            ..Permissions::default()
        };
        let stored = serde_json::to_string(&permissions).unwrap();
        assert_eq!(
            stored,
            r#"{"packages":[],"repositories":[],"requestsPerHour":600}"#
        );
        assert_eq!(
            serde_json::from_str::<Permissions>(&stored).unwrap(),
            permissions
        );
        assert_eq!(
            serde_json::from_str::<Scope>(&stored).unwrap(),
            permissions.scope
        );
    }
}
