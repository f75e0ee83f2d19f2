//! `cargo xtask cluster`: a whole Kubernetes on this machine, for people and for the suites.
//!
//! A process of its own keeps the cluster: `up` starts it and waits, `down` asks it to end.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use package_broker_e2e::{
    cache::Cache,
    cluster::{self, Cluster, Programs},
};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{process::step, setup};

/// The longest time that a cluster may take to end.
const END_LIMIT: Duration = Duration::from_mins(2);
/// What the process that keeps a cluster says last.
const READY: &str = "ready";

/// Which cluster.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Its name: several can be up at once
    #[arg(long, default_value = "main", global = true)]
    name: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Start it: in under half a minute, once its programs are built
    Up,
    /// End it, and leave nothing behind
    Down,
    /// Print the path of its kubeconfig, for KUBECONFIG
    Kubeconfig,
    /// Make images known to its node: archives, or without any our own, built from this tree
    Load {
        /// An image archive, in the layout of OCI or of Docker
        archives: Vec<PathBuf>,
    },
    /// Keep a cluster until told to end
    #[command(hide = true)]
    Serve,
}

impl Options {
    /// Whether this process ends its children itself, in an order.
    pub(crate) fn ends_children(&self) -> bool {
        matches!(self.action, Action::Serve)
    }
}

/// Does it.
pub(crate) fn cluster(options: &Options) -> Result<()> {
    let place = Place::of(&options.name)?;
    match &options.action {
        Action::Up => up(&place),
        Action::Down => {
            step(format!("ending the cluster \"{}\"", place.name));
            down(&place)
        }
        Action::Kubeconfig => {
            ensure!(
                place.keeper().is_some(),
                "the cluster \"{}\" is not up; start it with `cargo xtask cluster up`",
                place.name
            );
            println!("{}", place.kubeconfig().display());
            Ok(())
        }
        Action::Load { archives } => {
            let built = match archives.as_slice() {
                [] => crate::images::build()?,
                given => given.to_vec(),
            };
            built
                .iter()
                .try_for_each(|archive| cluster::load(&place.folder, archive))
        }
        Action::Serve => serve(&place),
    }
}

/// Where a cluster of some name is.
pub(crate) struct Place {
    name: String,
    folder: PathBuf,
    /// Has the id of the process that keeps it.
    pid: PathBuf,
}

impl Place {
    pub(crate) fn of(name: &str) -> Result<Self> {
        let clusters = Cache::from_environment()?.clusters();
        Ok(Self {
            name: name.to_owned(),
            folder: clusters.join(name),
            pid: clusters.join(format!("{name}.pid")),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        cluster::kubeconfig_in(&self.folder)
    }

    /// What the process that keeps it says of troubles.
    fn troubles(&self) -> PathBuf {
        self.pid.with_extension("log")
    }

    /// The process that keeps the cluster, if it runs: one of that id that is ours.
    fn keeper(&self) -> Option<Pid> {
        let id: i32 = fs::read_to_string(&self.pid).ok()?.trim().parse().ok()?;
        let command = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        let is_ours = words.contains(&b"serve".as_slice()) && words.contains(&self.name.as_bytes());
        Pid::from_raw(id).filter(|_| is_ours)
    }
}

pub(crate) fn up(place: &Place) -> Result<()> {
    if place.keeper().is_some() {
        println!("    the cluster \"{}\" is up already", place.name);
        return Ok(());
    }
    setup::packages::ensure(setup::packages::FOR_CLUSTER)?;
    Programs::ensure(&|line| step(line))?;
    let began = Instant::now();
    // Not to ours: whoever reads what this process says would wait for the end of the cluster.
    let troubles = place.troubles();
    if let Some(folder) = troubles.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut keeper = Command::new(std::env::current_exe()?);
    keeper
        .args(["cluster", "--name", &place.name, "serve"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&troubles)?)
        // Ctrl-C here is not for it.
        .process_group(0);
    let mut keeper = keeper
        .spawn()
        .context("cannot start what keeps the cluster")?;
    let mut is_ready = false;
    for line in BufReader::new(keeper.stdout.take().context("no output")?).lines() {
        match line?.as_str() {
            READY => {
                is_ready = true;
                break;
            }
            line => step(line),
        }
    }
    if !is_ready {
        let status = keeper.wait()?;
        let said = fs::read_to_string(&troubles).unwrap_or_default();
        bail!("the cluster did not come up ({status}): {said}");
    }
    println!(
        "    up in {:.0} s; use it with\n    export KUBECONFIG={}",
        began.elapsed().as_secs_f64(),
        place.kubeconfig().display()
    );
    Ok(())
}

/// Ends it, without a word: what was said before is what people should read last.
pub(crate) fn down(place: &Place) -> Result<()> {
    if let Some(keeper) = place.keeper() {
        kill_process(keeper, Signal::TERM)?;
        let deadline = Instant::now() + END_LIMIT;
        while place.keeper().is_some() {
            ensure!(
                Instant::now() < deadline,
                "the cluster did not end in time; look into {}",
                place.folder.join("logs").display()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
    cluster::clean(&place.name, &place.folder)?;
    // Whichever of them is there.
    let _ = fs::remove_file(&place.pid);
    let _ = fs::remove_file(place.troubles());
    Ok(())
}

fn serve(place: &Place) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let programs = Programs::ensure(&say)?;
    if let Some(folder) = place.pid.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&place.pid, std::process::id().to_string())?;
    let cluster = Cluster::start(&place.name, &place.folder, &programs, &say)?;
    say(READY);
    signals.forever().next();
    cluster.stop(&|_| {})
}

/// To whoever waits for the cluster; later nobody does.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
