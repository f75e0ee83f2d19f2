//! `package-broker audit`: the audit log as JSON lines, also while processes are at work on it.

use std::{
    io::{self, BufWriter, Write},
    pin::pin,
};

use clap::Parser;
use futures::TryStreamExt;
use jiff::Timestamp;
use package_broker_core::{
    domain::audit::{Action, Record, actor_named},
    ports::audit::{AuditStore, Filter},
    services::audit::pages,
};

use super::state::StateArgs;
use crate::times::time;

/// Records that are in memory at once.
const PAGE: u32 = 1_000;

/// Options of `audit`.
#[derive(Parser)]
pub(super) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// Only what happened at this time or later: 2026-01-31T08:00:00Z, or a date, which begins at midnight UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only what happened before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only what this actor did: the name of an `AccessToken`, or anonymous, manifests, sync, broker.
    #[arg(long)]
    actor: Option<String>,
    /// Only what was done to this package, or to the token or repository of this name.
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// Only this action, for instance archive.read.
    #[arg(long)]
    action: Option<Action>,
}

/// Prints the records that the options name, the oldest first.
pub(super) fn main(args: Args) -> anyhow::Result<()> {
    let filter = Filter {
        since: args.since,
        until: args.until,
        actor: args.actor.map(|actor| actor_named(&actor).into_owned()),
        subject: args.package,
        action: args.action,
    };
    let printed = super::runtime()?.block_on(async {
        let log = args.state.open().await?;
        print(&*log, filter, &mut BufWriter::new(io::stdout().lock())).await
    });
    match printed {
        // Whoever reads has seen enough.
        Err(error) if is_closed_pipe(&error) => Ok(()),
        printed => printed,
    }
}

async fn print(log: &dyn AuditStore, filter: Filter, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut pages = pin!(pages(log, filter, PAGE));
    while let Some(page) = pages.try_next().await? {
        for record in &page {
            print_line(record, out)?;
        }
    }
    Ok(out.flush()?)
}

fn print_line(record: &Record, out: &mut dyn Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, record).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use package_broker_core::domain::audit::{Actor, Event, OWN_ACTORS, Outcome};

    use super::*;

    fn full() -> Record {
        let event = Event {
            actor: Actor::Token("ci"),
            address: Some([192, 0, 2, 7].into()),
            action: Action::ArchiveRead,
            subject: Some("acme/lib"),
            version: Some("1.0.0.0"),
            repository: Some("team"),
            outcome: Outcome::Ok,
            detail: Some("{}"),
        };
        event.record("2026-01-31T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_line_is_one_object() {
        let mut out = Vec::new();
        print_line(&full(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"first\":\"2026-01-31T08:00:00Z\",\"last\":\"2026-01-31T08:00:00Z\",\"count\":1,\
             \"actor\":\"token/ci\",\"address\":\"192.0.2.7\",\"action\":\"archive.read\",\
             \"subject\":\"acme/lib\",\"version\":\"1.0.0.0\",\"repository\":\"team\",\"outcome\":\"ok\",\
             \"detail\":\"{}\"}\n"
        );
    }

    /// The first cells of the table below a heading of the page.
    fn documented(heading: &str) -> BTreeSet<String> {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit.md");
        let page = std::fs::read_to_string(page).unwrap();
        let part = page.split("\n## ").find(|part| part.starts_with(heading));
        let rows = part.unwrap().lines();
        let cells = rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0));
        cells.map(str::to_owned).collect()
    }

    #[test]
    fn everything_that_can_be_in_a_line_is_documented() {
        let record = serde_json::to_value(full()).unwrap();
        let fields = record.as_object().unwrap().keys().cloned().collect();
        assert_eq!(documented("Fields"), fields);
        let actions = Action::ALL.iter().map(|action| action.as_str().to_owned());
        assert_eq!(documented("Actions"), actions.collect());
        let outcomes = Outcome::ALL
            .iter()
            .map(|outcome| outcome.as_str().to_owned());
        assert_eq!(documented("Outcomes"), outcomes.collect());
        let mut actors: BTreeSet<String> = OWN_ACTORS.map(str::to_owned).into();
        actors.extend(["token/NAME", "user/NAME"].map(str::to_owned));
        assert_eq!(documented("Actors"), actors);
    }
}
