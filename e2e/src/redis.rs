//! A Redis server of one's own, for as long as the value lives. Nothing of it is saved.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{place::Place, process::ChildGroup};

const START_LIMIT: Duration = Duration::from_mins(1);
const PASSWORD: &str = "redis-password";

/// A server that wants a password.
#[derive(Debug)]
pub struct Redis {
    server: ChildGroup,
    _folder: TempDir,
    place: Place,
    port: u16,
}

impl Redis {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// If Redis is not installed, or does not start.
    pub fn start_at(place: &Place) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("redis-").tempdir()?;
        let port = place.free_port()?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = place.command("redis-server");
        command
            .args(["--port", &port.to_string()])
            .args(["--bind", &place.address().to_string()])
            .args([
                "--requirepass",
                PASSWORD,
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let server = ChildGroup::spawn("redis-server", command)
            .context("apt-get install -y --no-install-recommends redis-server")?;
        let redis = Self {
            server,
            _folder: folder,
            place: place.clone(),
            port,
        };
        let deadline = Instant::now() + START_LIMIT;
        while redis.say("PING\r\n").ok().as_deref() != Some("+OK\r\n+PONG\r\n") {
            ensure!(Instant::now() < deadline, "redis-server does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    /// Its URL, with the password.
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@{}:{}", self.place.address(), self.port)
    }

    /// Its process.
    pub fn process(&self) -> &ChildGroup {
        &self.server
    }

    /// The answer to a line of the protocol, after the password.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn say(&self, line: &str) -> Result<String> {
        let (address, port) = (self.place.address(), self.port);
        let text = format!("AUTH {PASSWORD}\r\n{line}QUIT\r\n");
        self.place.inside(move || {
            let mut stream = TcpStream::connect((address, port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(text.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.trim_end_matches("+OK\r\n").to_owned())
        })?
    }
}
