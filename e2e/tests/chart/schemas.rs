//! Whether Kubernetes knows every field that is rendered: a document is read as its type, written again, and nothing may be
//! lost or added.

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Pod, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::combinations::COMBINATIONS;
use super::support::{CRDS, documents, objects, plain, set, template, title};

/// What is read of a document and written again.
fn again<T: DeserializeOwned + Serialize>(document: &Value) -> Result<Value, String> {
    let read: T = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(read).map_err(|error| error.to_string())
}

fn known(document: &Value) -> Result<Value, String> {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    let kind = document["kind"].as_str().unwrap_or_default();
    match (version, kind) {
        ("v1", "ConfigMap") => again::<ConfigMap>(document),
        ("v1", "Pod") => again::<Pod>(document),
        ("v1", "Service") => again::<Service>(document),
        ("v1", "ServiceAccount") => again::<ServiceAccount>(document),
        ("apps/v1", "Deployment") => again::<Deployment>(document),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<NetworkPolicy>(document),
        ("policy/v1", "PodDisruptionBudget") => again::<PodDisruptionBudget>(document),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => again::<ClusterRole>(document),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            again::<ClusterRoleBinding>(document)
        }
        ("rbac.authorization.k8s.io/v1", "Role") => again::<Role>(document),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => again::<RoleBinding>(document),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            again::<CustomResourceDefinition>(document)
        }
        ("monitoring.coreos.com/v1", "ServiceMonitor" | "PrometheusRule") => monitoring(document),
        _ => Err(format!("{version} {kind} is no kind that the chart has")),
    }
}

/// Kinds of the Prometheus operator, of which there are no types here: the fields that we use, by their places.
fn monitoring(document: &Value) -> Result<Value, String> {
    const FIELDS: &[&str] = &[
        "/namespaceSelector/matchNames/0",
        "/selector/matchLabels/app.kubernetes.io~1name",
        "/selector/matchLabels/app.kubernetes.io~1instance",
        "/endpoints/0/port",
        "/endpoints/0/path",
        "/endpoints/0/interval",
        "/endpoints/0/scrapeTimeout",
        "/endpoints/0/relabelings/0/action",
        "/endpoints/0/metricRelabelings/0/action",
        "/groups/0/name",
        "/groups/0/rules/0/alert",
        "/groups/0/rules/0/expr",
        "/groups/0/rules/0/for",
        "/groups/0/rules/0/labels/severity",
        "/groups/0/rules/0/labels/team",
        "/groups/0/rules/0/annotations/summary",
        "/groups/0/rules/0/annotations/description",
    ];
    let mut places = Vec::new();
    leaves(&document["spec"], "", &mut places);
    let unknown = places
        .iter()
        .find(|place| !FIELDS.contains(&place.as_str()));
    match unknown {
        Some(place) => Err(format!("{place} is no field")),
        None => Ok(document.clone()),
    }
}

/// The places of texts, with all items of a list as its first.
fn leaves(value: &Value, at: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                leaves(value, &format!("{at}/{}", key.replace('/', "~1")), places);
            }
        }
        Value::Array(list) => {
            for value in list {
                leaves(value, &format!("{at}/0"), places);
            }
        }
        _ => places.push(at.to_owned()),
    }
}

fn judge(documents: &[Value]) {
    for document in documents {
        match known(document) {
            Ok(again) => assert_eq!(plain(again), plain(document.clone()), "{}", title(document)),
            Err(error) => panic!("{}: {error}", title(document)),
        }
    }
}

#[test]
fn every_field_is_known_to_kubernetes() {
    for values in COMBINATIONS {
        println!("{values:?}");
        judge(&objects(values));
    }
    let crds = template(CRDS, &set(&["annotations.wave=a", "commonLabels.team=php"]));
    judge(&documents(&crds.success().unwrap().stdout));
}

#[test]
fn an_unknown_field_is_found() {
    let mut service = super::support::one(&objects(&[]), "Service");
    service["spec"]["sessionAfinity"] = "None".into();
    assert_ne!(known(&service).unwrap(), service);
    let rule = serde_json::json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "spec": {"groups": [{"rule": []}, {"nam": "x"}]},
    });
    assert!(known(&rule).is_err());
}

/// The API server tells names apart; of two objects of one name, the second would overwrite the first.
#[test]
fn no_object_is_rendered_twice() {
    for values in COMBINATIONS {
        let mut titles: Vec<String> = objects(values)
            .iter()
            .map(|object| format!("{} {}", title(object), object["metadata"]["namespace"]))
            .collect();
        titles.sort_unstable();
        let all = titles.len();
        titles.dedup();
        assert_eq!(titles.len(), all, "{values:?}: {titles:?}");
    }
}
