//! containerd, kubelet and kube-proxy: the one node.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    DNS_SERVICE, NODE_ADDRESS, NODE_NAME, Namespace, Programs,
    control_plane::path,
    pki::{Kubeconfig, Pki},
    service::Service,
};
use crate::{
    image::{Entry, Image},
    process::{run, tethered},
};

const START_LIMIT: Duration = Duration::from_mins(2);
const COMMAND_LIMIT: Duration = Duration::from_mins(2);
/// Networks of pods.
const PODS: &str = "10.244.0.0/16";
const PODS_OF_NODE: &str = "10.244.0.0/24";
/// The image of the process that holds a pod's namespaces.
const PAUSE: &str = "localhost/pause:1";

/// The node's programs.
#[derive(Debug)]
pub(super) struct Node {
    socket: PathBuf,
    kubectl: Command,
    kubelet: Service,
    proxy: Service,
    containerd: Service,
}

impl Node {
    pub(super) fn start(
        folder: &Path,
        programs: &Programs,
        namespace: &Namespace,
        pki: &Pki,
        kubeconfigs: &Kubeconfig,
    ) -> Result<Self> {
        ensure!(
            Path::new("/usr/lib/cni/bridge").exists(),
            "a cluster needs the Debian packages containerd, runc, containernetworking-plugins, nftables, iptables, conntrack, socat and ethtool"
        );
        let containerd_folder = folder.join("containerd");
        let socket = socket_in(folder);
        write_containerd(&containerd_folder, &socket)?;
        let mut containerd = namespace.command("containerd");
        containerd
            .arg("--config")
            .arg(containerd_folder.join("config.toml"));
        let mut containerd = Service::start("containerd", folder, containerd)?;
        containerd.wait_until(START_LIMIT, || ctr(&socket, &["version"]).is_ok())?;
        let image = folder.join("pause.tar");
        pause(programs)?.write(&image)?;
        ctr(&socket, &["images", "import", &image.to_string_lossy()])?;
        let kubelet = kubelet(folder, programs, namespace, pki, kubeconfigs, &socket)?;
        let kubelet = Service::start("kubelet", folder, kubelet)?;
        let proxy = proxy(folder, programs, namespace, kubeconfigs)?;
        let proxy = Service::start("kube-proxy", folder, proxy)?;
        let mut kubectl = tethered(programs.kubectl());
        kubectl
            .arg("--kubeconfig")
            .arg(super::kubeconfig_in(folder));
        Ok(Self {
            socket,
            kubectl,
            kubelet,
            proxy,
            containerd,
        })
    }

    /// Waits until pods can run.
    pub(super) fn wait_until_ready(
        &mut self,
        kubeconfig: &Path,
        programs: &Programs,
    ) -> Result<()> {
        self.kubelet.wait_until(START_LIMIT, || {
            let mut get = tethered(programs.kubectl());
            get.arg("--kubeconfig").arg(kubeconfig).args([
                "get",
                "node",
                NODE_NAME,
                "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}",
            ]);
            run(get, COMMAND_LIMIT).is_ok_and(|finished| finished.stdout == "True")
        })
    }

