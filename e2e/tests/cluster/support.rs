//! What the suites share: `kubectl`, the installed operator, sources that pods reach, pods with Composer.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{LazyLock, Mutex, MutexGuard, Once, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use package_broker_e2e::{
    git::GitServer,
    place::Place,
    process::{Finished, run, tethered},
};
use serde_json::{Value, json};

use super::{
    kstatus, manifests,
    observer::{self, Observer},
};

/// How long anything in the cluster may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);
/// The namespace of the operator.
pub(crate) const OPERATOR: &str = "package-broker";

/// A cluster, as `cargo xtask e2e` told us of it.
pub(crate) struct Kube {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    helm: PathBuf,
    registry: String,
    tag: String,
}

impl Kube {
    /// The cluster, with the operator in it.
    pub(crate) fn get() -> &'static Self {
        static KUBE: OnceLock<Kube> = OnceLock::new();
        static WATCHED: Once = Once::new();
        let kube = KUBE.get_or_init(|| {
            let kube = Self::from_environment().unwrap();
            kube.install_operator().unwrap();
            kube
        });
        WATCHED.call_once(|| Self::observer().begin(|| kube.kubectl()));
        kube
    }

    fn from_environment() -> Result<Self> {
        let told = |name: &str| {
            std::env::var(format!("E2E_{name}"))
                .with_context(|| "these suites need a cluster: run them with `cargo xtask e2e`")
        };
        Ok(Self {
            kubeconfig: told("KUBECONFIG")?.into(),
            kubectl: told("KUBECTL")?.into(),
            helm: told("HELM")?.into(),
            registry: told("REGISTRY")?,
            tag: told("TAG")?,
        })
    }

    /// The reference of one of our images.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}:{}", self.registry, self.tag)
    }

    /// Installs the operator over what an earlier chart left, if it is not there yet.
    fn install_operator(&self) -> Result<()> {
        let status = ["status", "operator", "--namespace", OPERATOR];
        if !self.helm(&status)?.status.success() {
            self.install_earlier()?;
        }
        self.upgrade(&[])?;
        self.run(&["label", "namespace", OPERATOR, "--overwrite", RESTRICTED])?;
        Ok(())
    }

    /// The chart as it was before there were registries on servers, and what was declared then. No node takes its operator:
    /// what that did would not be told from what the one of now does.
    fn install_earlier(&self) -> Result<()> {
        let chart =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/fixtures/chart-before.tgz");
        let chart = chart.to_string_lossy();
        let nowhere = ["nodeSelector.nowhere=here"];
        self.release(["operator", OPERATOR], &chart, &nowhere, false)?;
        self.run(&["create", "namespace", BEFORE])?;
        self.run(&["label", "namespace", BEFORE, RESTRICTED])?;
        let documents = [manifests::broker(), manifests::token("ci")];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), list.to_string())?;
        let path = file.path().to_string_lossy();
        let (namespace, file) = (
            format!("--namespace={BEFORE}"),
            format!("--filename={path}"),
        );
        self.run(&["apply", &namespace, &file]).map(drop)
    }

    /// Installs the operator, or another release of it with further values.
    pub(crate) fn upgrade(&self, values: &[&str]) -> Result<()> {
        self.install("operator", OPERATOR, values)
    }

    /// The same under another name, in another namespace.
    pub(crate) fn install(&self, name: &str, namespace: &str, values: &[&str]) -> Result<()> {
        self.release([name, namespace], "CHART", values, true)
    }

    fn release(
        &self,
        [name, namespace]: [&str; 2],
        chart: &str,
        values: &[&str],
        wait: bool,
    ) -> Result<()> {
        let mut arguments = vec![
            "upgrade",
            "--install",
            name,
            chart,
            "--namespace",
            namespace,
            "--create-namespace",
            "--timeout=3m",
            "--set=replicas=2",
        ];
        arguments.extend(wait.then_some("--wait"));
        let images = [
            ("image", "package-broker-operator"),
            ("brokerImage", "package-broker"),
        ]
        .map(|(key, image)| {
            let (registry, tag) = (&self.registry, &self.tag);
            format!("--set={key}.repository={registry}/{image},{key}.tag={tag}")
        });
        arguments.extend(images.iter().map(String::as_str));
        arguments.extend(values.iter().flat_map(|value| ["--set", value]));
        self.helm(&arguments)?.success().map(drop)
    }

    /// `helm ARGUMENTS`, where `CHART` and `CRDS` stand for our charts, whatever comes of it.
    pub(crate) fn helm(&self, arguments: &[&str]) -> Result<Finished> {
        let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts");
        let mut helm = tethered(&self.helm);
        helm.env("KUBECONFIG", &self.kubeconfig);
        for argument in arguments {
            match *argument {
                "CHART" => helm.arg(charts.join("package-broker-operator")),
                "CRDS" => helm.arg(charts.join("package-broker-crds")),
                other => helm.arg(other),
            };
        }
        run(helm, LIMIT)
    }

    /// `kubectl ARGUMENTS`; its failure is an error.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.attempt(arguments)?.success()?.stdout)
    }

    /// `kubectl ARGUMENTS`, whatever comes of it.
    pub(crate) fn attempt(&self, arguments: &[&str]) -> Result<Finished> {
        run(self.command(arguments), LIMIT)
    }

    /// `kubectl ARGUMENTS`, still to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut kubectl = self.kubectl();
        kubectl.args(arguments);
        kubectl
    }

    fn kubectl(&self) -> Command {
        let mut kubectl = tethered(&self.kubectl);
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig);
        kubectl
    }

    /// What looks at every version of every object.
    pub(crate) fn observer() -> &'static Observer {
        static OBSERVER: LazyLock<Observer> = LazyLock::new(Observer::default);
        &OBSERVER
    }

    /// What service accounts asked of the API server, as its audit log has it.
    pub(crate) fn audit(&self) -> Result<Vec<Value>> {
        let folder = self.kubeconfig.parent().context("no folder")?;
        let text = fs::read_to_string(folder.join("audit.log"))
            .context("the audit log of the API server, which our own cluster has")?;
        // The last line may be half written.
        let lines = text.lines();
        Ok(lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// What the operator wrote in a namespace, in order, and when.
    pub(crate) fn writes_in(&self, namespace: &str) -> Result<Vec<(Timestamp, String)>> {
        let mut events = self.audit()?;
        events.retain(|event| {
            let verb = event["verb"].as_str().unwrap_or_default();
            is_operator(event)
                && event["objectRef"]["namespace"] == namespace
                && !["get", "list", "watch"].contains(&verb)
        });
        let told = |event: &Value| {
            let time = event["requestReceivedTimestamp"].as_str();
            let time = time.context("no time")?.parse()?;
            Ok((time, format!("{} {}", event["verb"], event["requestURI"])))
        };
        events.iter().map(told).collect()
    }

    /// A namespace for one test; it goes when the value does.
    pub(crate) fn namespace(&'static self, name: &str) -> Team {
        self.run(&["create", "namespace", name]).unwrap();
        self.run(&["label", "namespace", name, RESTRICTED]).unwrap();
        self.team(name)
    }

    /// A namespace that another suite left.
    pub(crate) fn found(&'static self, name: &str) -> Option<Team> {
        let found = self.attempt(&["get", "namespace", name]).unwrap();
        found.status.success().then(|| self.team(name))
    }

    fn team(&'static self, name: &str) -> Team {
        Team {
            kube: self,
            name: name.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            stays: false,
        }
    }
}

/// The namespace of what was declared before the operator was upgraded.
pub(crate) const BEFORE: &str = "before";
const RESTRICTED: &str = "pod-security.kubernetes.io/enforce=restricted";

/// A namespace of one's own. At its end, the test fails if a version of an object in it broke a rule.
pub(crate) struct Team {
    kube: &'static Kube,
    name: String,
    folder: tempfile::TempDir,
    stays: bool,
}

impl Team {
    /// The namespace's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the namespace to another suite.
    pub(crate) fn stays(mut self) {
        self.stays = true;
    }

    /// `kubectl --namespace NAME ARGUMENTS`; its failure is an error.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.attempt(arguments)?.success()?.stdout)
    }

    /// The same, whatever comes of it.
    pub(crate) fn attempt(&self, arguments: &[&str]) -> Result<Finished> {
        let mut all = vec!["--namespace", self.name.as_str()];
        all.extend(arguments);
        self.kube.attempt(&all)
    }

    /// The same, still to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut all = vec!["--namespace", self.name.as_str()];
        all.extend(arguments);
        self.kube.command(&all)
    }

    /// Applies documents.
    pub(crate) fn apply(&self, documents: &[Value]) -> Result<()> {
        static NUMBER: Mutex<u32> = Mutex::new(0);
        let mut number = NUMBER.lock().unwrap_or_else(PoisonError::into_inner);
        *number += 1;
        let file = self.folder.path().join(format!("{number}.json"));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
        fs::write(&file, serde_json::to_vec(&list)?)?;
        drop(number);
        self.kubectl(&["apply", "--filename", &file.to_string_lossy()])?;
        Ok(())
    }

    /// Changes an object by a merge patch (RFC 7386).
    pub(crate) fn patch(&self, [kind, name]: [&str; 2], patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        self.kubectl(&["patch", kind, name, "--type=merge", "--patch", &patch])
            .map(drop)
    }

    /// An object as JSON.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&[
            "get",
            kind,
            name,
            "--output=json",
        ])?)?)
    }

    /// Waits until an object is ready; if it does not become so, tells what is known.
    pub(crate) fn wait_ready<O: AsRef<str>>(&self, objects: &[O]) -> Result<()> {
        let mut arguments = vec!["wait", "--for=condition=Ready", "--timeout=150s"];
        arguments.extend(objects.iter().map(AsRef::as_ref));
        let waited = self.attempt(&arguments)?;
        if waited.status.success() {
            return Ok(());
        }
        let state = self.kubectl(&["get", "package-broker,pods,events", "--output=wide"])?;
        let pods = self.attempt(&[
            "logs",
            "--selector=app.kubernetes.io/name=package-broker",
            "--tail=30",
        ])?;
        let operator = self.kube.attempt(&[
            "logs",
            "--namespace",
            OPERATOR,
            "--selector=app.kubernetes.io/name=package-broker-operator",
            "--tail=30",
        ])?;
        bail!("{waited}\n{state}\n{pods}\n{operator}")
    }

    /// Waits until `found` gives something.
    pub(crate) fn wait_for<T>(
        what: &str,
        mut found: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = found()? {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "{what} did not come in time");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Checks all objects of our kinds by the rules of kstatus: those for what has come to rest, and those for every version
    /// that there was since the last time. The latter is checked at the end of each test too.
    pub(crate) fn check_kstatus(&self) -> Result<()> {
        let objects = self.objects()?;
        let faults: Vec<String> = objects.iter().flat_map(kstatus::faults).collect();
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        observer::check(Kube::observer(), &self.name, &objects)
    }

    /// All objects of our kinds.
    fn objects(&self) -> Result<Vec<Value>> {
        let text = self.kubectl(&["get", "package-broker", "--output=json"])?;
        let mut list: Value = serde_json::from_str(&text)?;
        let objects = list["items"].as_array_mut().context("no items")?;
        Ok(std::mem::take(objects))
    }

    /// Runs Composer in a pod: a project with this `composer.json`, credentials from a Secret, then `script`. Returns what
    /// it said.
    pub(crate) fn composer(
        &self,
        name: &str,
        project: &Value,
        secret: &str,
        script: &str,
    ) -> Result<String> {
        self.start_composer(name, project, secret, script)?;
        self.end_of(name)
    }

    /// The same, without waiting for its end.
    pub(crate) fn start_composer(
        &self,
        name: &str,
        project: &Value,
        secret: &str,
        script: &str,
    ) -> Result<()> {
        self.start_composer_with(name, project, secret, script, None)
    }

    /// The same, with another Secret mounted at `/admin`.
    pub(crate) fn start_composer_with(
        &self,
        name: &str,
        project: &Value,
        secret: &str,
        script: &str,
        mounted: Option<&str>,
    ) -> Result<()> {
        let files = json!({"composer.json": project.to_string(), "run": script});
        let from = json!({"valueFrom": {"secretKeyRef": {"name": secret, "key": "auth.json"}}});
        let mut pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {
                    "restartPolicy": "Never", "automountServiceAccountToken": false,
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [{
                        "name": "composer", "image": self.kube.image("composer"), "imagePullPolicy": "IfNotPresent",
                        "args": ["-euc", "mkdir /tmp/app; cd /tmp/app; cp /project/composer.json .; . /project/run"],
                        "env": [{"name": "COMPOSER_AUTH", "valueFrom": from["valueFrom"]}],
                        "securityContext": {
                            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [
                            {"name": "project", "mountPath": "/project"}, {"name": "tmp", "mountPath": "/tmp"},
                        ],
                    }],
                    "volumes": [
                        {"name": "project", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}},
                    ],
                },
        });
        if let Some(mounted) = mounted {
            let spec = &mut pod["spec"];
            let volume = json!({"name": "admin", "secret": {"secretName": mounted}});
            spec["volumes"]
                .as_array_mut()
                .context("no volumes")?
                .push(volume);
            let mounts = &mut spec["containers"][0]["volumeMounts"];
            let mount = json!({"name": "admin", "mountPath": "/admin"});
            mounts.as_array_mut().context("no mounts")?.push(mount);
        }
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files});
        self.apply(&[map, pod])
    }

    /// Waits for the end of a pod, and returns what it said. That it failed is an error.
    pub(crate) fn end_of(&self, pod: &str) -> Result<String> {
        let phase = Self::wait_for(&format!("the end of pod {pod}"), || {
            let object = self.get("pod", pod)?;
            let phase = object["status"]["phase"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            Ok(["Succeeded", "Failed"]
                .contains(&phase.as_str())
                .then_some(phase))
        })?;
        let said = self.kubectl(&["logs", pod])?;
        ensure!(phase == "Succeeded", "Composer failed:\n{said}");
        Ok(said)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        let observer = Kube::observer();
        let seen = self
            .objects()
            .and_then(|last| observer::check(observer, &self.name, &last));
        observer.leave(&self.name);
        if !self.stays {
            // What cannot be deleted goes with the cluster.
            let _ = self
                .kube
                .attempt(&["delete", "namespace", &self.name, "--wait=false"]);
        }
        if let Err(error) = seen
            && !thread::panicking()
        {
            panic!("{error:#}");
        }
    }
}

/// Held by tests that end the operator, or have another take its place.
pub(crate) fn operator_is_ours() -> MutexGuard<'static, ()> {
    static OPERATOR: Mutex<()> = Mutex::new(());
    OPERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an entry of the audit log is of the operator, and not of the chart's test for instance.
pub(crate) fn is_operator(event: &Value) -> bool {
    is_of(event, OPERATOR)
}

/// Whether an entry of the audit log is of the operator in a namespace.
pub(crate) fn is_of(event: &Value, namespace: &str) -> bool {
    let user = event["user"]["username"].as_str().unwrap_or_default();
    user.starts_with(&format!("system:serviceaccount:{namespace}:"))
        && user.ends_with("-package-broker-operator")
}

/// A git server that pods reach.
pub(crate) fn git_server(root: &Path) -> GitServer {
    let place = Place::of_suites().unwrap();
    let (address, root) = (place.address(), root.to_owned());
    place
        .inside(move || GitServer::start_at(address, &root))
        .unwrap()
        .unwrap()
}
