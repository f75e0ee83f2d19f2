//! The real `package-broker`, run as a user runs it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::http::{self, Answer};
use crate::process::{ChildGroup, Ending, Finished, run, tethered};

const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A running broker; dropping it ends it.
#[derive(Debug)]
pub struct Broker {
    group: ChildGroup,
    data: PathBuf,
    log: PathBuf,
    url: String,
    metrics: String,
}

impl Broker {
    /// Starts `package-broker run -f MANIFESTS --data DATA` on free ports and waits until it
    /// says that it listens. Its output goes to `DATA.log`.
    pub fn start(manifests: &Path, data: &Path) -> Result<Self> {
        Self::start_with(manifests, data, &[])
    }

    /// The same with more arguments, for instance `--log-format json`.
    pub fn start_with(manifests: &Path, data: &Path, arguments: &[&str]) -> Result<Self> {
        Launch::new(&binary()?, manifests, data, arguments).start()
    }

    /// The same in the working directory `directory`, where relative paths in manifests start.
    pub fn start_in(directory: &Path, manifests: &Path, data: &Path) -> Result<Self> {
        Self::start_binary(&binary()?, directory, manifests, data)
    }

    /// The same with a `package-broker` of the caller's choice, for instance an optimised one.
    pub fn start_binary(
        binary: &Path,
        directory: &Path,
        manifests: &Path,
        data: &Path,
    ) -> Result<Self> {
        Launch {
            directory,
            ..Launch::new(binary, manifests, data, &[])
        }
        .start()
    }

    /// Starts `package-broker serve --config SETTINGS` and waits until it says that it listens. `data` is the folder
    /// that its settings name; its output goes to `DATA.log`.
    pub fn serve(settings: &Path, data: &Path) -> Result<Self> {
        Self::serve_binary(&binary()?, settings, data)
    }

    /// The same with a `package-broker` of the caller's choice.
    pub fn serve_binary(binary: &Path, settings: &Path, data: &Path) -> Result<Self> {
        let command = ["serve".as_ref(), "--config".as_ref(), settings.as_os_str()];
        let command = command.map(OsStr::to_owned).to_vec();
        Launch {
            command,
            ..Launch::new(binary, Path::new(""), data, &[])
        }
        .start()
    }

    /// Starts it without waiting for anything, for tests that end it while it starts.
    pub fn spawn(manifests: &Path, data: &Path) -> Result<ChildGroup> {
        Launch::new(&binary()?, manifests, data, &[]).spawn()
    }

    /// SIGKILL, as a power cut would.
    pub fn kill(&mut self) {
        self.group.kill();
    }

    /// Asks it to end, and waits for nothing.
    pub fn ask_to_end(&self, ending: Ending) {
        self.group.ask_to_end(ending);
    }

    /// How it ended, which it has to within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.group.wait(limit)
    }

    /// SIGTERM; how it ended, which it has to within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.group.terminate(limit)
    }

    /// The URL of its own port, without a trailing slash.
    pub fn url(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// The URL of the second port: `/livez`, `/readyz`, `/metrics`.
    pub fn metrics_url(&self) -> &str {
        self.metrics.trim_end_matches('/')
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything it wrote to its standard output and error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.group.id()
    }

    /// The `auth.json` it wrote for an `AccessToken`.
    pub fn auth_json(&self, token: &str) -> PathBuf {
        self.data.join("tokens").join(token).join("auth.json")
    }

    /// User name and secret of an `AccessToken`, from its `auth.json`.
    pub fn credentials(&self, token: &str) -> Result<(String, String)> {
        credentials_in(&self.auth_json(token))
    }

    /// GET of a path below its URL, as that `AccessToken`.
    pub fn get(&self, token: &str, path: &str) -> Result<Answer> {
        let (username, password) = self.credentials(token)?;
        let basic = format!(
            "Basic {}",
            STANDARD.encode(format!("{username}:{password}"))
        );
        http::get(
            &format!("{}{path}", self.url()),
            &[("Authorization", &basic)],
        )
    }

    /// Waits until that `AccessToken` sees all of `names` in `list.json`, as after a first sync.
    pub fn wait_for_packages<'n>(
        &mut self,
        token: &str,
        names: impl IntoIterator<Item = &'n str>,
        limit: Duration,
    ) -> Result<()> {
        let mut missing: Vec<&str> = names.into_iter().collect();
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.group.try_wait()? {
                bail!("package-broker ended with {status}:\n{}", self.log());
            }
            let list = self.get(token, "/list.json")?.json()?;
            let listed = list["packageNames"].as_array().cloned().unwrap_or_default();
            missing.retain(|name| !listed.iter().any(|listed| listed == name));
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let seconds = limit.as_secs();
                let missing = missing.join(", ");
                bail!(
                    "not listed within {seconds} s: {missing}\nthe broker's log:\n{}",
                    self.log()
                );
            }
            thread::sleep(POLL);
        }
    }
}

