//! A PostgreSQL server of one's own, on loopback, for as long as the value lives.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::place::Place;
use crate::process::{ChildGroup, Ending, tethered};

const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The user that the tests connect as: the owner of everything.
const USER: &str = "postgres";

/// A server with a folder of its own. It trusts everybody on loopback and forgoes safety on the disk for speed; what a
/// process that is killed leaves is as safe as ever.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    place: Place,
    port: u16,
    server: Mutex<Option<ChildGroup>>,
    databases: AtomicU32,
    /// Holds its programs, if they are its own.
    copied: Option<TempDir>,
}

impl Postgres {
    /// Makes a new cluster and starts it on a free port.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, with the package to install; or if it does not start, with what it said.
    pub fn start() -> Result<Self> {
        Self::start_at(Place::loopback())
    }

    /// The same of the release in a folder, with its programs at this path below it. They are copied: the server does not
    /// run as root, and may not see what is root's.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn start_of(release: &Path, programs: &Path) -> Result<Self> {
        let own = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        fs::set_permissions(own.path(), Permissions::from_mode(0o755))?;
        let mut copy = tethered("cp");
        copy.arg("-r").arg(release.join(".")).arg(own.path());
        finish(copy, "cp")?;
        let mut server = Self::make(Place::loopback(), own.path().join(programs))?;
        server.copied = Some(own);
        server.run()?;
        Ok(server)
    }

    /// The same at another place. From elsewhere than loopback, users need a password.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn start_at(place: Place) -> Result<Self> {
        let server = Self::make(place, programs()?)?;
        server.append("pg_hba.conf", "host all all 0.0.0.0/0 scram-sha-256\n")?;
        server.run()?;
        Ok(server)
    }

    /// The same on loopback, for clients that speak TLS only. Certificate and key are PEM.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn start_with_tls(certificate: &str, key: &str) -> Result<Self> {
        let server = Self::make(Place::loopback(), programs()?)?;
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
        for (file, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("pg_hba.conf", rules),
        ] {
            server.write(file, text)?;
        }
        server.append("postgresql.conf", "ssl = on\n")?;
        server.run()?;
        Ok(server)
    }

    /// A new cluster that does not run yet.
    fn make(place: Place, programs: PathBuf) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        hand_over(folder.path())?;
        let mut initdb = unprivileged(&programs.join("initdb"));
        initdb.arg("-D").arg(folder.path().join("data")).args([
            "-U",
            USER,
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        finish(initdb, "initdb")?;
        Ok(Self {
            programs,
            folder,
            port: place.free_port()?,
            place,
            server: Mutex::new(None),
            databases: AtomicU32::new(0),
            copied: None,
        })
    }

    /// Adds to one of the cluster's files.
    fn append(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join("data").join(file);
        Ok(fs::write(&path, fs::read_to_string(&path)? + text)?)
    }

    /// Writes one of the cluster's files, for the server's eyes only.
    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join("data").join(file);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        hand_over(&path)
    }

    /// The server that tests of this process share while any of them holds it: making a cluster takes seconds.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// The address that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's programs, `pg_dump` among them.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn database(&self) -> Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// Makes an empty database with an owner of its own, and returns the names of both, and the owner's password.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn owned_database(&self) -> Result<[String; 3]> {
        let name = format!("packages{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let (owner, password) = (format!("{name}_owner"), format!("secret-{name}"));
        self.sql(
            "postgres",
            &format!("CREATE ROLE {owner} LOGIN PASSWORD '{password}'"),
        )?;
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {owner}"))?;
        Ok([name, owner, password])
    }

    /// Where it listens.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Runs SQL in a database with `psql` and returns what it printed, without headings.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = tethered(self.programs.join("psql"));
        psql.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-U", USER])
            .arg("-h")
            .arg(self.folder.path())
            .args([
                "-p",
                &self.port.to_string(),
                "-d",
                database,
                "-c",
                statement,
            ]);
        finish(psql, "psql")
    }

    /// Stops the server as an administrator would, breaking every connection.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&self) -> Result<()> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut running) = server.take() {
            // A fast shutdown: https://www.postgresql.org/docs/current/server-shutdown.html
            running.ask_to_end(Ending::Interrupt);
            running.wait(STOP_LIMIT)?;
        }
        Ok(())
    }

    /// Starts the server again on the same port.
    ///
    /// # Errors
    /// If it does not start.
    pub fn run(&self) -> Result<()> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let log = fs::File::create(self.folder.path().join("log"))?;
        let mut postgres = unprivileged_at(&self.place, &self.programs.join("postgres"));
        postgres
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .arg("-k")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .args(["-c", &format!("listen_addresses={}", self.place.address())])
            .args(["-c", "fsync=off"])
            .args(["-c", "full_page_writes=off", "-c", "shared_buffers=64MB"])
            .args(["-c", "max_connections=200"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut running = ChildGroup::spawn("postgres", postgres)?;
        let deadline = Instant::now() + START_LIMIT;
        while self.sql("postgres", "SELECT 1").is_err() {
            if running.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("postgres did not start: {}", self.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
        *server = Some(running);
        Ok(())
    }

    /// Another server, on another port, with all that this one had when it was stopped: what takes over after it.
    ///
    /// # Errors
    /// If the copy cannot be made, or does not start.
    pub fn copy(&self) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        let mut copy = tethered("cp");
        copy.arg("-a")
            .arg(self.folder.path().join("."))
            .arg(folder.path());
        finish(copy, "cp")?;
        let server = Self {
            programs: self.programs.clone(),
            folder,
            port: self.place.free_port()?,
            place: self.place.clone(),
            server: Mutex::new(None),
            databases: AtomicU32::new(self.databases.load(Ordering::Relaxed)),
            copied: None,
        };
        server.run()?;
        Ok(server)
    }

    /// Makes the server and all of its processes silent, with their connections open.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a server go on that was paused.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// The server starts a process for each connection, in a group of its own.
    fn signal(&self, signal: Signal) -> Result<()> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let main = server.as_ref().context("the server does not run")?.id();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))?;
        let children = children.split_ascii_whitespace().map(str::parse);
        let children = children.collect::<Result<Vec<u32>, _>>()?;
        // The server first, so that it starts no more of them.
        for process in [main].into_iter().chain(children) {
            let process = i32::try_from(process).ok().and_then(Pid::from_raw);
            // A connection may have ended meanwhile.
            let _ = kill_process(process.context("no process")?, signal);
        }
        Ok(())
    }

    /// What the server wrote since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A server that is paused does not end.
        let _ = self.resume();
        // What does not end by itself is killed when its group is dropped.
        let _ = self.stop();
    }
}

/// The folder of the newest server's programs.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, path)| path.join("postgres").is_file())
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, path)| path);
    newest.context(
        "there is no PostgreSQL server: apt-get install -y --no-install-recommends postgresql",
    )
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes a file or folder the server's own, which refuses to run as root.
fn hand_over(path: &Path) -> Result<()> {
    if is_root() {
        let mut own = tethered("chown");
        own.arg(USER).arg(path);
        finish(own, "chown")?;
    }
    Ok(())
}

/// A command that does not run as root: as the server's own user if we are root.
fn unprivileged(program: &Path) -> Command {
    unprivileged_at(&Place::loopback(), program)
}

/// The same, of a program that listens somewhere.
fn unprivileged_at(place: &Place, program: &Path) -> Command {
    if !is_root() {
        return place.command(program);
    }
    let mut command = place.command("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "KILL", "--"])
        .arg(program)
        // Its own folder may be closed to that user.
        .current_dir("/");
    command
}

fn finish(mut command: Command, name: &str) -> Result<String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = command
        .output()
        .with_context(|| format!("{name} cannot be started"))?;
    ensure!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
