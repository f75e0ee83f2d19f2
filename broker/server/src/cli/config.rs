//! `package-broker config`: which settings are in force, and why.

use std::{io::Write, path::PathBuf};

use anyhow::Context;
use clap::Parser;

use crate::settings::{self, Settings};

/// Where settings come from, for every command that has some.
#[derive(Clone, Debug, Parser)]
pub(super) struct SettingsArgs {
    /// A file of settings (YAML or JSON). Environment variables go before it.
    #[arg(long, env = "PACKAGE_BROKER_CONFIG")]
    config: Option<PathBuf>,
}

impl SettingsArgs {
    /// Whether a file was named, or a database in the environment.
    pub(super) fn are_given(&self) -> bool {
        const DATABASE: [&str; 2] = [
            "PACKAGE_BROKER_DATABASE_URL",
            "PACKAGE_BROKER_DATABASE_URL_FILE",
        ];
        self.config.is_some() || DATABASE.iter().any(|name| std::env::var_os(name).is_some())
    }

    /// The settings of this process.
    pub(super) fn load(&self) -> anyhow::Result<Settings> {
        settings::load(self.config.as_deref(), variables()).context("the settings cannot be used")
    }
}

/// Variables that are no text are nobody's settings.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Options of `config`.
#[derive(Parser)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Prints the table of all settings as Markdown instead.
    #[arg(long)]
    reference: bool,
}

/// Prints every setting.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let text = if args.reference {
        settings::reference()?
    } else {
        settings::shown(&args.settings.load()?)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output was closed")
}
