//! What a cluster has besides Kubernetes itself: DNS for services, and volumes.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Cluster, DNS_SERVICE, NODE_ADDRESS, NODE_NAME, pki::Kubeconfig, service::Service};

/// The class of the volumes that are there.
const STORAGE_CLASS: &str = "standard";
/// How many claims can be bound in the life of a cluster: nothing makes volumes, so they are made ahead.
const VOLUMES: usize = 120;

/// Cluster DNS.
#[derive(Debug, Default)]
pub(super) struct Addons {
    dns: Option<Service>,
}

impl Addons {
    /// Starts DNS, and makes its service and the volumes.
    pub(super) fn start(cluster: &Cluster, kubeconfigs: &Kubeconfig) -> Result<Self> {
        let folder = &cluster.folder;
        let kubeconfig = &kubeconfigs.administrator_inside;
        let corefile = folder.join("Corefile");
        fs::write(&corefile, corefile_text(kubeconfig))?;
        let mut dns = cluster.namespace.command(cluster.programs.coredns());
        dns.arg("-conf").arg(&corefile);
        let mut dns = Service::start("coredns", folder, dns)?;
        let mut objects = dns_objects();
        objects.extend(volumes(&folder.join("volumes"))?);
        let file = folder.join("addons.json");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        fs::write(&file, serde_json::to_vec(&list)?)?;
        cluster.kubectl(&["create", "--filename", &file.to_string_lossy()])?;
        dns.wait_until(Duration::from_secs(1), || true)?;
        Ok(Self { dns: Some(dns) })
    }

    pub(super) fn stop(&mut self) {
        if let Some(dns) = &mut self.dns {
            dns.stop();
        }
    }
}

fn corefile_text(kubeconfig: &Path) -> String {
    let kubeconfig = kubeconfig.display();
    format!(
        ".:53 {{\n  bind {NODE_ADDRESS}\n  errors\n  kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {kubeconfig}\n    ttl 2\n  }}\n}}\n"
    )
}

/// A service without a selector: DNS is no pod.
fn dns_objects() -> Vec<Value> {
    let ports = json!([
        {"name": "dns", "protocol": "UDP", "port": 53},
        {"name": "dns-tcp", "protocol": "TCP", "port": 53},
    ]);
    vec![
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node", "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": true}}],
            "ports": ports,
        }),
    ]
}

fn volumes(folder: &Path) -> Result<Vec<Value>> {
    let mut objects = vec![json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    })];
    for number in 0..VOLUMES {
        let name = format!("volume-{number}");
        let at = folder.join(&name);
        fs::create_dir_all(&at)?;
        open_to_all(&at)?;
        objects.push(json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "100Gi"}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": STORAGE_CLASS, "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": at},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]},
                ]}]}},
            },
        }));
    }
    Ok(objects)
}

/// Pods run as other users than the one who makes the folder.
fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(
        folder,
        fs::Permissions::from_mode(0o777),
    )?)
}
