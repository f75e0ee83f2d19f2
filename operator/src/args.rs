//! What the operator is told when it starts.

use std::{ffi::OsString, net::SocketAddr};

use clap::{CommandFactory, FromArgMatches, Parser};

/// What the program is asked to do.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Box<Args>),
    Check(Check),
}

impl Asked {
    /// What these arguments say, the program's name first, and the environment.
    pub(crate) fn from(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        // To check, nothing that the operator needs has to be said.
        let command = Args::command()
            .subcommand_negates_reqs(true)
            .subcommand(Check::command());
        let matches = command.try_get_matches_from(arguments)?;
        match matches.subcommand() {
            Some((_, check)) => Check::from_arg_matches(check).map(Self::Check),
            None => Args::from_arg_matches(&matches).map(|args| Self::Run(Box::new(args))),
        }
    }
}

/// Asks the API server whether it takes one object of each kind; none is kept.
#[derive(Debug, Parser)]
#[command(name = "check")]
pub(crate) struct Check {
    /// The namespace of the objects.
    #[arg(long, default_value = "default", env = "POD_NAMESPACE")]
    pub(crate) namespace: String,
}

/// Runs Package Broker installations in a cluster.
#[derive(Debug, Parser)]
#[command(name = "package-broker-operator", version)]
pub(crate) struct Args {
    /// Namespaces to look after. May be given several times. Default: all.
    #[arg(
        long = "watch-namespace",
        env = "WATCH_NAMESPACES",
        value_delimiter = ','
    )]
    pub(crate) namespaces: Vec<String>,
    #[command(flatten)]
    pub(crate) images: Images,
    /// The address of /livez, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:8081", env = "METRICS_LISTEN")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) leader: Leader,
    /// How long a watch may fail, in seconds, before `/livez` says that the process should be started again.
    #[arg(long, default_value_t = 900, env = "STUCK_SECONDS", hide = true)]
    pub(crate) stuck_seconds: u64,
    /// What to log, for instance `debug` or `info,kube=debug`.
    #[arg(long, default_value = "info", env = "LOG")]
    pub(crate) log: String,
    /// How brokers are asked for their state; for an operator outside of its cluster.
    #[arg(
        long,
        default_value = "http://{name}.{namespace}.svc:8081/status",
        env = "STATUS_URL",
        hide = true
    )]
    pub(crate) status_url: String,
}

/// How several operators agree on which one works.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Leader {
    /// Whether to work only while no other operator does.
    #[arg(
        id = "leader-election",
        long,
        default_value_t = true,
        action = clap::ArgAction::Set,
        env = "LEADER_ELECTION"
    )]
    pub(crate) enabled: bool,
    /// The namespace of the Lease.
    #[arg(long, default_value = "default", env = "POD_NAMESPACE")]
    pub(crate) lease_namespace: String,
    /// The name of the Lease.
    #[arg(long, default_value = "package-broker-operator", env = "LEASE_NAME")]
    pub(crate) lease_name: String,
    /// Who we are, unlike all others.
    #[arg(long, env = "POD_NAME")]
    pub(crate) identity: Option<String>,
    /// A leader that was silent for so long, in seconds, has another take over.
    #[arg(long, default_value_t = 30, env = "LEASE_SECONDS")]
    pub(crate) lease_seconds: u64,
    /// A leader that could not renew its Lease for so long, in seconds, stops; less than the Lease.
    #[arg(long, default_value_t = 20, env = "LEASE_RENEW_SECONDS")]
    pub(crate) renew_seconds: u64,
    /// Between two looks at the Lease, in seconds.
    #[arg(long, default_value_t = 2, env = "LEASE_RETRY_SECONDS")]
    pub(crate) retry_seconds: u64,
}

/// The image of brokers that do not say which.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Images {
    /// The image of the broker, with tag or digest.
    #[arg(long = "broker-image", env = "BROKER_IMAGE")]
    pub(crate) broker: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Asked, clap::Error> {
        Asked::from([&["package-broker-operator"], arguments].concat())
    }

    #[test]
    fn the_operator_runs_without_a_command() {
        let asked = asked(&["--broker-image=broker:1", "--watch-namespace=a,b"]).unwrap();
        let Asked::Run(args) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(args.images.broker, "broker:1");
        assert_eq!(args.namespaces, ["a", "b"]);
        assert_eq!(args.leader.lease_seconds, 30);
    }

    #[test]
    fn without_an_image_it_does_not_run() {
        for arguments in [&["--log=debug"][..], &[]] {
            let said = asked(arguments).unwrap_err().to_string();
            assert!(said.contains("--broker-image"), "{said}");
        }
    }

    #[test]
    fn a_check_needs_no_image() {
        let asked_for = asked(&["check", "--namespace=team"]).unwrap();
        let Asked::Check(check) = asked_for else {
            panic!("{asked_for:?}");
        };
        assert_eq!(check.namespace, "team");
        assert!(asked(&["chek"]).is_err());
        let help = asked(&["--help"]).unwrap_err().to_string();
        assert!(help.contains("check"), "{help}");
    }
}