    /// Ends all pods, by force, and waits for it as long as that takes usually.
    pub(super) fn end_pods(&mut self) {
        // Without what would make new ones.
        for kinds in ["deployments,statefulsets,daemonsets,jobs,cronjobs", "pods"] {
            let arguments = [
                "delete",
                kinds,
                "--all",
                "--all-namespaces",
                "--force",
                "--grace-period=0",
                "--wait=false",
            ];
            let mut delete = Command::new(self.kubectl.get_program());
            delete.args(self.kubectl.get_args()).args(arguments);
            let _ = run(delete, COMMAND_LIMIT);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            match ctr_output(&self.socket, &["tasks", "list", "--quiet"]) {
                Ok(tasks) if tasks.trim().is_empty() => return,
                _ => thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// Stops what makes pods.
    pub(super) fn stop(&mut self) {
        self.kubelet.stop();
        self.proxy.stop();
    }

    /// Ends what is still left of pods, and what they ran on.
    pub(super) fn stop_runtime(&mut self) {
        if let Ok(tasks) = ctr_output(&self.socket, &["tasks", "list", "--quiet"]) {
            for task in tasks.split_whitespace() {
                let _ = ctr(&self.socket, &["tasks", "delete", "--force", task]);
            }
        }
        self.containerd.stop();
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("containerd/sock")
}

/// Makes an image known to the node of the cluster in `folder`.
pub(super) fn load(folder: &Path, image: &Path) -> Result<()> {
    ctr(
        &socket_in(folder),
        &["images", "import", &image.to_string_lossy()],
    )
}

fn pause(programs: &Programs) -> Result<Image> {
    let program = fs::read(programs.pause()).context("the program of pause")?;
    let mut image = Image::new(PAUSE, &["/pause"]);
    image.add("/pause", Entry::File(0o755, program));
    Ok(image)
}

fn ctr(socket: &Path, arguments: &[&str]) -> Result<()> {
    ctr_output(socket, arguments).map(drop)
}

fn ctr_output(socket: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = tethered("ctr");
    command
        .arg("--address")
        .arg(socket)
        .args(["--namespace", "k8s.io"])
        .args(arguments);
    Ok(run(command, COMMAND_LIMIT)?.success()?.stdout)
}

fn write_containerd(folder: &Path, socket: &Path) -> Result<()> {
    let cni = folder.join("cni");
    fs::create_dir_all(&cni)?;
    let (at, socket) = (folder.display(), socket.display());
    let config = format!(
        r#"version = 2
root = "{at}/root"
state = "{at}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Below our folder, and not among those of others: what is left goes with it.
  netns_mounts_under_state_dir = true
  # Without it runc fails where the machine lacks CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{at}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#
    );
    fs::write(folder.join("config.toml"), config)?;
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
                "ipam": {
                    "type": "host-local", "dataDir": folder.join("addresses"),
                    "ranges": [[{"subnet": PODS_OF_NODE}]], "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    Ok(fs::write(
        cni.join("10-pods.conflist"),
        serde_json::to_vec_pretty(&network)?,
    )?)
}

fn kubelet(
    folder: &Path,
    programs: &Programs,
    namespace: &Namespace,
    pki: &Pki,
    kubeconfigs: &Kubeconfig,
    socket: &Path,
) -> Result<Command> {
    let resolve = folder.join("resolv.conf");
    // What is not of the cluster is found nowhere.
    fs::write(&resolve, format!("nameserver {NODE_ADDRESS}\n"))?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "address": NODE_ADDRESS,
        "healthzPort": 0,
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        // This machine's disk is not the cluster's to judge.
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE],
        "resolvConf": resolve,
        "containerRuntimeEndpoint": format!("unix://{}", socket.display()),
        "podLogsDir": folder.join("pod-logs"),
        "volumePluginDir": folder.join("kubelet/plugins"),
        "serializeImagePulls": false,
        "shutdownGracePeriod": "0s",
    });
    let file = folder.join("kubelet.json");
    fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    let mut command = namespace.command(programs.kubernetes("kubelet"));
    command
        .arg(path("--config", &file))
        .arg(path("--kubeconfig", &kubeconfigs.kubelet))
        .arg(path("--root-dir", &folder.join("kubelet")))
        .arg(path("--cert-dir", &folder.join("kubelet/pki")))
        .arg(format!("--hostname-override={NODE_NAME}"))
        .arg(format!("--node-ip={NODE_ADDRESS}"));
    Ok(command)
}

fn proxy(
    folder: &Path,
    programs: &Programs,
    namespace: &Namespace,
    kubeconfigs: &Kubeconfig,
) -> Result<Command> {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": kubeconfigs.proxy},
        "mode": "nftables",
        "conntrack": {"maxPerCore": 0},
        "clusterCIDR": PODS,
        "hostnameOverride": NODE_NAME,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    });
    let file = folder.join("kube-proxy.json");
    fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    let mut command = namespace.command(programs.kubernetes("kube-proxy"));
    command.arg(path("--config", &file));
    Ok(command)
}
