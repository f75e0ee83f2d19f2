//! Load from `wrk`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use package_broker_e2e::process::{run, tethered};

/// What to ask, over how many connections.
pub(super) struct Load<'a> {
    pub(super) url: &'a str,
    pub(super) authorization: Option<&'a str>,
    pub(super) script: &'a Path,
    pub(super) connections: usize,
    pub(super) seconds: u64,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Throughput {
    pub(super) requests_per_second: f64,
    pub(super) bytes_per_second: f64,
}

impl Load<'_> {
    /// Runs `wrk` and reads its figures. Any answer other than success is an error.
    pub(super) fn run(&self) -> Result<Throughput> {
        let mut command = tethered("wrk");
        command
            .arg("-t1")
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{}s", self.seconds));
        command
            .arg("--timeout")
            .arg("20s")
            .arg("-s")
            .arg(self.script);
        command.arg("-H").arg("Accept-Encoding: gzip");
        if let Some(authorization) = self.authorization {
            command
                .arg("-H")
                .arg(format!("Authorization: {authorization}"));
        }
        command.arg(self.url);
        let finished = run(command, Duration::from_secs(self.seconds + 30))?.success()?;
        let said = &finished.stdout;
        if said.contains("Non-2xx") || said.contains("Socket errors") {
            bail!("not every request was answered well:\n{said}");
        }
        let figure = |label: &str| -> Result<&str> {
            let line = said
                .lines()
                .find_map(|line| line.trim().strip_prefix(label));
            line.map(str::trim)
                .with_context(|| format!("wrk said nothing of {label}:\n{said}"))
        };
        Ok(Throughput {
            requests_per_second: figure("Requests/sec:")?.parse()?,
            bytes_per_second: bytes(figure("Transfer/sec:")?)?,
        })
    }
}

/// `12.34MB` as bytes.
fn bytes(text: &str) -> Result<f64> {
    let units = [
        ("GB", 1_073_741_824.0),
        ("MB", 1_048_576.0),
        ("KB", 1024.0),
        ("B", 1.0),
    ];
    let (number, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .with_context(|| format!("\"{text}\" is not an amount"))?;
    Ok(number.parse::<f64>()? * unit)
}

/// Writes a script that asks for the paths in turn, in an order that no cache can guess.
pub(super) fn script(file: &Path, paths: &[String]) -> Result<()> {
    let list = paths.join("\",\n\"");
    let stride = 7919;
    let text = format!(
        "local paths = {{\n\"{list}\"\n}}\nlocal at = 0\nrequest = function()\n  at = (at + {stride}) % #paths\n  \
         return wrk.format(\"GET\", paths[at + 1])\nend\n"
    );
    Ok(fs::write(file, text)?)
}
