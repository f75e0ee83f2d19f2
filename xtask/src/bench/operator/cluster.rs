//! A cluster that is filled with objects.

use std::{
    io::Write as _,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use package_broker_e2e::{
    cluster::{self, Programs},
    http::{Call, Connection},
    place::Place,
    process::{ChildGroup, run, tethered},
};
use serde_json::Value;

use crate::{cluster::Place as ClusterPlace, images, process::step, setup, workspace};

/// The cluster's name.
pub(super) const NAME: &str = "bench";
/// Objects that are sent at once.
const AT_ONCE: usize = 6;
const LIMIT: Duration = Duration::from_mins(5);

/// A cluster with our kinds and no operator.
pub(super) struct Benched {
    cluster: ClusterPlace,
    place: Place,
    programs: Programs,
    proxy: ChildGroup,
    url: String,
}

impl Benched {
    pub(super) fn start() -> Result<Self> {
        setup::packages::ensure(setup::packages::FOR_CLUSTER)?;
        let archives = images::build()?;
        let cluster = ClusterPlace::of(NAME)?;
        crate::cluster::up(&cluster)?;
        for archive in &archives {
            cluster::load(cluster.folder(), archive)?;
        }
        let programs = Programs::ensure(&|line| step(line))?;
        // Without certificates, and without the limits that kubectl puts on itself.
        let port = Place::loopback().free_port()?;
        let mut proxy = tethered(programs.kubectl());
        proxy
            .arg("--kubeconfig")
            .arg(cluster.kubeconfig())
            .args(["proxy", &format!("--port={port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let benched = Self {
            url: format!("http://127.0.0.1:{port}"),
            proxy: ChildGroup::spawn("kubectl proxy", proxy)?,
            place: Place::node(NAME)?,
            cluster,
            programs,
        };
        let crds = workspace().join("crds/yaml");
        benched.kubectl(&[
            "apply",
            "--server-side",
            "--filename",
            &crds.to_string_lossy(),
        ])?;
        benched.kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ])?;
        Ok(benched)
    }

    /// Beside its pods.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<()> {
        let mut kubectl = tethered(self.programs.kubectl());
        kubectl
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .args(arguments);
        run(kubectl, LIMIT)?.success().map(drop)
    }

    /// Applies one object.
    pub(super) fn apply(&self, object: &Value) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(object.to_string().as_bytes())?;
        let path = file.path().to_string_lossy().into_owned();
        self.kubectl(&["apply", "--filename", &path])
    }

    /// Creates many objects, several at once.
    pub(super) fn create(
        &self,
        path: &str,
        number: usize,
        object: impl Fn(usize) -> Value + Sync,
    ) -> Result<()> {
        let (next, url) = (AtomicUsize::new(0), format!("{}{path}", self.url));
        let send = || -> Result<()> {
            let mut connection = Connection::open(&self.url)?;
            loop {
                let number_now = next.fetch_add(1, Ordering::Relaxed);
                if number_now >= number {
                    return Ok(());
                }
                let call = Call::new("POST", &url)
                    .header("Content-Type", "application/json")
                    .body(object(number_now).to_string());
                let answer = connection.send(&call)?;
                ensure!(answer.status == 201, "{}: {}", answer.status, answer.text());
            }
        };
        thread::scope(|scope| {
            let senders: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(send)).collect();
            for sender in senders {
                sender
                    .join()
                    .map_err(|_| anyhow::anyhow!("a sender panicked"))??;
            }
            Ok(())
        })
    }

    pub(super) fn end(mut self) -> Result<()> {
        self.proxy.kill();
        crate::cluster::down(&self.cluster)
    }
}
