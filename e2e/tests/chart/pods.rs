//! The pods: their images, what they are given, and what they may do.

use serde_json::{Value, json};

use super::support::{CHART, container, documents, objects, one, pod, template};

#[test]
fn images_are_put_together() {
    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let digest = format!("image.digest={DIGEST}");
    let cases: &[(&[&str], String)] = &[
        (&[], "package-broker-operator:0.1.0".to_owned()),
        (&["image.tag=v2"], "package-broker-operator:v2".to_owned()),
        (
            &["image.registry=r.example.com"],
            "r.example.com/package-broker-operator:0.1.0".to_owned(),
        ),
        (
            &[
                "image.registry=r.example.com",
                "image.repository=team/op",
                "global.imageRegistry=mirror:5000/hub/",
            ],
            "mirror:5000/hub/team/op:0.1.0".to_owned(),
        ),
        // A tag may say what the digest is of; what runs is the digest.
        (
            &["image.tag=v2", &digest],
            format!("package-broker-operator@{DIGEST}"),
        ),
    ];
    for (values, reference) in cases {
        assert_eq!(container(values)["image"], *reference, "{values:?}");
        // That of the test is the same.
        let objects = objects(values);
        let test = objects
            .iter()
            .find(|object| object["kind"] == "Pod")
            .unwrap();
        assert_eq!(test["spec"]["containers"][0]["image"], *reference);
        // That of brokers goes by the same rules.
        let of_brokers: Vec<String> = values
            .iter()
            .map(|value| {
                value
                    .replace("image.", "brokerImage.")
                    .replace("global.brokerImage", "global.image")
            })
            .collect();
        let of_brokers: Vec<&str> = of_brokers.iter().map(String::as_str).collect();
        let environment = container(&of_brokers)["env"].clone();
        let expected = reference.replace("package-broker-operator", "package-broker");
        assert_eq!(
            environment[0],
            json!({"name": "BROKER_IMAGE", "value": expected}),
            "{of_brokers:?}"
        );
    }
}

