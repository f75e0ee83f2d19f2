//! The pod of an embedded broker: one, as it alone has the volume.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy},
        core::v1::{
            Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, HTTPGetAction,
            LocalObjectReference, PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec,
            PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource,
            SecurityContext, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use super::{HTTP, OPERATIONS, REPLICAS, named, pod_template};
use crate::children::{child_of, labels, selector};

/// The user that images of the broker are made for.
const USER: i64 = 65_532;
/// Requests in flight have this long to end, in seconds.
const SHUTDOWN: i64 = 20;
const STATE: &str = "/etc/package-broker";
const DATA: &str = "/var/lib/package-broker";

pub(super) fn build(broker: &PackageBroker, image: &str) -> Deployment {
    let name = broker.name_any();
    Deployment {
        metadata: child_of(broker, &name, labels(&name)),
        spec: DeploymentSpec {
            replicas: Some(1),
            revision_history_limit: Some(3),
            selector: LabelSelector {
                match_labels: Some(selector(&name)),
                ..LabelSelector::default()
            },
            // Two processes must not have the volume at once.
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                ..DeploymentStrategy::default()
            }),
            template: pod_template::extend(template(broker, image), broker, REPLICAS > 1),
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn template(broker: &PackageBroker, image: &str) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(&broker.name_any())),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(broker, image)),
    }
}

fn pod(broker: &PackageBroker, image: &str) -> PodSpec {
    let image_spec = broker.spec.image.as_ref();
    let pull_secrets = image_spec.map(|image| image.pull_secrets.iter());
    let pull_secrets: Vec<LocalObjectReference> = pull_secrets
        .into_iter()
        .flatten()
        .map(|secret| LocalObjectReference {
            name: secret.name.as_str().to_owned(),
        })
        .collect();
    PodSpec {
        // It asks nothing of Kubernetes.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        containers: vec![container(broker, image)],
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(SHUTDOWN + 10),
        volumes: Some(volumes(broker)),
        ..PodSpec::default()
    }
}

fn volumes(broker: &PackageBroker) -> Vec<Volume> {
    vec![
        Volume {
            name: "state".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(named(broker, "state")),
                default_mode: Some(0o440),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "data".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: named(broker, "data"),
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "tmp".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    ]
}

fn container(broker: &PackageBroker, image: &str) -> Container {
    let port = |name: &str, port: i32| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let policy = broker
        .spec
        .image
        .as_ref()
        .and_then(|image| image.pull_policy);
    Container {
        name: "broker".to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(
            policy
                .map_or("IfNotPresent", |policy| policy.as_str())
                .to_owned(),
        ),
        args: Some(
            ["run", "--file", STATE, "--data", DATA]
                .map(str::to_owned)
                .into(),
        ),
        env: Some(environment()),
        ports: Some(vec![port("http", HTTP), port("operations", OPERATIONS)]),
        resources: Some(resources(broker)),
        // Whether it is ready may take as long as the first sync: that is for readiness to say.
        startup_probe: Some(probe("/livez", 1, 60)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 2, 1)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount("state", STATE, true),
            mount("data", DATA, false),
            mount("tmp", "/tmp", false),
        ]),
        ..Container::default()
    }
}

fn environment() -> Vec<EnvVar> {
    [
        ("PACKAGE_BROKER_LISTEN", format!("0.0.0.0:{HTTP}")),
        (
            "PACKAGE_BROKER_METRICS_LISTEN",
            format!("0.0.0.0:{OPERATIONS}"),
        ),
        ("PACKAGE_BROKER_SHUTDOWN_SECONDS", SHUTDOWN.to_string()),
        ("PACKAGE_BROKER_LOG_FORMAT", "json".to_owned()),
    ]
    .map(|(name, value)| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    })
    .into()
}

fn resources(broker: &PackageBroker) -> ResourceRequirements {
    let usual = || ResourceRequirements {
        requests: Some(BTreeMap::from([
            ("cpu".to_owned(), Quantity("100m".to_owned())),
            ("memory".to_owned(), Quantity("128Mi".to_owned())),
        ])),
        ..ResourceRequirements::default()
    };
    broker.spec.resources.clone().unwrap_or_else(usual)
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("operations".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}
