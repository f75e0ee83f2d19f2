//! An installation on servers for benchmarks: PostgreSQL, Garage, Redis if it is wanted, and processes on them.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use package_broker_e2e::broker::Broker;
use package_broker_e2e::garage::Garage;
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::postgres::Postgres;
use package_broker_e2e::process::{ChildGroup, run, tethered};
use serde_json::{Value, json};

/// The longest that a command may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Servers and the settings to use them.
pub(super) struct Servers {
    binary: PathBuf,
    folder: PathBuf,
    database: String,
    cache: Option<(ChildGroup, u16)>,
    pub(super) garage: Garage,
    postgres: Postgres,
}

impl Servers {
    /// Starts them, and makes the tables. Without `redis`, the database is the cache as well.
    pub(super) fn start(binary: &Path, folder: &Path, redis: bool) -> Result<Self> {
        let postgres = Postgres::start()?;
        let servers = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            database: postgres.database()?,
            cache: redis.then(|| start_redis(folder)).transpose()?,
            garage: Garage::start()?,
            postgres,
        };
        let keys = folder.join("keys");
        let mut generate = tethered(&servers.binary);
        generate.args(["keys", "generate", "--file"]).arg(keys);
        run(generate, PATIENCE)?.success()?;
        servers.command(&["migrate"])?;
        Ok(servers)
    }

    fn settings(&self, name: &str) -> Result<PathBuf> {
        let mut settings = json!({
            "listen": "127.0.0.1:0",
            "metricsListen": "127.0.0.1:0",
            "data": self.folder.join(name),
            "database": {"url": self.database},
            "storage": {
                "bucket": Garage::BUCKET,
                "endpoint": self.garage.endpoint(),
                "pathStyle": true,
                "accessKeyId": Garage::KEY,
                "secretAccessKey": Garage::SECRET,
            },
            "encryption": {"keysFile": self.folder.join("keys")},
        });
        if let Some((_, port)) = &self.cache {
            settings["cache"] = json!({"url": format!("redis://127.0.0.1:{port}")});
        }
        let file = self.folder.join(format!("{name}.json"));
        fs::write(&file, settings.to_string())?;
        Ok(file)
    }

    /// Runs a command to its end, and returns what it printed.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<String> {
        let mut command = tethered(&self.binary);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.settings("command")?);
        Ok(run(command, PATIENCE)?.success()?.stdout)
    }

    /// Declares manifests.
    pub(super) fn apply(&self, manifests: &Manifests) -> Result<()> {
        let file = self.folder.join("manifests.yaml");
        manifests.write_file(&file)?;
        self.command(&["apply", "-f", &file.display().to_string()])?;
        Ok(())
    }

    /// Syncs a repository, and what that reported.
    pub(super) fn sync(&self, repository: &str) -> Result<Value> {
        let printed = self.command(&["sync", repository])?;
        let line = printed.lines().last().context("the sync said nothing")?;
        Ok(serde_json::from_str(line)?)
    }

    /// Rows that were inserted, updated and deleted until now, but for claims: whoever syncs makes one.
    pub(super) fn rows_written(&self) -> Result<i64> {
        let (_, database) = self.database.rsplit_once('/').context("no database")?;
        let database = database.split('?').next().unwrap_or(database);
        let written = self.postgres.sql(
            database,
            "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE relname <> 'claims'",
        )?;
        Ok(written.parse()?)
    }

    /// A replica that listens.
    pub(super) fn begin(&self, name: &str) -> Result<Broker> {
        let settings = self.settings(name)?;
        Broker::serve_binary(&self.binary, &settings, &self.folder.join(name))
    }

    /// A replica that is ready.
    pub(super) fn serve(&self, name: &str) -> Result<Broker> {
        let replica = self.begin(name)?;
        super::documents::wait_until_ready(&replica)?;
        Ok(replica)
    }

    /// Stops Redis, where there is one, for good.
    pub(super) fn stop_redis(&mut self) {
        if let Some((server, _)) = &mut self.cache {
            server.kill();
        }
    }

    /// `Authorization` of a token that `apply` made.
    pub(super) fn authorization(&self, token: &str) -> Result<String> {
        let auth = self.folder.join("command/tokens").join(token);
        super::documents::authorization_in(&auth.join("auth.json"))
    }
}

fn start_redis(folder: &Path) -> Result<(ChildGroup, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = tethered("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let server = ChildGroup::spawn("redis-server", command)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < deadline, "redis-server did not start");
        thread::sleep(Duration::from_millis(10));
    }
    Ok((server, port))
}
