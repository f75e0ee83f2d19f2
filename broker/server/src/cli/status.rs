//! `package-broker status`: what the state says, also while processes are at work on it.

use std::io::Write;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use package_broker_core::services::status::{RepositoryStatus, Status, status};

use super::state::StateArgs;

/// Options of `status`.
#[derive(Parser)]
pub(super) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// How to print it.
    #[arg(long, short, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// Columns for people.
    Table,
    /// One JSON document for scripts.
    Json,
}

/// Prints the state of an installation.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let status = super::runtime()?.block_on(async {
        let database = args.state.open().await?;
        Ok::<_, anyhow::Error>(status(&*database).await?)
    });
    let status = status.context("no status")?;
    let text = match args.output {
        Output::Json => serde_json::to_string_pretty(&status)? + "\n",
        Output::Table => table(&status),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output was closed")
}

fn table(status: &Status) -> String {
    let mut rows = vec![
        [
            "REPOSITORY",
            "TYPE",
            "STATE",
            "PACKAGES",
            "VERSIONS",
            "SKIPPED",
            "LAST CHANGE",
            "URL",
        ]
        .map(str::to_owned),
    ];
    rows.extend(status.repositories.iter().map(row));
    let packages = counted(status.packages, "package");
    let tokens = counted(status.tokens, "token");
    let mut text = super::aligned(&rows);
    text.push_str(&["\n", &packages, " served, ", &tokens, "\n"].concat());
    if let Some(problem) = &status.manifests {
        text.push_str(
            &[
                "\nThe manifests as they are now are not in force:\n",
                problem,
                "\n",
            ]
            .concat(),
        );
    }
    text.extend(status.repositories.iter().flat_map(troubles));
    text
}

/// What went wrong with a repository, a line each.
fn troubles(repository: &RepositoryStatus) -> Vec<String> {
    let name = &repository.name;
    let failure = repository.failure.as_ref().map(|failure| {
        let times = counted(failure.count as usize, "time");
        let (at, message) = (&failure.at, &failure.message);
        format!("\n{name} failed {times}, last at {at}: {message}\n")
    });
    let skipped = repository.skipped.iter().map(|left_out| {
        let package = left_out.package.as_ref().map_or("-", |p| p.as_str());
        let (version, reason) = (&left_out.skipped.version, &left_out.skipped.reason);
        format!("{name}: {package} {version}: {reason}\n")
    });
    failure.into_iter().chain(skipped).collect()
}

/// A number with its noun.
fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn row(repository: &RepositoryStatus) -> [String; 8] {
    [
        repository.name.clone(),
        repository.kind.clone(),
        repository.state.to_owned(),
        repository.packages.to_string(),
        repository.versions.to_string(),
        repository.skipped.len().to_string(),
        repository.last_change.map_or_else(
            || "-".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        ),
        repository.url.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(0, "token"), "0 tokens");
        assert_eq!(counted(1, "token"), "1 token");
    }

    #[test]
    fn columns_line_up() {
        let rows = [["A", "LONG"], ["wide", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(crate::cli::aligned(&rows), "A      LONG\nwide   x\n");
    }
}
