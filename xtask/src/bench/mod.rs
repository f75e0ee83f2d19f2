//! `cargo xtask bench`: the broker against its rivals, side by side in one run, as ratios.
//!
//! Machines are noisy, so ours and theirs are measured in turn, several times, and the median of
//! the ratios of neighbours counts. The rivals are configured as someone who cares would do it.

#![expect(
    clippy::cast_precision_loss,
    reason = "figures for people, far below 2^52"
)]

mod archive;
mod cold;
mod corpus;
mod documents;
mod fetch;
mod git;
mod invalidation;
mod link;
mod load;
mod nginx;
mod operator;
mod replicas;
mod report;
mod servers;
mod start;
mod sync;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use package_broker_e2e::broker::Broker;
use package_broker_e2e::manifests::Manifests;

use crate::process::{cargo, step, watch};
use crate::{setup, workspace};
use report::Row;

/// Which benchmarks to run, and where the figures go.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only those whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Where to write the figures as JSON
    #[arg(long, default_value = "target/bench/results.json")]
    json: PathBuf,
}

type Benchmark = fn(&Bench) -> Result<Vec<Row>>;

const BENCHMARKS: [(&str, Benchmark); 16] = [
    ("documents", documents::measure),
    ("archive", archive::measure),
    ("cold", cold::measure),
    ("git", git::measure),
    ("sync", sync::first),
    ("unchanged", sync::unchanged),
    ("start", start::measure),
    ("replicas-documents", replicas::documents),
    ("replicas-archive", replicas::stored),
    ("replicas-cold", replicas::cold),
    ("replicas-git", replicas::git),
    ("replicas-sync", replicas::sync),
    ("replicas-unchanged", replicas::unchanged),
    ("replicas-start", replicas::start),
    ("replicas-invalidation", invalidation::measure),
    (OPERATOR, operator::measure),
];
/// The one that needs no broker.
const OPERATOR: &str = "operator";

/// What every benchmark works with.
pub(crate) struct Bench {
    folder: PathBuf,
    binary: PathBuf,
}

impl Bench {
    /// An empty folder of that name.
    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The optimised broker over `manifests`, with its data in `folder/data`.
    fn broker(&self, folder: &Path, manifests: &Manifests) -> Result<Broker> {
        let written = folder.join("manifests");
        manifests.write(&written)?;
        Broker::start_binary(&self.binary, Path::new("/"), &written, &folder.join("data"))
    }
}

/// Builds the broker with optimisation, runs the benchmarks and prints the table.
pub(crate) fn bench(options: &Options) -> Result<()> {
    setup::packages::ensure(setup::packages::FOR_BENCH)?;
    setup::tools::garage()?;
    let bench = Bench {
        folder: workspace().join("target/bench"),
        binary: workspace().join("target/release/package-broker"),
    };
    let wanted = |name: &str| {
        options
            .only
            .as_deref()
            .is_none_or(|only| name.contains(only))
    };
    let names = BENCHMARKS.iter().map(|(name, _)| *name);
    if names
        .filter(|name| wanted(name))
        .any(|name| name != OPERATOR)
    {
        step("building package-broker with optimisation");
        watch(cargo(&[
            "build",
            "--release",
            "--package",
            "package-broker",
        ]))?;
    }
    let mut rows = Vec::new();
    for (name, measure) in BENCHMARKS.into_iter().filter(|(name, _)| wanted(name)) {
        step(format!("measuring: {name}"));
        rows.extend(measure(&bench).with_context(|| format!("the benchmark {name}"))?);
    }
    report::print(&rows);
    report::write(&rows, &workspace().join(&options.json))
}
