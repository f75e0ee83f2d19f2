//! One program of a cluster, with its log.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::process::ChildGroup;

/// Lines of a log that an error tells.
const TOLD: usize = 40;

/// A program that runs until it is stopped, and what it says.
#[derive(Debug)]
pub(super) struct Service {
    name: String,
    log: PathBuf,
    group: ChildGroup,
}

impl Service {
    /// Starts a program whose output goes to `logs/NAME.log` in the folder, and whose id to `logs/NAME.pid`.
    pub(super) fn start(name: &str, folder: &Path, mut command: Command) -> Result<Self> {
        let logs = folder.join("logs");
        fs::create_dir_all(&logs)?;
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let group = ChildGroup::spawn(name, command)?;
        fs::write(logs.join(format!("{name}.pid")), group.id().to_string())?;
        Ok(Self {
            name: name.to_owned(),
            group,
            log,
        })
    }

    /// Waits until `is_up` says so.
    pub(super) fn wait_until(
        &mut self,
        limit: Duration,
        mut is_up: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !is_up() {
            if let Some(status) = self.group.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.said());
            }
            if Instant::now() >= deadline {
                bail!("{} was not up in time:\n{}", self.name, self.said());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TOLD)..].join("\n")
    }

    /// Ends it, gently first.
    pub(super) fn stop(&mut self) {
        self.group.stop();
    }
}
