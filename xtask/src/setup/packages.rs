//! Debian packages of this machine, installed by name where they are missing.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, bail};
use package_broker_e2e::process::tethered;

use crate::process::{attempt, quiet, step};

/// What the demo needs.
pub(crate) const FOR_DEMO: &[&str] = &[
    "git",
    "php-cli",
    "php-curl",
    "php-mbstring",
    "php-xml",
    "php-zip",
    "php-intl",
    "composer",
    "unzip",
    "xz-utils",
];

/// What the tests need.
pub(crate) const FOR_TESTS: &[&str] = &[
    "git",
    "openssh-client",
    "openssh-server",
    "php-cli",
    "php-curl",
    "php-mbstring",
    "php-xml",
    "php-zip",
    "php-intl",
    "composer",
    "nginx",
    "postgresql",
    "redis-server",
    "sqlite3",
    "rsync",
    "lua5.4",
    "unzip",
    "xz-utils",
];

/// What a cluster needs.
pub(crate) const FOR_CLUSTER: &[&str] = &[
    "containerd",
    "runc",
    "containernetworking-plugins",
    "nftables",
    "iptables",
    "conntrack",
    "socat",
    "ethtool",
    "iproute2",
    "ca-certificates",
];

/// What the benchmarks need.
pub(crate) const FOR_BENCH: &[&str] = &[
    "git",
    "php-cli",
    "php-curl",
    "php-mbstring",
    "php-xml",
    "php-zip",
    "composer",
    "nginx",
    "postgresql",
    "redis-server",
    "wrk",
    "unzip",
];

/// Installs those of `names` that are missing. Without the right to, it fails and says which
/// command to run.
pub(crate) fn ensure(names: &[&str]) -> Result<()> {
    let missing = missing(names)?;
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let Some(install) = as_root("apt-get") else {
        bail!(
            "these Debian packages are missing and only root can install them:\n  sudo apt-get install -y --no-install-recommends {list}"
        );
    };
    step(format!("installing Debian packages: {list}"));
    if attempt(install_command(install, &missing))?
        .status
        .success()
    {
        return Ok(());
    }
    step("apt-get update, as the package lists are old or empty");
    if let Some(mut update) = as_root("apt-get") {
        update.arg("update");
        quiet(update)?;
    }
    if let Some(install) = as_root("apt-get") {
        quiet(install_command(install, &missing))?;
    }
    Ok(())
}

fn install_command(mut apt_get: Command, names: &[&str]) -> Command {
    apt_get
        .args(["install", "--yes", "--no-install-recommends"])
        .args(names);
    apt_get
}

fn missing<'n>(names: &[&'n str]) -> Result<Vec<&'n str>> {
    let mut query = tethered("dpkg-query");
    query
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(names);
    // It fails when a package is unknown, and still lists the others.
    let listing = attempt(query)?.stdout;
    let installed: BTreeSet<&str> = listing
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    Ok(names
        .iter()
        .copied()
        .filter(|name| !installed.contains(name))
        .collect())
}

/// A command that runs `program` as root, or `None` when nothing here can.
fn as_root(program: &str) -> Option<Command> {
    let mut command = if rustix::process::geteuid().is_root() {
        tethered(program)
    } else {
        let mut probe = tethered("sudo");
        probe.args(["-n", "true"]);
        if !attempt(probe).ok()?.status.success() {
            return None;
        }
        let mut sudo = tethered("sudo");
        sudo.args(["-n", "--preserve-env=DEBIAN_FRONTEND", program]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_are_not_installed_are_missing() {
        let names = ["dpkg", "package-broker-no-such-package", "apt"];
        assert_eq!(missing(&names).unwrap(), ["package-broker-no-such-package"]);
    }
}
