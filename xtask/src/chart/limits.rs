//! What the default of a value does not say of it.

use serde_json::{Map, Value, json};

/// A name of Kubernetes, or nothing.
pub(super) const NAME_OR_NONE: &str = "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$";
/// As Prometheus has them.
pub(super) const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";

/// Labels and annotations: a number there is refused by Kubernetes, with less to say of it.
pub(super) fn texts() -> Value {
    json!({"additionalProperties": {"type": "string"}})
}

/// By path of the value.
pub(super) fn limits() -> Vec<(&'static str, Value)> {
    let mut limits = words();
    limits.extend(lists());
    limits.extend(keys());
    let duration_or_none = format!("^$|{DURATION}");
    limits.extend([
        ("fullnameOverride", json!({"pattern": NAME_OR_NONE})),
        ("serviceAccount.name", json!({"pattern": NAME_OR_NONE})),
        ("log", json!({"minLength": 1})),
        (
            "podDisruptionBudget.maxUnavailable",
            json!({"type": ["integer", "string"], "minimum": 1, "pattern": "^[1-9][0-9]?%$"}),
        ),
        (
            "metrics.serviceMonitor.interval",
            json!({"pattern": duration_or_none}),
        ),
        (
            "metrics.serviceMonitor.scrapeTimeout",
            json!({"pattern": duration_or_none}),
        ),
    ]);
    limits
}

/// Values of which only some words are right.
fn words() -> Vec<(&'static str, Value)> {
    vec![
        (
            "image.pullPolicy",
            json!({"enum": ["Always", "IfNotPresent", "Never"]}),
        ),
        (
            "dnsPolicy",
            json!({"enum": ["", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]}),
        ),
    ]
}

/// What is in lists.
fn lists() -> Vec<(&'static str, Value)> {
    let objects = |required: &[&str]| json!({"items": {"type": "object", "required": required}});
    let ports = || {
        let port = json!({"type": "integer", "minimum": 1, "maximum": 65535});
        json!({"items": port, "minItems": 1, "uniqueItems": true})
    };
    let namespace =
        json!({"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63});
    let network = json!({"type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$"});
    vec![
        (
            "watch.namespaces",
            json!({"items": namespace, "uniqueItems": true}),
        ),
        (
            "networkPolicy.egress.apiServer.cidrs",
            json!({"items": network, "uniqueItems": true}),
        ),
        // Without ports, a rule would be of all of them.
        (
            "networkPolicy.egress.apiServer",
            json!({"required": ["ports"]}),
        ),
        ("networkPolicy.egress.dns", json!({"required": ["ports"]})),
        (
            "networkPolicy.egress.databases",
            json!({"required": ["ports"]}),
        ),
        ("networkPolicy.egress.apiServer.ports", ports()),
        ("networkPolicy.egress.dns.ports", ports()),
        ("networkPolicy.egress.databases.ports", ports()),
        ("image.pullSecrets", objects(&["name"])),
        (
            "topologySpreadConstraints",
            objects(&["maxSkew", "topologyKey", "whenUnsatisfiable"]),
        ),
        ("hostAliases", objects(&["ip", "hostnames"])),
        ("extraArgs", json!({"items": {"type": "string"}})),
        ("extraEnv", objects(&["name"])),
        ("extraVolumes", objects(&["name"])),
        ("extraVolumeMounts", objects(&["name", "mountPath"])),
        ("extraObjects", objects(&["apiVersion", "kind"])),
    ]
}

/// What Kubernetes knows in values that people give as a whole. What it does not, it would drop without a word.
fn keys() -> Vec<(&'static str, Value)> {
    // Not `propertyNames`: of these, helm names another value than the wrong one.
    let of = |names: &[&str]| {
        let known: Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({})))
            .collect();
        json!({"additionalProperties": false, "properties": known})
    };
    vec![
        ("resources", of(&["limits", "requests", "claims"])),
        (
            "affinity",
            of(&["nodeAffinity", "podAffinity", "podAntiAffinity"]),
        ),
        ("dnsConfig", of(&["nameservers", "searches", "options"])),
        (
            "podSecurityContext",
            of(&[
                "appArmorProfile",
                "fsGroup",
                "fsGroupChangePolicy",
                "runAsGroup",
                "runAsNonRoot",
                "runAsUser",
                "seLinuxChangePolicy",
                "seLinuxOptions",
                "seccompProfile",
                "supplementalGroups",
                "supplementalGroupsPolicy",
                "sysctls",
            ]),
        ),
        (
            "securityContext",
            of(&[
                "allowPrivilegeEscalation",
                "appArmorProfile",
                "capabilities",
                "privileged",
                "procMount",
                "readOnlyRootFilesystem",
                "runAsGroup",
                "runAsNonRoot",
                "runAsUser",
                "seLinuxOptions",
                "seccompProfile",
            ]),
        ),
    ]
}
