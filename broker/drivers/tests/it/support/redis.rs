//! A real `redis-server` on loopback: alone, as a Sentinel, or as a node of a cluster.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use package_broker_e2e::cache::Cache;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::tls::Authority;

/// How long anything of a server may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Debian's.
const PROGRAM: &str = "redis-server";

/// Stands for the port at which the nodes of a cluster reach each other, chosen when the server starts.
const BUS: &str = "BUS_PORT";

/// A running server; it ends with the value. Nothing of it is saved.
pub(crate) struct RedisServer {
    child: Child,
    directory: TempDir,
    pub(crate) port: u16,
    /// What `BUS` stands for in its configuration.
    bus: u16,
    /// The configuration besides the port, as lines of its file.
    config: String,
    mode: Mode,
    /// Sent before each of our own commands.
    password: Option<String>,
    program: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    Tls,
    Sentinel,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl RedisServer {
    /// A server for everybody.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// A server of the oldest release that is supported.
    pub(crate) fn oldest() -> Self {
        let program = Cache::from_environment().unwrap().oldest_redis();
        assert!(
            program.is_file(),
            "no {}: `cargo xtask test --setup-only`",
            program.display()
        );
        Self::launch_in(TempDir::new().unwrap(), "", Mode::Plain, None, program)
    }

    /// A server with further lines of configuration.
    pub(crate) fn with(config: &str) -> Self {
        Self::launch(config, Mode::Plain, None)
    }

    /// A server that wants a password.
    pub(crate) fn with_password(password: &str, config: &str) -> Self {
        let config = format!("requirepass {password}\nmasterauth {password}\n{config}");
        Self::launch(&config, Mode::Plain, Some(password))
    }

    /// A server that speaks TLS only.
    pub(crate) fn with_tls(authority: &Authority) -> Self {
        let directory = TempDir::new().unwrap();
        let at = directory.path().display().to_string();
        let (certificate, key) = authority.server_pem();
        for (name, text) in [
            ("tls.crt", certificate),
            ("tls.key", key),
            ("ca.crt", authority.pem()),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let config = format!(
            "tls-cert-file {at}/tls.crt\ntls-key-file {at}/tls.key\ntls-ca-cert-file {at}/ca.crt\n\
             tls-auth-clients no\n"
        );
        Self::launch_in(directory, &config, Mode::Tls, None, PROGRAM.into())
    }

    /// A Sentinel alone, with a password of its own, that watches `master` as "main".
    pub(crate) fn sentinel(password: &str, master: &Self) -> Self {
        let master_password = master.password.as_deref().unwrap();
        let config = format!(
            "requirepass {password}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel auth-pass main {master_password}\nsentinel down-after-milliseconds main 1000\n\
             sentinel failover-timeout main 10000\n",
            master.port
        );
        Self::launch(&config, Mode::Sentinel, Some(password))
    }

    /// A cluster of three masters without replicas, with further lines of configuration.
    pub(crate) fn cluster(config: &str) -> Vec<Self> {
        let config = format!("cluster-enabled yes\ncluster-port {BUS}\n{config}");
        let nodes: Vec<Self> = (0..3).map(|_| Self::with(&config)).collect();
        for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            node.command(&format!("CLUSTER ADDSLOTSRANGE {slots}"));
        }
        for other in &nodes[1..] {
            let (port, bus) = (other.port, other.bus);
            nodes[0].command(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
        }
        for node in &nodes {
            node.wait_for("CLUSTER INFO", "cluster_state:ok");
            // Words go over the links between the nodes, which come up later than the cluster.
            node.wait_until("CLUSTER NODES", |reply| {
                let linked = reply.lines().filter(|line| line.contains(" connected"));
                linked.count() == 3 && !reply.contains("handshake")
            });
        }
        nodes
    }

    fn launch(config: &str, mode: Mode, password: Option<&str>) -> Self {
        Self::launch_in(
            TempDir::new().unwrap(),
            config,
            mode,
            password,
            PROGRAM.into(),
        )
    }

    fn launch_in(
        directory: TempDir,
        config: &str,
        mode: Mode,
        password: Option<&str>,
        program: PathBuf,
    ) -> Self {
        // Another process may take a port before the server does.
        for _ in 0..5 {
            let (port, bus) = (free_port(), free_port());
            let config = config.replace(BUS, &bus.to_string());
            let mut child = spawn(&program, &directory, port, &config, mode);
            if up(&mut child, &directory) {
                return Self {
                    child,
                    directory,
                    port,
                    bus,
                    config,
                    mode,
                    password: password.map(str::to_owned),
                    program,
                };
            }
        }
        panic!("redis-server did not start: {}", log(&directory));
    }

    /// Ends the server at once, as a power cut would.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again after [`stop`](Self::stop), with nothing in it.
    pub(crate) fn restart_empty(&mut self) {
        self.stop();
        self.child = spawn(
            &self.program,
            &self.directory,
            self.port,
            &self.config,
            self.mode,
        );
        assert!(
            up(&mut self.child, &self.directory),
            "{}",
            log(&self.directory)
        );
    }

    /// Makes it silent, with its connections open.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// The URL of this server with `user` (as `name:password@`, or nothing) and `path`.
    pub(crate) fn url(&self, user: &str, path: &str) -> String {
        let scheme = if self.mode == Mode::Tls {
            "rediss"
        } else {
            "redis"
        };
        format!("{scheme}://{user}127.0.0.1:{}{path}", self.port)
    }

    /// The reply to one command.
    pub(crate) fn command(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let login = self
            .password
            .as_ref()
            .map(|password| format!("AUTH {password}\r\n"));
        let login = login.unwrap_or_default();
        write!(stream, "{login}{line}\r\n").unwrap();
        // It answers what it has read, then it closes too.
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(!reply.starts_with('-'), "{line}: {reply}");
        reply
    }

    /// Repeats `command` until its reply contains `text`.
    pub(crate) fn wait_for(&self, command: &str, text: &str) {
        self.wait_until(command, |reply| reply.contains(text));
    }

    fn wait_until(&self, command: &str, done: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.command(command);
            if done(&reply) {
                return;
            }
            assert!(Instant::now() < deadline, "{command}: {reply}");
            sleep(Duration::from_millis(50));
        }
    }
}

/// A port that was free just now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(program: &Path, directory: &TempDir, port: u16, config: &str, mode: Mode) -> Child {
    let at = directory.path();
    let listen = match mode {
        Mode::Tls => format!("port 0\ntls-port {port}\n"),
        Mode::Plain | Mode::Sentinel => format!("port {port}\n"),
    };
    let save = if mode == Mode::Sentinel {
        ""
    } else {
        "save \"\"\nrepl-diskless-sync-delay 0\n"
    };
    let text = format!(
        "{listen}bind 127.0.0.1\ndir {}\n{save}{config}",
        at.display()
    );
    fs::write(at.join("config"), text).unwrap();
    let mut command = Command::new(program);
    command.arg(at.join("config"));
    if mode == Mode::Sentinel {
        command.arg("--sentinel");
    }
    command
        .stdin(Stdio::null())
        .stdout(fs::File::create(at.join("log")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .expect(
            "redis-server did not start: apt-get install -y --no-install-recommends redis-server",
        )
}

/// Waits until it listens; false if it ends instead. Its own log says so: on the port, another may answer.
fn up(child: &mut Child, directory: &TempDir) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let log = log(directory);
        if log.contains("Ready to accept connections") || log.contains("Sentinel ID is") {
            return true;
        }
        assert!(Instant::now() < deadline, "redis-server does not listen");
        sleep(Duration::from_millis(10));
    }
}

fn log(directory: &TempDir) -> String {
    fs::read_to_string(directory.path().join("log")).unwrap_or_default()
}
