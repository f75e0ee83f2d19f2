//! The network namespace that a cluster lives in.

use std::{
    ffi::OsStr, fs::File, os::fd::AsFd, path::PathBuf, process::Command, thread, time::Duration,
};

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::NODE_ADDRESS;
use crate::process::{run, tethered};

const LIMIT: Duration = Duration::from_secs(20);
/// The device that has the node's address.
const DEVICE: &str = "node0";

/// A network namespace with loopback and a device with the node's address, and no way out.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes the namespace of a cluster of that name.
    pub(super) fn make(name: &str) -> Result<Self> {
        let namespace = Self { name: full(name) };
        ip(&["netns", "add", &namespace.name])?;
        let inside = |arguments: &[&str]| {
            let mut all = vec!["-n", namespace.name.as_str()];
            all.extend(arguments);
            ip(&all)
        };
        inside(&["link", "set", "lo", "up"])?;
        // A bridge, as not every kernel has dummy devices.
        inside(&["link", "add", DEVICE, "type", "bridge"])?;
        inside(&["addr", "add", &format!("{NODE_ADDRESS}/24"), "dev", DEVICE])?;
        inside(&["link", "set", DEVICE, "up"])?;
        inside(&["route", "add", "default", "via", NODE_ADDRESS])?;
        namespace.allow_forwarding()?;
        Ok(namespace)
    }

    /// The namespace of a cluster of that name.
    pub fn of(name: &str) -> Self {
        Self { name: full(name) }
    }

    /// Does something on a thread that is in the namespace: what listens or connects there does so in it, also afterwards.
    ///
    /// # Errors
    /// If the namespace cannot be entered, or `work` panics.
    pub fn inside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let file = self.open()?;
        let thread = thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .context("the network namespace cannot be entered")?;
            Ok(work())
        });
        let done = thread.join();
        done.map_err(|_| anyhow::anyhow!("the work in the namespace panicked"))?
    }

    /// Pods reach services and each other through the node.
    fn allow_forwarding(&self) -> Result<()> {
        let mut command = self.command("sysctl");
        command.args(["-q", "-w", "net.ipv4.ip_forward=1"]);
        run(command, LIMIT)?.success().map(drop)
    }

    /// Its name without what tells it from namespaces of others.
    pub(super) fn name(&self) -> &str {
        self.name.strip_prefix(PREFIX).unwrap_or(&self.name)
    }

    /// Removes the namespace of a cluster of that name, if there is one.
    pub(super) fn remove(name: &str) -> Result<()> {
        let namespace = Self { name: full(name) };
        if namespace.file().exists() {
            ip(&["netns", "delete", &namespace.name])?;
        }
        Ok(())
    }

    fn file(&self) -> PathBuf {
        PathBuf::from("/var/run/netns").join(&self.name)
    }

    /// What a thread needs to move into it.
    fn open(&self) -> Result<File> {
        let file = self.file();
        File::open(&file).with_context(|| file.display().to_string())
    }

    /// A command for `program` that runs in the namespace, and ends with this process.
    ///
    /// Only the network is another: with `ip netns exec`, /sys would be too, and kubelet would not find its control
    /// groups.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = tethered("nsenter");
        command
            .arg(format!("--net={}", self.file().display()))
            .arg("--")
            .arg(program);
        command
    }
}

const PREFIX: &str = "package-broker-";

fn full(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn ip(arguments: &[&str]) -> Result<()> {
    let mut command = tethered("ip");
    command.args(arguments);
    run(command, LIMIT)
        .context("install the Debian package iproute2")?
        .success()
        .map(drop)
}
