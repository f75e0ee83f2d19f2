//! What stands around the pods.

use k8s_openapi::{api::core::v1::PodTemplateSpec, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde_json::{Value, json};

use super::{broker, built, embedded};
use crate::package_broker::{
    build::{Surroundings, as_scaled, pod_template, surroundings, without_cluster},
    validate::Valid,
};

/// Everything, one way in and the other.
fn full(expose: &Value) -> Value {
    json!({
        "externalUrl": "https://packages.example.com/composer/",
        "expose": expose,
        "autoscaling": {"minReplicas": 3, "maxReplicas": 9},
        "networkPolicy": {"enabled": true, "from": [{"podSelector": {"matchLabels": {"a": "b"}}}]},
        "monitoring": {"serviceMonitor": true, "labels": {"release": "prometheus", "app.kubernetes.io/instance": "x"}, "interval": "1m"},
        "podTemplate": {
            "labels": {"team": "web", "app.kubernetes.io/instance": "x"}, "annotations": {"a": "b"},
            "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "a", "operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}}, "priorityClassName": "high", "serviceAccountName": "irsa",
        },
    })
}

fn ingress() -> Value {
    json!({"ingress": {"className": "nginx", "tlsSecretName": "tls", "annotations": {"cert-manager.io/cluster-issuer": "x"}}})
}

fn of(spec: &Value) -> Surroundings {
    surroundings::build(&broker(spec))
}

/// Those that are there, as JSON.
fn shown(all: &Surroundings) -> Vec<Value> {
    let values = [
        serde_json::to_value(&all.policy),
        serde_json::to_value(&all.budget),
        serde_json::to_value(&all.autoscaler),
        serde_json::to_value(&all.ingress),
        serde_json::to_value(&all.route),
        serde_json::to_value(&all.monitor),
    ];
    let values = values.map(Result::unwrap).into_iter();
    values.filter(|value| !value.is_null()).collect()
}

#[test]
fn nothing_is_there_that_nobody_asked_for() {
    assert_eq!(shown(&of(&json!({}))), Vec::<Value>::new());
    assert_eq!(
        shown(&built(&broker(&json!({})), &Valid::default()).surroundings),
        Vec::<Value>::new()
    );
}

#[test]
fn all_of_it_with_an_ingress() {
    let all = shown(&of(&full(&ingress())));
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
}

#[test]
fn a_route_at_gateways() {
    let gateway = |more: &Value| {
        let mut gateway = json!({"parentRefs": [{"name": "public", "namespace": "edge", "sectionName": "https"}, {"name": "local"}]});
        gateway["hostnames"] = more.clone();
        let all = of(&full(&json!({"gateway": gateway})));
        assert_eq!(all.ingress, None);
        serde_json::to_value(all.route.unwrap()).unwrap()
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&gateway(&json!([]))).unwrap());
    let given = json!(["packages.example.com", "packages.internal"]);
    assert_eq!(gateway(&given)["spec"]["hostnames"], given);
}

/// Names are all that Ingresses and routes know.
#[test]
fn a_machine_has_no_name() {
    let at = |expose: Value| of(&json!({"externalUrl": "http://192.0.2.1:8080", "expose": expose}));
    let ingress = at(json!({"ingress": {"tlsSecretName": "tls"}})).ingress;
    let spec = serde_json::to_value(ingress.unwrap().spec).unwrap();
    assert_eq!(spec["rules"][0]["host"], Value::Null);
    assert_eq!(spec["tls"], json!([{"secretName": "tls"}]));
    let route = at(json!({"gateway": {"parentRefs": [{"name": "a"}]}})).route;
    let spec = serde_json::to_value(route.unwrap().spec).unwrap();
    assert_eq!(spec["hostnames"], Value::Null);
    assert_eq!(spec["rules"][0]["matches"][0]["path"]["value"], "/");
}

#[test]
fn a_wildcard_has_its_certificate() {
    let spec = json!({
        "externalUrl": "https://packages.example.com",
        "expose": {"ingress": {"host": "*.example.com", "tlsSecretName": "wild"}},
    });
    let spec = serde_json::to_value(of(&spec).ingress.unwrap().spec).unwrap();
    assert_eq!(spec["rules"][0]["host"], "*.example.com");
    assert_eq!(spec["tls"][0]["hosts"], json!(["*.example.com"]));
}

#[test]
fn only_several_pods_have_a_budget() {
    let has = |spec: Value| of(&spec).budget.is_some();
    assert!(!has(json!({})));
    let over = |more: Value| {
        let mut spec = json!({"database": {"secretRef": {"name": "db"}}, "storage": {"s3": {"bucket": "packages"}}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    assert!(has(over(json!({}))));
    assert!(!has(over(json!({"replicas": 1}))));
    assert!(has(over(
        json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 2}})
    )));
    assert!(!has(over(
        json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 1}})
    )));
}

