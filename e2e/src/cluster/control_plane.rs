//! etcd, the API server, the controllers and the scheduler.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Result;

use super::{
    API_PORT, NODE_ADDRESS, Namespace, Programs,
    pki::{Kubeconfig, Pki},
    service::Service,
};
use crate::process::{run, tethered};

const START_LIMIT: Duration = Duration::from_mins(2);
/// How long one question to the API server may take.
const ASK_LIMIT: Duration = Duration::from_secs(20);
/// The most bytes that etcd keeps, the largest that it is made for.
const STORE_LIMIT: u64 = 8 << 30;
const ETCD: &str = "http://127.0.0.1:2379";

/// The programs of the control plane.
#[derive(Debug)]
pub(super) struct ControlPlane {
    /// In the order in which they end.
    programs: Vec<Service>,
}

impl ControlPlane {
    /// Starts all of them and waits until the API server answers.
    pub(super) fn start(
        folder: &Path,
        programs: &Programs,
        namespace: &Namespace,
        pki: &Pki,
        kubeconfigs: &Kubeconfig,
    ) -> Result<Self> {
        let start = |name: &str, command| Service::start(name, folder, command);
        let etcd = start("etcd", etcd(programs, namespace, folder))?;
        let mut server = start(
            "kube-apiserver",
            api_server(programs, namespace, pki, folder)?,
        )?;
        let ready = || api_server_is_ready(folder, programs);
        server.wait_until(START_LIMIT, ready)?;
        let controllers = start(
            "kube-controller-manager",
            controller_manager(programs, namespace, pki, kubeconfigs),
        )?;
        let mut scheduler = namespace.command(programs.kubernetes("kube-scheduler"));
        scheduler
            .arg("--leader-elect=false")
            .arg(path("--kubeconfig", &kubeconfigs.scheduler));
        let scheduler = start("kube-scheduler", scheduler)?;
        Ok(Self {
            programs: vec![scheduler, controllers, server, etcd],
        })
    }

    pub(super) fn stop(&mut self) {
        for program in &mut self.programs {
            program.stop();
        }
    }
}

fn etcd(programs: &Programs, namespace: &Namespace, folder: &Path) -> Command {
    let peers = "http://127.0.0.1:2380";
    let mut command = namespace.command(programs.etcd());
    command
        .arg(path("--data-dir", &folder.join("etcd")))
        .args(["--name", "node0", "--log-level", "warn"])
        .args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD])
        .args(["--listen-peer-urls", peers])
        .args(["--initial-advertise-peer-urls", peers])
        .args(["--initial-cluster", &format!("node0={peers}")])
        // Benchmarks fill it with more than the default of 2 GiB.
        .arg(format!("--quota-backend-bytes={STORE_LIMIT}"))
        // Nothing here outlives the cluster.
        .arg("--unsafe-no-fsync");
    command
}

fn api_server(
    programs: &Programs,
    namespace: &Namespace,
    pki: &Pki,
    folder: &Path,
) -> Result<Command> {
    let policy = folder.join("audit-policy.yaml");
    fs::write(&policy, AUDIT_POLICY)?;
    let mut command = namespace.command(programs.kubernetes("kube-apiserver"));
    command
        .arg(format!("--etcd-servers={ETCD}"))
        .arg(format!("--secure-port={API_PORT}"))
        .arg(format!("--advertise-address={NODE_ADDRESS}"))
        .arg("--service-cluster-ip-range=10.96.0.0/16")
        .arg("--authorization-mode=Node,RBAC")
        .arg("--allow-privileged=true")
        .arg("--kubelet-preferred-address-types=InternalIP")
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--shutdown-delay-duration=0s")
        .arg(path("--audit-policy-file", &policy))
        .arg(path("--audit-log-path", &folder.join("audit.log")))
        .arg(path("--cert-dir", &folder.join("apiserver")));
    for (option, file) in [
        ("--client-ca-file", "ca.crt"),
        ("--tls-cert-file", "apiserver.crt"),
        ("--tls-private-key-file", "apiserver.key"),
        ("--kubelet-client-certificate", "kubelet-client.crt"),
        ("--kubelet-client-key", "kubelet-client.key"),
        ("--service-account-key-file", "service-accounts.pub"),
        ("--service-account-signing-key-file", "service-accounts.key"),
    ] {
        command.arg(path(option, &pki.file(file)));
    }
    Ok(command)
}

/// Requests of service accounts, without their contents: what tests of access rules look at.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [system:kube-controller-manager, system:kube-scheduler, system:kube-proxy, admin, system:apiserver]
- level: None
  userGroups: [system:nodes]
- level: None
  namespaces: [kube-system]
- level: Metadata
  userGroups: [system:serviceaccounts]
- level: None
";

fn controller_manager(
    programs: &Programs,
    namespace: &Namespace,
    pki: &Pki,
    kubeconfigs: &Kubeconfig,
) -> Command {
    let mut command = namespace.command(programs.kubernetes("kube-controller-manager"));
    command
        .args(["--use-service-account-credentials", "--leader-elect=false"])
        .arg(path("--kubeconfig", &kubeconfigs.controller_manager))
        .arg(path("--root-ca-file", &pki.file("ca.crt")))
        .arg(path(
            "--service-account-private-key-file",
            &pki.file("service-accounts.key"),
        ));
    command
}

fn api_server_is_ready(folder: &Path, programs: &Programs) -> bool {
    let mut command = tethered(programs.kubectl());
    command
        .arg(path("--kubeconfig", &super::kubeconfig_in(folder)))
        .args(["get", "--raw", "/readyz"]);
    run(command, ASK_LIMIT).is_ok_and(|finished| finished.status.success())
}

/// `OPTION=PATH`.
pub(super) fn path(option: &str, path: &Path) -> String {
    format!("{option}={}", path.display())
}