/// User name and secret in an `auth.json` with one host.
pub fn credentials_in(auth_json: &Path) -> Result<(String, String)> {
    let text =
        fs::read(auth_json).with_context(|| format!("cannot read {}", auth_json.display()))?;
    let auth: Value = serde_json::from_slice(&text)?;
    // For the host of the public URL, which need not be this machine's.
    let entry = auth["http-basic"]
        .as_object()
        .and_then(|hosts| hosts.values().next());
    let text = |key: &str| Some(entry?[key].as_str()?.to_owned());
    match (text("username"), text("password")) {
        (Some(username), Some(password)) => Ok((username, password)),
        _ => bail!("{} has no http-basic entry", auth_json.display()),
    }
}

/// What a broker is started with.
struct Launch<'a> {
    binary: &'a Path,
    directory: &'a Path,
    /// The command with its arguments.
    command: Vec<OsString>,
    data: &'a Path,
    log: PathBuf,
}

impl<'a> Launch<'a> {
    /// `run` on free ports.
    fn new(binary: &'a Path, manifests: &Path, data: &'a Path, arguments: &[&str]) -> Self {
        let mut command: Vec<OsString> = vec!["run".into(), "-f".into(), manifests.into()];
        command.extend(["--data".into(), data.into()]);
        let listen = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
        command.extend(listen.iter().chain(arguments).map(OsString::from));
        Self {
            binary,
            directory: Path::new("/"),
            command,
            data,
            log: data.with_extension("log"),
        }
    }

    fn spawn(&self) -> Result<ChildGroup> {
        let output = File::create(&self.log)?;
        let mut command = tethered(self.binary);
        command
            .current_dir(self.directory)
            .args(&self.command)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        ChildGroup::spawn("package-broker", command)
    }

    fn start(self) -> Result<Broker> {
        let run_file = self.data.join("run.json");
        if run_file.exists() {
            fs::remove_file(&run_file)?;
        }
        let mut group = self.spawn()?;
        let addresses = wait_for_run_file(&mut group, &run_file, &self.log)?;
        let address = |key: &str| {
            let value = addresses[key].as_str();
            value
                .map(str::to_owned)
                .with_context(|| format!("run.json has no {key}: {addresses}"))
        };
        let (url, metrics) = (address("url")?, address("metrics")?);
        Ok(Broker {
            group,
            data: self.data.to_owned(),
            log: self.log,
            url,
            metrics,
        })
    }
}

/// Runs `package-broker ARGUMENTS` to its end. Its exit status is the caller's to judge.
pub fn package_broker(arguments: &[&OsStr]) -> Result<Finished> {
    let mut command = tethered(binary()?);
    command.args(arguments);
    run(command, START_LIMIT)
}

/// Starts `package-broker ARGUMENTS` and waits for nothing, for tests that end it while it works.
pub fn spawn_package_broker(arguments: &[&OsStr]) -> Result<ChildGroup> {
    let mut command = tethered(binary()?);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    ChildGroup::spawn("package-broker", command)
}

/// `$PACKAGE_BROKER_BIN`, else the `package-broker` that cargo built next to this program.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PACKAGE_BROKER_BIN").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("package-broker"))
        .find(|path| path.is_file())
        .context(
            "no package-broker to run: `cargo build -p package-broker`, or set PACKAGE_BROKER_BIN",
        )
}

fn wait_for_run_file(group: &mut ChildGroup, run_file: &Path, log: &Path) -> Result<Value> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let text = fs::read(run_file).unwrap_or_default();
        if let Ok(addresses) = serde_json::from_slice(&text) {
            return Ok(addresses);
        }
        let said = || fs::read_to_string(log).unwrap_or_default();
        if let Some(status) = group.try_wait()? {
            bail!("package-broker ended with {status}:\n{}", said());
        }
        if Instant::now() >= deadline {
            bail!(
                "package-broker was not ready within {} s:\n{}",
                START_LIMIT.as_secs(),
                said()
            );
        }
        thread::sleep(POLL);
    }
}
