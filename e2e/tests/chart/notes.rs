//! What people read after an installation: commands that work as they stand, and warnings only where there is something to
//! warn of.

use super::{
    metadata::admitted,
    support::{CHART, CRDS, documents, helm, root, set},
};

/// The notes of a release with these values. Nothing is installed.
fn notes(chart: &str, values: &[&str]) -> String {
    let chart = root().join("charts").join(chart);
    let chart = chart.to_string_lossy();
    let mut arguments = vec![
        "install",
        "operator",
        &chart,
        "--dry-run=client",
        "--namespace=package-broker",
    ];
    arguments.extend(set(values));
    let said = helm(&arguments).success().unwrap().stdout;
    let (_, notes) = said.split_once("\nNOTES:\n").unwrap();
    notes.to_owned()
}

#[test]
fn the_three_resources_can_be_pasted() {
    let notes = notes(CHART, &[]);
    let (_, rest) = notes.split_once("<<'MANIFESTS'\n").unwrap();
    let (manifests, _) = rest.split_once("    MANIFESTS\n").unwrap();
    let manifests: String = manifests
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap().to_owned() + "\n")
        .collect();
    let documents = documents(&manifests);
    let kinds: Vec<&str> = documents
        .iter()
        .filter_map(|document| document["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["PackageBroker", "Repository", "AccessToken"]);
    documents.iter().for_each(admitted);
}

#[test]
fn commands_name_the_namespace() {
    let everywhere = notes(CHART, &[]);
    assert!(
        everywhere.contains("helm test operator --namespace package-broker\n"),
        "{everywhere}"
    );
    assert!(
        everywhere.contains("kubectl apply --namespace package-broker "),
        "{everywhere}"
    );
    assert!(
        everywhere.contains("composer http://main.package-broker.svc\n"),
        "{everywhere}"
    );
    // Of those that it looks after.
    let some = notes(
        CHART,
        &["watch.namespaces={team,other}", "tests.enabled=false"],
    );
    assert!(some.contains("the namespaces team, other."), "{some}");
    assert!(some.contains("kubectl apply --namespace team "), "{some}");
    assert!(some.contains("composer http://main.team.svc\n"), "{some}");
    assert!(!some.contains("helm test"), "{some}");
}

#[test]
fn insecure_values_are_warned_of() {
    assert!(!notes(CHART, &[]).contains("WARNING"));
    for (value, name) in [
        ("crds.keep=false", "crds.keep"),
        ("networkPolicy.enabled=false", "networkPolicy.enabled"),
        (
            "networkPolicy.egress.enabled=true",
            "networkPolicy.egress.apiServer.cidrs",
        ),
        (
            "podSecurityContext.runAsNonRoot=false",
            "podSecurityContext.runAsNonRoot",
        ),
        ("podSecurityContext=null", "podSecurityContext.runAsNonRoot"),
        ("securityContext.privileged=true", "securityContext lets"),
        (
            "securityContext.allowPrivilegeEscalation=true",
            "securityContext lets",
        ),
        (
            "securityContext.readOnlyRootFilesystem=false",
            "securityContext.readOnlyRootFilesystem",
        ),
        ("image.tag=latest", "image.tag"),
        ("brokerImage.tag=latest", "brokerImage.tag"),
        ("replicas=1", "replicas"),
    ] {
        let notes = notes(CHART, &[value]);
        let (_, warnings) = notes
            .split_once("\nWARNINGS\n")
            .unwrap_or_else(|| panic!("{value}: {notes}"));
        assert!(
            warnings.starts_with(&format!("- {name}")),
            "{value}: {warnings}"
        );
        assert_eq!(warnings.trim().lines().count(), 1, "{value}: {warnings}");
    }
}

#[test]
fn what_is_secure_is_not_warned_of() {
    let digest = format!("image.digest=sha256:{}", "0".repeat(64));
    for values in [
        &["image.tag=latest", digest.as_str()][..],
        &["crds.enabled=false", "crds.keep=false"],
        &[
            "networkPolicy.egress.enabled=true",
            "networkPolicy.egress.apiServer.cidrs={10.0.0.1/32}",
        ],
    ] {
        let notes = notes(CHART, values);
        assert!(!notes.contains("WARNING"), "{values:?}: {notes}");
    }
}

#[test]
fn the_definitions_have_notes_of_their_own() {
    let kept = notes(CRDS, &[]);
    assert!(
        kept.contains("crds.enabled=false") && !kept.contains("WARNING"),
        "{kept}"
    );
    assert!(notes(CRDS, &["keep=false"]).contains("WARNING"));
}