/// The autoscaler's number stands, unless the spec no longer allows it.
#[test]
fn an_autoscaler_counts_pods() {
    let counted = |spec: &Value, seen: Option<i32>| {
        let broker = broker(spec);
        let deployment = built(&broker, &Valid::default()).deployment;
        let seen = seen.map(|replicas| {
            let mut seen = deployment.clone();
            seen.spec.replicas = Some(replicas);
            seen
        });
        as_scaled(&broker, deployment, seen.as_ref()).spec.replicas
    };
    let scaled = json!({"autoscaling": {"minReplicas": 3, "maxReplicas": 9}});
    for (seen, expected) in [(None, 3), (Some(0), 3), (Some(5), 5), (Some(20), 9)] {
        assert_eq!(counted(&scaled, seen), Some(expected), "{seen:?}");
    }
    assert_eq!(counted(&json!({}), Some(5)), Some(1));
}

/// Who may connect is everybody, if nobody is named: an empty list would be sent as one, and mean the same.
#[test]
fn a_policy_without_clients_is_open() {
    let spec = json!({"networkPolicy": {"enabled": true}});
    let policy = serde_json::to_value(of(&spec).policy).unwrap();
    assert_eq!(policy["spec"]["ingress"][0]["from"], Value::Null);
    assert_eq!(
        policy["spec"]["ingress"][1]["from"],
        json!([{"namespaceSelector": {}}])
    );
}

#[test]
fn pods_have_what_users_add() {
    let broker = broker(&full(&ingress()));
    let (objects, embedded) = embedded(&broker, &Valid::default());
    let spec = objects.deployment.spec;
    let mut template = serde_json::to_value(&spec.template).unwrap();
    for ours in ["containers", "volumes", "securityContext"] {
        template["spec"].as_object_mut().unwrap().shift_remove(ours);
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&template).unwrap());
    // What a Deployment finds its pods by does not change.
    let labels = spec.selector.match_labels.unwrap();
    assert_eq!(labels["app.kubernetes.io/instance"], "main");
    // It is no business of the pod's.
    let state = &embedded.state.data.unwrap()["state.json"].0;
    let state: Value = serde_json::from_slice(state).unwrap();
    let fields = state["items"][0]["spec"].as_object().unwrap();
    for field in [
        "expose",
        "autoscaling",
        "networkPolicy",
        "monitoring",
        "podTemplate",
    ] {
        assert!(!fields.contains_key(field), "{field}");
    }
}

#[test]
fn several_pods_are_spread_unless_the_spec_says_how() {
    let constraints = |spec: &Value| {
        let template = pod_template::serving(PodTemplateSpec::default(), &broker(spec));
        serde_json::to_value(template.spec.unwrap().topology_spread_constraints).unwrap()
    };
    assert_eq!(constraints(&json!({})), Value::Null);
    let usual = constraints(&json!({"database": {"secretRef": {"name": "db"}}}));
    let keys: Vec<&Value> = usual
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["topologyKey"])
        .collect();
    assert_eq!(
        keys,
        ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    );
    assert_eq!(
        usual[0]["labelSelector"]["matchLabels"]["app.kubernetes.io/instance"],
        "main"
    );
    let own = json!([{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]);
    let spec = json!({"podTemplate": {"topologySpreadConstraints": own}});
    assert_eq!(constraints(&spec), own);
}

/// Neither to the pod with a volume nor in a database: a broker would refuse what has no meaning without the rest.
#[test]
fn what_is_for_the_cluster_is_told_to_no_broker() {
    let mut spec = full(&ingress());
    let more = json!({
        "database": {"secretRef": {"name": "db"}}, "storage": {"s3": {"bucket": "packages"}},
        "sync": {"maxConcurrent": 9, "jobTemplate": {"resources": {}}}, "resources": {},
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let broker = broker(&spec);
    assert!(broker.spec.only_in_cluster().len() > 8);
    let told = without_cluster(&broker).unwrap();
    assert_eq!(told.spec.only_in_cluster(), Vec::<&str>::new());
    assert_eq!(told.spec.sync.max_concurrent, 9);
}

/// Those that do one thing and end have what all pods need, and do not wait for the places of those that serve.
#[test]
fn jobs_have_what_users_add_but_for_places() {
    let spec = json!({"podTemplate": {
        "tolerations": [{"key": "a", "operator": "Exists"}], "serviceAccountName": "irsa",
        "affinity": {"nodeAffinity": {}, "podAntiAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}],
    }});
    let template = pod_template::extend(PodTemplateSpec::default(), &broker(&spec));
    assert_eq!(
        serde_json::to_value(template.spec.unwrap()).unwrap(),
        json!({
            "containers": [], "tolerations": [{"key": "a", "operator": "Exists"}], "serviceAccountName": "irsa",
            "affinity": {"nodeAffinity": {}},
        })
    );
}

/// Tools track objects by labels and annotations: a child that had those of its parent would be taken for theirs.
#[test]
fn surroundings_have_no_labels_of_their_parent() {
    for expose in [
        ingress(),
        json!({"gateway": {"parentRefs": [{"name": "a"}]}}),
    ] {
        for object in shown(&of(&full(&expose))) {
            let metadata: ObjectMeta = serde_json::from_value(object["metadata"].clone()).unwrap();
            assert!(
                !metadata
                    .labels
                    .unwrap()
                    .contains_key("argocd.argoproj.io/instance")
            );
            let annotations = metadata.annotations.unwrap_or_default();
            assert!(!annotations.contains_key("kubectl.kubernetes.io/last-applied-configuration"));
            assert_eq!(metadata.owner_references.unwrap()[0].uid, "1-2-3");
        }
    }
}
