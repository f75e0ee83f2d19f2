//! The optimised operator as a process beside the cluster.

use std::{
    fs::{self, File},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use package_broker_e2e::{http::get, place::Place, process::ChildGroup};

use crate::{
    cluster::Place as ClusterPlace,
    images,
    process::{cargo, watch},
    workspace,
};

const LIMIT: Duration = Duration::from_mins(1);
/// Ticks of the clock that a second of processor time has, on every Linux.
const TICKS: f64 = 100.0;

/// One that works alone.
pub(super) struct Operator {
    child: ChildGroup,
    place: Place,
    url: String,
}

impl Operator {
    /// Starts one that asks all brokers at one URL how they are.
    pub(super) fn start(status_url: &str) -> Result<Self> {
        watch(cargo(&[
            "build",
            "--release",
            "--package",
            "package-broker-operator",
        ]))?;
        let place = super::place()?;
        let listen = format!("{}:{}", place.address(), place.free_port()?);
        let cluster = ClusterPlace::of(super::cluster::NAME)?;
        let log = File::create(workspace().join("target/bench/operator.log"))?;
        let mut command = place.command(workspace().join("target/release/package-broker-operator"));
        command
            .args([
                "--leader-election=false",
                "--listen",
                &listen,
                "--status-url",
                status_url,
            ])
            .arg(format!(
                "--broker-image={}/package-broker:{}",
                images::REGISTRY,
                images::TAG
            ))
            .env(
                "KUBECONFIG",
                cluster.folder().join("admin-inside.kubeconfig"),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self {
            child: ChildGroup::spawn("package-broker-operator", command)?,
            place,
            url: format!("http://{listen}"),
        })
    }

    pub(super) fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.ask("/readyz").is_err() {
            ensure!(
                Instant::now() < deadline,
                "the operator is not ready; see target/bench/operator.log"
            );
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// How many objects of a kind are ready.
    pub(super) fn ready(&self, kind: &str) -> Result<usize> {
        let metrics = self.ask("/metrics")?;
        let of_kind = format!("package_broker_operator_objects{{kind=\"{kind}\",ready=\"True\"");
        let counts = metrics.lines().filter(|line| line.starts_with(&of_kind));
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        Ok(counts.sum())
    }

    fn ask(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.url);
        let answer = self.place.inside(move || get(&url, &[]))??;
        ensure!(answer.status == 200, "{}", answer.status);
        Ok(answer.text())
    }

    /// Memory now, in MiB.
    pub(super) fn memory(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most memory it ever had, in MiB.
    pub(super) fn most_memory(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.trim().split(' ').next());
        let kibibytes: f64 = number.context("no memory")?.parse()?;
        Ok(kibibytes / 1024.0)
    }

    /// Processor time that it has used, in seconds.
    pub(super) fn processor_time(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no fields")?;
        // utime and stime: proc(5), fields 14 and 15.
        let ticks = fields.split_ascii_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS)
    }
}