/// Values, the field of the pod that they are about, and what is in it then.
const OF_PODS: &[(&[&str], &str, &str)] = &[
    (
        &["serviceAccount.automount=false"],
        "/automountServiceAccountToken",
        "false",
    ),
    (&["hostUsers=false"], "/hostUsers", "false"),
    (
        &["priorityClassName=high"],
        "/priorityClassName",
        r#""high""#,
    ),
    (
        &["runtimeClassName=gvisor"],
        "/runtimeClassName",
        r#""gvisor""#,
    ),
    (&["dnsPolicy=None"], "/dnsPolicy", r#""None""#),
    (
        &["dnsConfig.searches={a.example}"],
        "/dnsConfig",
        r#"{"searches": ["a.example"]}"#,
    ),
    (
        &[
            "hostAliases[0].ip=10.0.0.1",
            "hostAliases[0].hostnames={db}",
        ],
        "/hostAliases",
        r#"[{"ip": "10.0.0.1", "hostnames": ["db"]}]"#,
    ),
    (
        &["terminationGracePeriodSeconds=60"],
        "/terminationGracePeriodSeconds",
        "60",
    ),
    (
        &["image.pullSecrets[0].name=pull"],
        "/imagePullSecrets",
        r#"[{"name": "pull"}]"#,
    ),
    (
        &["nodeSelector.disk=ssd"],
        "/nodeSelector",
        r#"{"disk": "ssd"}"#,
    ),
    (
        &["tolerations[0].operator=Exists"],
        "/tolerations",
        r#"[{"operator": "Exists"}]"#,
    ),
    (
        &["extraVolumes[0].name=v"],
        "/volumes",
        r#"[{"name": "v"}]"#,
    ),
];

/// The same of the container.
const OF_CONTAINERS: &[(&[&str], &str, &str)] = &[
    (&["extraArgs={--log=debug}"], "/args", r#"["--log=debug"]"#),
    (
        &["extraEnv[0].name=A", "extraEnv[0].value=b"],
        "/env/8",
        r#"{"name": "A", "value": "b"}"#,
    ),
    (
        &["extraEnvFrom[0].secretRef.name=s"],
        "/envFrom",
        r#"[{"secretRef": {"name": "s"}}]"#,
    ),
    (
        &[
            "extraVolumeMounts[0].name=v",
            "extraVolumeMounts[0].mountPath=/v",
        ],
        "/volumeMounts",
        r#"[{"name": "v", "mountPath": "/v"}]"#,
    ),
    (
        &["resources.limits.memory=1Gi"],
        "/resources/limits",
        r#"{"memory": "1Gi"}"#,
    ),
    (
        &["securityContext.privileged=false"],
        "/securityContext/privileged",
        "false",
    ),
    (&["log=debug"], "/env/5/value", r#""debug""#),
    (
        &["leaderElection.leaseSeconds=60"],
        "/env/2/value",
        r#""60""#,
    ),
    (
        &["image.pullPolicy=Always"],
        "/imagePullPolicy",
        r#""Always""#,
    ),
];

#[test]
fn what_pods_are_given_comes_with_its_value() {
    let judge = |table: &[(&[&str], &str, &str)], of: fn(&[&str]) -> Value| {
        for (values, field, expected) in table {
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(of(values).pointer(field), Some(&expected), "{values:?}");
            assert_ne!(of(&[]).pointer(field), Some(&expected), "{field} without");
        }
    };
    judge(OF_PODS, pod);
    judge(OF_CONTAINERS, container);
    assert_eq!(
        pod(&["topologySpreadConstraints=null"])["topologySpreadConstraints"],
        Value::Null
    );
    let kept = one(&objects(&["revisionHistoryLimit=2"]), "Deployment");
    assert_eq!(kept["spec"]["revisionHistoryLimit"], 2);
}

#[test]
fn a_constraint_without_a_selector_is_given_ours() {
    let given = |values: &[&str]| pod(values)["topologySpreadConstraints"][0].clone();
    let ours = &given(&[])["labelSelector"]["matchLabels"];
    assert_eq!(ours["app.kubernetes.io/name"], CHART);
    let base = "topologySpreadConstraints[0].maxSkew=2,topologySpreadConstraints[0].topologyKey=zone,topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule";
    let own = given(&[
        base,
        "topologySpreadConstraints[0].labelSelector.matchLabels.a=b",
    ]);
    assert_eq!(own["labelSelector"], json!({"matchLabels": {"a": "b"}}));
    let zone = given(&[base]);
    assert_eq!(
        (&zone["topologyKey"], &zone["labelSelector"]["matchLabels"]),
        (&json!("zone"), ours)
    );
}

/// Without the values that `OpenShift` gives each namespace itself.
#[test]
fn openshift_chooses_the_user() {
    let restricted = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(
        pod(&["openshift.adapt=always"])["securityContext"],
        restricted
    );
    assert_eq!(pod(&[])["securityContext"]["runAsUser"], 65532);
    let detected = |adapt: &str| {
        let values = ["--api-versions=security.openshift.io/v1", "--set", adapt];
        let text = template(CHART, &values).success().unwrap().stdout;
        one(&documents(&text), "Deployment")["spec"]["template"]["spec"]["securityContext"].clone()
    };
    assert_eq!(detected("openshift.adapt=auto"), restricted);
    assert_eq!(detected("openshift.adapt=never")["runAsUser"], 65532);
}

/// What the restricted Pod Security Standard asks for, of all pods in the chart.
#[test]
fn pods_are_restricted() {
    let objects = objects(&[]);
    let test = objects
        .iter()
        .find(|object| object["kind"] == "Pod")
        .unwrap();
    for pod in [pod(&[]), test["spec"].clone()] {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
    }
    assert_eq!(
        one(&objects, "ServiceAccount")["automountServiceAccountToken"],
        false
    );
}
