//! Where a server of the tests runs: on loopback, or beside the pods of a cluster.

use std::{
    ffi::OsStr,
    net::{Ipv4Addr, TcpListener},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cluster::{NODE_ADDRESS, Namespace},
    process::tethered,
};

/// An address, and the network namespace that it is in.
#[derive(Clone, Debug)]
pub struct Place {
    address: Ipv4Addr,
    namespace: Option<Namespace>,
}

impl Place {
    /// Loopback of this machine.
    pub fn loopback() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST,
            namespace: None,
        }
    }

    /// The node of a cluster of ours, which its pods reach.
    ///
    /// # Errors
    /// Never: the address is a constant.
    pub fn node(cluster: &str) -> Result<Self> {
        Ok(Self {
            address: NODE_ADDRESS.parse()?,
            namespace: Some(Namespace::of(cluster)),
        })
    }

    /// Where pods of the cluster reach that the suites run on: the node of ours, or the address that they were told.
    ///
    /// # Errors
    /// If nothing was told.
    pub fn of_suites() -> Result<Self> {
        if let Ok(cluster) = std::env::var("E2E_CLUSTER") {
            return Self::node(&cluster);
        }
        let address = std::env::var("E2E_ADDRESS");
        let address =
            address.context("these suites need a cluster: run them with `cargo xtask e2e`")?;
        Ok(Self::at(address.parse()?))
    }

    /// An address of this machine.
    pub fn at(address: Ipv4Addr) -> Self {
        Self {
            address,
            namespace: None,
        }
    }

    /// The address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command for a program that listens or connects there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.namespace {
            None => tethered(program),
            Some(namespace) => namespace.command(program),
        }
    }

    /// Does something there that connects.
    ///
    /// # Errors
    /// If the namespace cannot be entered.
    pub fn inside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        match &self.namespace {
            None => Ok(work()),
            Some(namespace) => namespace.inside(work),
        }
    }

    /// A port that nobody uses there.
    ///
    /// # Errors
    /// If there is none.
    pub fn free_port(&self) -> Result<u16> {
        let address = self.address;
        self.inside(move || {
            let listener = TcpListener::bind((address, 0)).context("no free port")?;
            Ok(listener.local_addr()?.port())
        })?
    }
}
