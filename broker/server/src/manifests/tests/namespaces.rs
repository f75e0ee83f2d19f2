//! Objects of other namespaces than their broker's.

use super::{Folder, problems};

fn manifests(allowed: &str) -> String {
    let of = |kind: &str, namespace: &str, spec: &str| {
        format!(
            "---\napiVersion: package.broker/v1alpha1\nkind: {kind}\nmetadata: {{name: lib, namespace: {namespace}}}\nspec: {spec}\n"
        )
    };
    let source = "type: composer, url: 'https://repo.example.com'";
    let there = "brokerRef: {name: lib, namespace: packages}";
    [
        of("PackageBroker", "packages", &format!("{{allowedNamespaces: {allowed}}}")),
        of("Repository", "packages", &format!("{{brokerRef: {{name: lib}}, {source}}}")),
        of(
            "Repository",
            "tenant",
            &format!("{{{there}, {source}, credentialsSecretRef: {{name: creds}}}}"),
        ),
        of(
            "AccessToken",
            "tenant",
            &format!("{{{there}, scopes: {{repositories: [lib]}}}}"),
        ),
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: creds, namespace: tenant}\nstringData: {token: hunter2}\n".to_owned(),
    ]
    .concat()
}

#[test]
fn they_belong_to_it_where_it_allows_that() {
    let all = manifests("{repositories: {from: All}, accessTokens: {from: All}}");
    let desired = Folder::with(&[("m.yaml", &all)]).resolve().unwrap();
    let names: Vec<Option<&str>> = desired
        .repositories
        .iter()
        .map(|(repository, _)| repository.metadata.name.as_deref())
        .collect();
    assert_eq!(names, [Some("lib"), Some("lib.tenant")]);
    assert!(
        desired.repositories[1].1.credentials.is_some(),
        "its Secret is its own"
    );
    // A tenant's token is for the tenant's repository of that name.
    let (token, _) = &desired.tokens[0];
    assert_eq!(token.metadata.name.as_deref(), Some("lib.tenant"));
    assert_eq!(token.spec.scopes.repositories[0].as_str(), "lib.tenant");
}

/// Manifests on a laptop often name no namespace.
#[test]
fn at_home_everything_keeps_its_name() {
    let all = manifests("{}");
    let (home, _) = all
        .split_once("kind: Repository\nmetadata: {name: lib, namespace: tenant}")
        .unwrap();
    let home = home
        .rsplit_once("---")
        .unwrap()
        .0
        .replace(", namespace: packages", "");
    let desired = Folder::with(&[("m.yaml", &home)]).resolve().unwrap();
    let name = desired.repositories[0].0.metadata.name.as_deref();
    assert_eq!(name, Some("lib"));
}

#[test]
fn and_do_not_where_it_does_not() {
    let said = |allowed: &str| -> Vec<String> {
        let found = problems(&manifests(allowed));
        found.iter().map(ToString::to_string).collect()
    };
    for (allowed, fix) in [
        (
            "{}",
            "allow the namespace in spec.allowedNamespaces.repositories",
        ),
        (
            "{repositories: {from: Selector, selector: {matchLabels: {a: b}}}}",
            "write from: All in spec.allowedNamespaces.repositories",
        ),
    ] {
        let said = said(allowed);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].contains("spec.brokerRef.namespace: PackageBroker \"lib\" does not take this from namespace tenant"),
            "{said:?}"
        );
        assert!(said[0].contains(fix), "{said:?}");
        assert!(
            said[1].contains("spec.allowedNamespaces.accessTokens"),
            "{said:?}"
        );
    }
}
