//! The pods of a `PackageBroker`: those that serve, and those that do one thing and end.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapProjection, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
        HTTPGetAction, KeyToPath, Lifecycle, LifecycleHandler, LocalObjectReference,
        PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, Probe,
        ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretProjection,
        SecretVolumeSource, SecurityContext, SleepAction, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use package_broker_crds::PackageBroker;

use super::{CONFIGURATION, HTTP, OPERATIONS, SETTINGS, named};
use crate::package_broker::servers::Servers;

/// The user that images of the broker are made for.
const USER: i64 = 65_532;
/// Requests in flight have this long to end, in seconds.
pub(super) const SHUTDOWN: i64 = 20;
/// A pod that is to end goes on serving for so long, in seconds: until nobody sends it new requests any more.
const DRAIN: i64 = 5;
/// Where manifests or settings are mounted.
pub(super) const MOUNTED: &str = "/etc/package-broker";
/// Where a pod keeps what is its own.
pub(super) const DATA: &str = "/var/lib/package-broker";
/// Where a pod that ends says what came of it.
const REPORT: &str = "/dev/termination-log";

/// What a pod is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// To be the whole registry, with its state on a volume.
    Run,
    /// To serve, as one of several.
    Serve(&'a Servers),
    /// To bring the database up to its release, and to see whether all servers can be used.
    Migrate(&'a Servers),
    /// To sync a repository.
    Sync(&'a Servers, &'a str),
}

impl Purpose<'_> {
    fn servers(&self) -> Option<&Servers> {
        match self {
            Self::Run => None,
            Self::Serve(servers) | Self::Migrate(servers) | Self::Sync(servers, _) => Some(servers),
        }
    }

    fn serves(&self) -> bool {
        matches!(self, Self::Run | Self::Serve(_))
    }

    fn arguments(&self) -> Vec<String> {
        let arguments: &[&str] = match self {
            Self::Run => &["run", "--file", MOUNTED, "--data", DATA],
            Self::Serve(_) => &["serve"],
            Self::Migrate(_) => &["migrate", "--check", "--report", REPORT],
            Self::Sync(_, repository) => &["sync", repository, "--report", REPORT],
        };
        arguments.iter().copied().map(str::to_owned).collect()
    }
}

/// A pod of a broker.
pub(crate) fn pod(broker: &PackageBroker, image: &str, purpose: Purpose<'_>) -> PodSpec {
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
        containers: vec![container(broker, image, purpose)],
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        restart_policy: (!purpose.serves()).then(|| "Never".to_owned()),
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
        termination_grace_period_seconds: Some(DRAIN + SHUTDOWN + 5),
        volumes: Some(volumes(broker, purpose)),
        ..PodSpec::default()
    }
}

fn volumes(broker: &PackageBroker, purpose: Purpose<'_>) -> Vec<Volume> {
    let named_volume = |name: &str| Volume {
        name: name.to_owned(),
        ..Volume::default()
    };
    let empty = |name: &str| Volume {
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..named_volume(name)
    };
    let Some(servers) = purpose.servers() else {
        return vec![
            Volume {
                secret: Some(SecretVolumeSource {
                    secret_name: Some(named(broker, "state")),
                    default_mode: Some(0o440),
                    ..SecretVolumeSource::default()
                }),
                ..named_volume("state")
            },
            Volume {
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: named(broker, "data"),
                    ..PersistentVolumeClaimVolumeSource::default()
                }),
                ..named_volume("data")
            },
            empty("tmp"),
        ];
    };
    let settings = Volume {
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o440),
            sources: Some(projections(broker, servers)),
            ..ProjectedVolumeSource::default()
        }),
        ..named_volume("settings")
    };
    vec![settings, empty("data"), empty("tmp")]
}

