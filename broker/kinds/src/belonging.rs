//! Which objects belong to a `PackageBroker`, and what they are called there.

use std::collections::BTreeMap;

use package_broker_crds::{
    AccessToken, BrokerRef, NamespaceRule, NamespacesFrom, ObjectName, Repository,
};
use sha2::{Digest, Sha256};

/// The longest name of an object of these kinds.
const LONGEST: usize = 63;

/// Namespace and name of the `PackageBroker` that an object in this namespace belongs to.
pub fn broker_of<'a>(reference: &'a BrokerRef, namespace: &'a str) -> (&'a str, &'a str) {
    let named = reference.namespace.as_ref();
    (
        named.map_or(namespace, |named| named.as_str()),
        reference.name.as_str(),
    )
}

/// The name that an object has within its broker: its own; for one of another namespace, followed by that. Names that
/// would be too long are cut, and told apart by a digest.
pub fn name_within(name: &str, namespace: &str, of_broker: &str) -> String {
    if namespace == of_broker {
        return name.to_owned();
    }
    let whole = format!("{name}.{namespace}");
    if whole.len() <= LONGEST {
        return whole;
    }
    let digest = hex::encode(&Sha256::digest(&whole)[..5]);
    let kept = whole.get(..LONGEST - digest.len() - 1).unwrap_or(&whole);
    format!("{}-{digest}", kept.trim_end_matches(['-', '.']))
}

/// A `Repository` of this namespace as its broker knows it: in the namespace of that, under the name that it has there. So
/// are the Secrets that it names.
pub fn localized_repository(
    repository: &Repository,
    namespace: &str,
    of_broker: &str,
) -> Repository {
    let mut local = repository.clone();
    if namespace == of_broker {
        return local;
    }
    let name = |name: &str| name_within(name, namespace, of_broker);
    local.metadata.name = local.metadata.name.as_deref().map(name);
    local.metadata.namespace = Some(of_broker.to_owned());
    local.spec.broker_ref.namespace = None;
    let webhook = local.spec.webhook.as_mut();
    let webhook = webhook.map(|webhook| &mut webhook.secret_ref);
    let credentials = local.spec.credentials_secret_ref.as_mut();
    for secret in credentials.into_iter().chain(webhook) {
        secret.name = ObjectName::from(&*name(secret.name.as_str()));
    }
    local
}

/// The same of an `AccessToken`: the Repositories that it names are of its own namespace.
pub fn localized_token(token: &AccessToken, namespace: &str, of_broker: &str) -> AccessToken {
    let mut local = token.clone();
    if namespace == of_broker {
        return local;
    }
    let name = |name: &str| name_within(name, namespace, of_broker);
    local.metadata.name = local.metadata.name.as_deref().map(name);
    local.metadata.namespace = Some(of_broker.to_owned());
    local.spec.broker_ref.namespace = None;
    for repository in &mut local.spec.scopes.repositories {
        *repository = ObjectName::from(&*name(repository.as_str()));
    }
    if let Some(secret) = &mut local.spec.existing_secret_ref {
        secret.name = ObjectName::from(&*name(secret.name.as_str()));
    }
    local
}

/// Whether a broker lets objects of another namespace belong to it. The labels of that namespace are not known outside of
/// a cluster.
///
/// # Errors
/// What to do about it, as a half sentence that names the broker's field; `field` is its last part.
pub fn admit(
    rule: &NamespaceRule,
    field: &str,
    (namespace, of_broker): (&str, &str),
    labels: Option<&BTreeMap<String, String>>,
) -> Result<(), String> {
    if namespace == of_broker || rule.from == NamespacesFrom::All {
        return Ok(());
    }
    let path = format!("spec.allowedNamespaces.{field}");
    let selector = rule.selector.as_ref();
    match (rule.from, selector, labels) {
        (NamespacesFrom::Selector, Some(selector), Some(labels)) => {
            let mut wanted = selector.match_labels.iter();
            let missing = wanted.find(|(key, value)| labels.get(*key) != Some(*value));
            match missing {
                None => Ok(()),
                Some((key, value)) => Err(format!(
                    "give the namespace the label {key}={value}, which the PackageBroker asks for in {path}, or change that"
                )),
            }
        }
        (NamespacesFrom::Selector, ..) => Err(format!(
            "namespaces have no labels outside of a cluster; write from: All in {path} of the PackageBroker"
        )),
        _ => Err(format!(
            "allow the namespace in {path} of the PackageBroker, or move the object to namespace {of_broker}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_within_a_broker_are_valid_and_differ() {
        assert_eq!(name_within("lib", "team", "team"), "lib");
        assert_eq!(name_within("lib", "other", "team"), "lib.other");
        let long = "x".repeat(63);
        let (one, two) = (
            name_within(&long, "one", "team"),
            name_within(&long, "two", "team"),
        );
        assert_ne!(one, two);
        assert!(one.len() <= LONGEST && two.len() <= LONGEST);
        assert_eq!(name_within(&long, "team", "team"), long);
    }

    #[test]
    fn namespaces_are_admitted_by_rule() {
        let rule = |text| serde_json::from_value::<NamespaceRule>(text).unwrap();
        let labels = BTreeMap::from([("team".to_owned(), "php".to_owned())]);
        let other = ("other", "team");
        let verdict = |rule: &NamespaceRule, labels| admit(rule, "repositories", other, labels);
        let same = rule(json!({}));
        assert_eq!(admit(&same, "repositories", ("team", "team"), None), Ok(()));
        let refused = verdict(&same, Some(&labels)).unwrap_err();
        assert!(
            refused.contains("spec.allowedNamespaces.repositories"),
            "{refused}"
        );
        assert_eq!(verdict(&rule(json!({"from": "All"})), None), Ok(()));
        let selects =
            |value| rule(json!({"from": "Selector", "selector": {"matchLabels": {"team": value}}}));
        assert_eq!(verdict(&selects("php"), Some(&labels)), Ok(()));
        let refused = verdict(&selects("go"), Some(&labels)).unwrap_err();
        assert!(refused.contains("the label team=go"), "{refused}");
        assert!(
            verdict(&selects("php"), None)
                .unwrap_err()
                .contains("outside of a cluster")
        );
    }
}
