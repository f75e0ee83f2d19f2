//! A Garage server of one's own, on loopback, for as long as the value lives: an S3 service as people run it.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::cache::Cache;
use crate::http;
use crate::place::Place;
use crate::process::ChildGroup;

const START_LIMIT: Duration = Duration::from_mins(1);

/// A server with one bucket and one key that may use it.
#[derive(Debug)]
pub struct Garage {
    server: ChildGroup,
    folder: TempDir,
    place: Place,
    port: u16,
}

impl Garage {
    /// The bucket.
    pub const BUCKET: &str = "archives";
    /// The public half of the key.
    pub const KEY: &str = "GK0123456789abcdef01234567";
    /// Its secret half.
    pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Starts a server on free ports.
    ///
    /// # Errors
    /// If Garage was not built, with the command that does; or if it does not start, with what it said.
    pub fn start() -> Result<Self> {
        Self::start_at(&Place::loopback())
    }

    /// The same at another place.
    ///
    /// # Errors
    /// As for [`Garage::start`].
    pub fn start_at(place: &Place) -> Result<Self> {
        let program = Cache::from_environment()?.garage();
        anyhow::ensure!(
            program.is_file(),
            "Garage is not at {}: `cargo xtask test` builds it",
            program.display()
        );
        let folder = tempfile::Builder::new().prefix("garage-").tempdir()?;
        let ports = [place.free_port()?, place.free_port()?, place.free_port()?];
        let configuration = configuration(&folder, &place.address().to_string(), ports);
        let file = folder.path().join("garage.toml");
        // It refuses a file with secrets that others may read.
        let mut opened = fs::OpenOptions::new();
        let mut opened = opened
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)?;
        std::io::Write::write_all(&mut opened, configuration.as_bytes())?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = place.command(program);
        command
            .arg("-c")
            .arg(&file)
            .args(["server", "--single-node", "--default-bucket"])
            .env("GARAGE_DEFAULT_ACCESS_KEY", Self::KEY)
            .env("GARAGE_DEFAULT_SECRET_KEY", Self::SECRET)
            .env("GARAGE_DEFAULT_BUCKET", Self::BUCKET)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut garage = Self {
            server: ChildGroup::spawn("garage", command)?,
            folder,
            place: place.clone(),
            port: ports[0],
        };
        garage.wait_until_up()?;
        Ok(garage)
    }

    /// The server that tests of this process share while any of them holds it.
    ///
    /// # Errors
    /// As for [`Garage::start`].
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Garage>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// Its process.
    pub fn process(&self) -> &ChildGroup {
        &self.server
    }

    /// The URL of its S3 API.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", self.place.address(), self.port)
    }

    /// Waits until the bucket is there, which it makes last: it then asks strangers for a signature.
    fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        let bucket = format!("{}/{}", self.endpoint(), Self::BUCKET);
        loop {
            let asked = bucket.clone();
            let answer = self.place.inside(move || http::get(&asked, &[]))?;
            if answer.is_ok_and(|answer| answer.status == 403) {
                return Ok(());
            }
            let said = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Some(status) = self.server.try_wait()? {
                bail!("garage ended with {status}:\n{}", said());
            }
            if Instant::now() >= deadline {
                bail!("garage was not up in time:\n{}", said());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn configuration(folder: &TempDir, host: &str, [s3, rpc, admin]: [u16; 3]) -> String {
    let folder = folder.path().display();
    format!(
        "metadata_dir = \"{folder}/meta\"\ndata_dir = \"{folder}/data\"\ndb_engine = \"sqlite\"\n\
         replication_factor = 1\nmetadata_fsync = false\ndata_fsync = false\n\
         rpc_bind_addr = \"{host}:{rpc}\"\nrpc_public_addr = \"{host}:{rpc}\"\nrpc_secret = \"{secret}\"\n\
         [s3_api]\ns3_region = \"us-east-1\"\napi_bind_addr = \"{host}:{s3}\"\nroot_domain = \".s3.localhost\"\n\
         [admin]\napi_bind_addr = \"{host}:{admin}\"\nadmin_token = \"{secret}\"\n",
        secret = Garage::SECRET,
    )
}