/// Settings from the `ConfigMap`, and each secret one from where the user keeps it.
fn projections(broker: &PackageBroker, servers: &Servers) -> Vec<VolumeProjection> {
    let item = |key: &str, path: &str| KeyToPath {
        key: key.to_owned(),
        path: path.to_owned(),
        ..KeyToPath::default()
    };
    let settings = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: named(broker, CONFIGURATION),
            items: Some(vec![item(SETTINGS, SETTINGS)]),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let mut secrets: BTreeMap<&str, Vec<KeyToPath>> = BTreeMap::new();
    for file in &servers.files {
        let items = secrets.entry(&file.secret).or_default();
        items.push(item(&file.key, file.name));
    }
    let secrets = secrets.into_iter().map(|(secret, items)| VolumeProjection {
        secret: Some(SecretProjection {
            name: secret.to_owned(),
            items: Some(items),
            ..SecretProjection::default()
        }),
        ..VolumeProjection::default()
    });
    std::iter::once(settings).chain(secrets).collect()
}

fn container(broker: &PackageBroker, image: &str, purpose: Purpose<'_>) -> Container {
    let policy = broker
        .spec
        .image
        .as_ref()
        .and_then(|image| image.pull_policy);
    let container = Container {
        name: "broker".to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(
            policy
                .map_or("IfNotPresent", |policy| policy.as_str())
                .to_owned(),
        ),
        args: Some(purpose.arguments()),
        env: Some(environment(purpose)),
        resources: Some(resources(broker, purpose)),
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
        volume_mounts: Some(mounts(purpose)),
        ..Container::default()
    };
    if purpose.serves() {
        serving(container, purpose)
    } else {
        container
    }
}

/// What a container has besides that others ask.
fn serving(container: Container, purpose: Purpose<'_>) -> Container {
    let port = |name: &str, port: i32| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let drain = LifecycleHandler {
        sleep: Some(SleepAction { seconds: DRAIN }),
        ..LifecycleHandler::default()
    };
    Container {
        ports: Some(vec![port("http", HTTP), port("operations", OPERATIONS)]),
        // Whether it is ready may take as long as the first sync: that is for readiness to say.
        startup_probe: Some(probe("/livez", 1, 60)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 2, 1)),
        // A pod that is alone has nobody to hand over to.
        lifecycle: purpose.servers().map(|_| Lifecycle {
            pre_stop: Some(drain),
            ..Lifecycle::default()
        }),
        ..container
    }
}

fn mounts(purpose: Purpose<'_>) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let given = match purpose {
        Purpose::Run => "state",
        _ => "settings",
    };
    vec![
        mount(given, MOUNTED, true),
        mount("data", DATA, false),
        mount("tmp", "/tmp", false),
    ]
}

fn environment(purpose: Purpose<'_>) -> Vec<EnvVar> {
    let variables = match purpose {
        Purpose::Run => vec![
            ("LISTEN", format!("0.0.0.0:{HTTP}")),
            ("METRICS_LISTEN", format!("0.0.0.0:{OPERATIONS}")),
            ("SHUTDOWN_SECONDS", SHUTDOWN.to_string()),
            ("LOG_FORMAT", "json".to_owned()),
        ],
        _ => vec![("CONFIG", format!("{MOUNTED}/{SETTINGS}"))],
    };
    let variable = |(name, value)| EnvVar {
        name: format!("PACKAGE_BROKER_{name}"),
        value: Some(value),
        ..EnvVar::default()
    };
    variables.into_iter().map(variable).collect()
}

fn resources(broker: &PackageBroker, purpose: Purpose<'_>) -> ResourceRequirements {
    let usual = || ResourceRequirements {
        requests: Some(BTreeMap::from([
            ("cpu".to_owned(), Quantity("100m".to_owned())),
            ("memory".to_owned(), Quantity("128Mi".to_owned())),
        ])),
        ..ResourceRequirements::default()
    };
    let spec = &broker.spec;
    let of_jobs = spec.sync.job_template.as_ref();
    let of_jobs = of_jobs.and_then(|template| template.resources.as_ref());
    let own = of_jobs.filter(|_| matches!(purpose, Purpose::Sync(..)));
    own.or(spec.resources.as_ref())
        .cloned()
        .unwrap_or_else(usual)
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
