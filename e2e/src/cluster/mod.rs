//! A whole Kubernetes on this machine: one node, with kubelet and pods, in a network namespace of its own.
//!
//! [`Cluster::start`] brings it up and [`Cluster::stop`] takes it down; no address outside the namespace is touched but a
//! port on loopback, where the API server answers people and tests. Every program is a child process of whoever
//! started the cluster. Programs come from [`Programs`], which builds them from the Go modules in `e2e/cluster/`.

mod addons;
mod control_plane;
mod forward;
mod leftovers;
mod namespace;
mod node;
mod pki;
mod programs;
mod service;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use self::{
    control_plane::ControlPlane,
    forward::Forward,
    node::Node,
    pki::{Kubeconfig, Pki},
};
pub use self::{namespace::Namespace, programs::Programs};
use crate::process::{Finished, run, tethered};

/// The node's address, which pods reach too.
pub const NODE_ADDRESS: &str = "10.250.0.1";
/// The name of the one node.
pub const NODE_NAME: &str = "node0";
/// Where the API server listens, in the namespace.
const API_PORT: u16 = 6443;
/// The service of the API server.
const API_SERVICE: &str = "10.96.0.1";
/// Where cluster DNS answers.
const DNS_SERVICE: &str = "10.96.0.10";

/// How long one command of `kubectl` may take.
const KUBECTL_LIMIT: Duration = Duration::from_mins(5);

/// Told of each step, with a line for people.
pub type Progress<'a> = &'a dyn Fn(&str);

/// A running cluster. Dropping it takes it down.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    programs: Programs,
    // In the order in which they end.
    node: Node,
    addons: addons::Addons,
    control_plane: ControlPlane,
    forward: Forward,
    namespace: Namespace,
}

impl Cluster {
    /// Starts a cluster of that name with its state in `folder`, which is emptied first.
    ///
    /// # Errors
    /// If the machine lacks something, with what to do about it; or if a program does not come up, with what it said.
    pub fn start(
        name: &str,
        folder: &Path,
        programs: &Programs,
        say: Progress<'_>,
    ) -> Result<Self> {
        check_machine()?;
        clean(name, folder)?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        say("making the network");
        let namespace = Namespace::make(name)?;
        let forward = Forward::start(&namespace, (NODE_ADDRESS, API_PORT))?;
        let pki = Pki::make(&folder.join("pki"), API_SERVICE)?;
        let kubeconfigs = Kubeconfig::all(&pki, folder, forward.port())?;
        say("starting etcd and the API server");
        let control_plane = ControlPlane::start(folder, programs, &namespace, &pki, &kubeconfigs)?;
        say("starting containerd and kubelet");
        let node = Node::start(folder, programs, &namespace, &pki, &kubeconfigs)?;
        let mut cluster = Self {
            folder: folder.to_owned(),
            programs: programs.clone(),
            node,
            addons: addons::Addons::default(),
            control_plane,
            forward,
            namespace,
        };
        say("starting cluster DNS");
        cluster.addons = addons::Addons::start(&cluster, &kubeconfigs)?;
        say("waiting until the node is ready");
        cluster
            .node
            .wait_until_ready(&cluster.kubeconfig(), &cluster.programs)?;
        Ok(cluster)
    }

    /// A kubeconfig of an administrator, good on this machine.
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig_in(&self.folder)
    }

    /// The network that all of it is in.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// `kubectl ARGUMENTS` as an administrator; its failure is an error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<Finished> {
        let mut kubectl = tethered(self.programs.kubectl());
        kubectl
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments);
        run(kubectl, KUBECTL_LIMIT)?.success()
    }

    /// Takes all of it down, in order.
    ///
    /// # Errors
    /// If something stays behind, with what it is.
    pub fn stop(mut self, say: Progress<'_>) -> Result<()> {
        say("ending all pods");
        self.node.end_pods();
        say("stopping the node and the control plane");
        self.take_down();
        clean(self.namespace.name(), &self.folder)
    }

    fn take_down(&mut self) {
        self.node.stop();
        self.addons.stop();
        self.control_plane.stop();
        self.forward.stop();
        self.node.stop_runtime();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.take_down();
    }
}

/// Makes an image known to the node of a cluster with its state in `folder`.
///
/// # Errors
/// If the cluster does not run, or the archive is none.
pub fn load(folder: &Path, image: &Path) -> Result<()> {
    node::load(folder, image)
}

/// Where a cluster with its state in `folder` has the kubeconfig of its administrator.
pub fn kubeconfig_in(folder: &Path) -> PathBuf {
    folder.join("admin.kubeconfig")
}

/// Removes what a cluster of that name left: processes of pods, mounts, its folder and its network.
///
/// # Errors
/// If something stays.
pub fn clean(name: &str, folder: &Path) -> Result<()> {
    leftovers::end_processes(folder);
    leftovers::unmount_below(folder)?;
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    Namespace::remove(name)
}

fn check_machine() -> Result<()> {
    ensure!(
        cfg!(target_os = "linux") && rustix::process::geteuid().is_root(),
        "a cluster needs Linux and root: it makes network namespaces, mounts and control groups"
    );
    for (path, why) in [
        ("/sys/fs/cgroup", "control groups, mounted there"),
        ("/proc/sys/net/ipv4/ip_forward", "IP forwarding"),
    ] {
        ensure!(
            Path::new(path).exists(),
            "a cluster needs {why}, and there is no {path}"
        );
    }
    Ok(())
}
