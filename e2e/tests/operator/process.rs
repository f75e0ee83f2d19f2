//! The operator as a child process, in the network of the cluster.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use package_broker_e2e::{
    cluster::{NODE_ADDRESS, Namespace},
    process::{ChildGroup, run, tethered},
};

/// The network of the cluster.
pub(crate) fn network() -> Namespace {
    Namespace::of(&std::env::var("E2E_CLUSTER").unwrap())
}

fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folders = test.ancestors().skip(1).take(2);
    let mut programs = folders.map(|folder| folder.join("package-broker-operator"));
    programs.find(|program| program.is_file()).unwrap()
}

/// The names of all places where the operator can be told to end, each with the installations that it is reached in.
pub(crate) fn failpoints() -> Vec<(String, String)> {
    let mut list = tethered(program());
    list.env("FAILPOINT", "list");
    let said = run(list, Duration::from_secs(20))
        .unwrap()
        .success()
        .unwrap()
        .stdout;
    let places = said.lines().filter_map(|line| line.split_once(' '));
    places
        .map(|(installation, name)| (installation.to_owned(), name.to_owned()))
        .collect()
}

/// An operator of this test's own.
pub(crate) struct Operator {
    child: ChildGroup,
    log: PathBuf,
}

impl Operator {
    /// Starts one that looks after a namespace only, without a Lease. It reaches the API server through `gateway`, and ends
    /// at a place if one is named.
    pub(crate) fn start(
        from: (&Path, &Gateway),
        namespace: &str,
        failpoint: Option<&str>,
    ) -> Result<Self> {
        let place = OsStr::new(failpoint.unwrap_or_default());
        Self::start_in(from, namespace, &[("FAILPOINT", place)])
    }

    /// One that heeds the place only from when there is a file `armed`.
    pub(crate) fn start_armed_later(
        from: (&Path, &Gateway),
        namespace: &str,
        failpoint: &str,
        armed: &Path,
    ) -> Result<Self> {
        let environment = [
            ("FAILPOINT", OsStr::new(failpoint)),
            ("FAILPOINT_ARMED", armed.as_os_str()),
        ];
        Self::start_in(from, namespace, &environment)
    }

    fn start_in(
        (folder, gateway): (&Path, &Gateway),
        namespace: &str,
        environment: &[(&str, &OsStr)],
    ) -> Result<Self> {
        let arguments =
            format!("--leader-election=false --listen=127.0.0.1:0 --watch-namespace={namespace}");
        Self::start_with(folder, gateway, environment, &arguments)
    }

    /// One that looks after a namespace only, and counts as stuck after so long without the API server. Also the port of
    /// its probes.
    pub(crate) fn start_observed(
        (folder, gateway): (&Path, &Gateway),
        namespace: &str,
        stuck: Duration,
    ) -> Result<(Self, u16)> {
        // Free a moment ago, in a network where nobody else looks for one.
        let port = network().inside(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            Ok::<_, anyhow::Error>(listener.local_addr()?.port())
        })??;
        let arguments = format!(
            "--leader-election=false --listen=127.0.0.1:{port} --watch-namespace={namespace} --stuck-seconds={}",
            stuck.as_secs()
        );
        Ok((Self::start_with(folder, gateway, &[], &arguments)?, port))
    }

    /// Starts one that leads, with a Lease that it loses after four seconds without the API server.
    pub(crate) fn start_leading(folder: &Path, gateway: &Gateway) -> Result<Self> {
        let short = "--listen=127.0.0.1:0 --lease-namespace=default --lease-name=short --lease-seconds=6 --renew-seconds=4 --retry-seconds=1";
        Self::start_with(folder, gateway, &[], short)
    }

    fn start_with(
        folder: &Path,
        gateway: &Gateway,
        environment: &[(&str, &OsStr)],
        arguments: &str,
    ) -> Result<Self> {
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, gateway.kubeconfig()?)?;
        let resolve = folder.join("resolv.conf");
        fs::write(
            &resolve,
            format!(
                "nameserver {NODE_ADDRESS}\nsearch svc.cluster.local cluster.local\noptions ndots:5\n"
            ),
        )?;
        let log = folder.join("operator.log");
        let out = File::options().create(true).append(true).open(&log)?;
        // In a mount namespace of its own, where names are looked up in the cluster.
        let mut command = network().command("unshare");
        command
            .args([
                "--mount",
                "sh",
                "-c",
                "mount --bind \"$1\" /etc/resolv.conf && exec \"$2\" $4 --broker-image=\"$3\"",
                "sh",
            ])
            .arg(&resolve)
            .arg(program())
            .arg(format!(
                "{}/package-broker:{}",
                std::env::var("E2E_REGISTRY")?,
                std::env::var("E2E_TAG")?
            ))
            .arg(arguments)
            .env("KUBECONFIG", &kubeconfig)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Ok(Self {
            child: ChildGroup::spawn("package-broker-operator", command)?,
            log,
        })
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill();
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A way to the API server that can be cut.
pub(crate) struct Gateway {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Gateway {
    /// Opens one in the network of the cluster.
    pub(crate) fn open() -> Result<Self> {
        let state = Arc::<State>::default();
        let forwarding = Arc::clone(&state);
        let port = network().inside(move || {
            let address: Ipv4Addr = NODE_ADDRESS.parse()?;
            let listener = TcpListener::bind((address, 0))?;
            let port = listener.local_addr()?.port();
            // A thread of this one is in the same network.
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    forwarding.join(client);
                }
            });
            Ok::<_, anyhow::Error>(port)
        })??;
        Ok(Self { port, state })
    }

    /// Ends all connections, and lets none be made until [`Gateway::mend`].
    pub(crate) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        let mut streams = self
            .state
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on, connections are made again.
    pub(crate) fn mend(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }

    /// The administrator's kubeconfig, through here.
    fn kubeconfig(&self) -> Result<String> {
        let admin = PathBuf::from(std::env::var("E2E_KUBECONFIG")?);
        let inside = admin
            .parent()
            .context("no folder")?
            .join("admin-inside.kubeconfig");
        let text = fs::read_to_string(&inside).with_context(|| inside.display().to_string())?;
        let here = format!("server: https://{NODE_ADDRESS}:{}", self.port);
        Ok(text.replace(&format!("server: https://{NODE_ADDRESS}:6443"), &here))
    }
}

impl State {
    fn join(&self, client: TcpStream) {
        if self.cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect((NODE_ADDRESS, 6443)) else {
            return;
        };
        let copies = [client.try_clone(), server.try_clone()];
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.extend(copies.into_iter().flatten());
        drop(streams);
        for (from, to) in [
            (client.try_clone(), server.try_clone()),
            (Ok(server), Ok(client)),
        ] {
            let (Ok(from), Ok(to)) = (from, to) else {
                return;
            };
            thread::spawn(move || pass(from, to));
        }
    }
}

fn pass(mut from: impl Read, mut to: impl Write) {
    let _ = io::copy(&mut from, &mut to);
}
