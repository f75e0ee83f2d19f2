//! `cargo xtask e2e`: the suites that need a cluster.

use std::{ffi::OsString, net::Ipv4Addr, path::PathBuf};

use anyhow::{Result, ensure};
use package_broker_e2e::{
    backing::Backing,
    cluster::{self, Programs},
    place::Place as ServerPlace,
};

use crate::{
    cluster::Place,
    images,
    process::{step, watch},
    runner, setup,
};

/// The suites that need a cluster. All but the first need one of our own: they read its audit log, and end its API server.
const SUITES: [&str; 3] = ["cluster", "nothing_to_do", "operator"];
/// Tests of the first suite that read the audit log of the API server.
const ONLY_ON_OURS: [&str; 2] = [
    "beginning::",
    "chart::the_test_of_the_chart_asks_the_api_server",
];

/// Against which cluster.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The kubeconfig of a cluster. Default: one of our own, for as long as the suites run
    #[arg(long, requires = "image_registry")]
    kubeconfig: Option<PathBuf>,
    /// Where that cluster gets our images from: those that `cargo xtask cluster load` makes, pushed there by you
    #[arg(long, requires = "address")]
    image_registry: Option<String>,
    /// The address of this machine that pods of that cluster reach: sources, databases and buckets of the suites listen there
    #[arg(long, requires = "kubeconfig")]
    address: Option<Ipv4Addr>,
    /// Leave our own cluster up afterwards
    #[arg(long)]
    keep: bool,
    /// Passed on to the test runner
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs them.
pub(crate) fn e2e(options: &Options) -> Result<()> {
    setup::packages::ensure(setup::packages::FOR_TESTS)?;
    setup::debian_sources::ensure()?;
    let theirs = options
        .kubeconfig
        .as_ref()
        .zip(options.image_registry.as_ref());
    let (cluster, suites) = match theirs.zip(options.address) {
        Some(((kubeconfig, registry), address)) => {
            let cluster = Cluster::theirs(kubeconfig.clone(), registry, address)?;
            (cluster, &["cluster"][..])
        }
        None => (Cluster::ours(options.keep)?, &SUITES[..]),
    };
    let mut arguments = vec!["test", "--no-fail-fast", "--package", "package-broker-e2e"];
    arguments.extend(suites.iter().flat_map(|suite| ["--test", suite]));
    arguments.push("--");
    arguments.extend(options.arguments.iter().map(String::as_str));
    if theirs.is_some() {
        step(format!(
            "leaving out what needs a cluster of our own: {}, and of the suite cluster {}",
            SUITES[1..].join(", "),
            ONLY_ON_OURS.join(", ")
        ));
        arguments.extend(ONLY_ON_OURS.iter().flat_map(|test| ["--skip", test]));
    }
    step("running the suites on a cluster");
    cluster.run(&arguments)
}

/// A cluster that suites run on.
pub(crate) struct Cluster {
    kubeconfig: PathBuf,
    registry: String,
    programs: Programs,
    /// Ours, to be taken down.
    place: Option<(Place, bool)>,
    /// Of this machine, for one that is not ours.
    address: Option<Ipv4Addr>,
    /// Beside our own: what is on these lives as long as all suites together.
    backing: Option<Backing>,
}

impl Cluster {
    /// One of our own, with our images.
    pub(crate) fn ours(keep: bool) -> Result<Self> {
        setup::packages::ensure(setup::packages::FOR_CLUSTER)?;
        setup::tools::garage()?;
        let archives = images::build()?;
        let place = Place::of("test")?;
        crate::cluster::up(&place)?;
        for archive in &archives {
            cluster::load(place.folder(), archive)?;
        }
        Ok(Self {
            kubeconfig: place.kubeconfig(),
            registry: images::REGISTRY.to_owned(),
            programs: Programs::ensure(&|line| step(line))?,
            backing: Some(Backing::start_at(&ServerPlace::node(place.name())?)?),
            place: Some((place, keep)),
            address: None,
        })
    }

    fn theirs(kubeconfig: PathBuf, registry: &str, address: Ipv4Addr) -> Result<Self> {
        setup::tools::garage()?;
        ensure!(
            kubeconfig.is_file(),
            "{} is no kubeconfig",
            kubeconfig.display()
        );
        Ok(Self {
            kubeconfig,
            registry: registry.to_owned(),
            programs: Programs::ensure(&|line| step(line))?,
            place: None,
            address: Some(address),
            backing: None,
        })
    }

    /// Runs cargo for suites that are told of it, and takes it down afterwards if it is ours.
    pub(crate) fn run(self, arguments: &[&str]) -> Result<()> {
        // Built like the programs in the images, so that nothing is built twice.
        let tests = images::static_cargo(arguments).and_then(|mut tests| {
            tests.envs(self.environment());
            tests.envs([runner::environment()?]);
            watch(tests)
        });
        self.end(tests)
    }

    /// What tells the suites of it.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment = vec![
            ("E2E_KUBECONFIG", self.kubeconfig.clone().into()),
            ("E2E_KUBECTL", self.programs.kubectl().into()),
            ("E2E_HELM", self.programs.helm().into()),
            ("E2E_REGISTRY", self.registry.clone().into()),
            ("E2E_TAG", images::TAG.into()),
        ];
        if let Some((place, _)) = &self.place {
            environment.push(("E2E_CLUSTER", place.name().into()));
        }
        if let Some(address) = self.address {
            environment.push(("E2E_ADDRESS", address.to_string().into()));
        }
        if let Some(backing) = &self.backing {
            let names = ["E2E_DATABASE_URL", "E2E_S3_ENDPOINT", "E2E_REDIS_URL"];
            let urls = backing.urls().map(OsString::from);
            environment.extend(names.into_iter().zip(urls));
        }
        environment
    }

    /// Takes it down if it is ours, whatever came of the suites.
    fn end(self, result: Result<()>) -> Result<()> {
        drop(self.backing);
        match self.place {
            Some((place, false)) => {
                let down = crate::cluster::down(&place);
                result.and(down)
            }
            _ => result,
        }
    }
}
