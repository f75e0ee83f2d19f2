//! What is asked of the server.

use std::time::Duration;

use package_broker_core::ports::cache::{CacheError, Change};
use sqlx::postgres::{PgConnectOptions, PgListener};

use super::{
    Fault, Options,
    connect::{Commands, listen_to},
    sweep::sweep,
};
use crate::cache::remote::{self, Line, Link, Server as _, message};

/// Channel of words to all.
const WORDS: &str = "package_broker_changes";

/// Bytes of a message: fewer than 8000
/// (<https://www.postgresql.org/docs/current/sql-notify.html>).
const MAX_PAYLOAD: usize = 7_900;

/// Messages of one change. More packages are sent as "everything".
const MAX_PARTS: usize = 8;

pub(super) struct Server {
    options: PgConnectOptions,
    line: Line<Commands>,
    /// Channel to ourselves.
    own: String,
}

impl Server {
    pub(super) fn new(options: &Options) -> Result<Self, CacheError> {
        let line = Line::new(options.place().to_owned());
        let line = line.map_err(|error| CacheError(format!("no random name: {error}")))?;
        Ok(Self {
            own: format!("package_broker_echo_{}", line.replica()),
            options: options.connect().clone(),
            line,
        })
    }

    pub(super) async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError> {
        let micros = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        let count = async |commands: Commands| {
            let counted = commands.run(async |connection| {
                // A window that was opened before the clock was put back ends no later than one that opens now.
                sqlx::query_scalar::<_, i64>(
                    "INSERT INTO counters AS kept (key, events, ends) \
                     VALUES ($1, 1, now() + $2 * interval '1 microsecond') \
                     ON CONFLICT (key) DO UPDATE SET \
                     events = CASE WHEN kept.ends > now() THEN kept.events + 1 ELSE 1 END, \
                     ends = CASE WHEN kept.ends > now() THEN least(kept.ends, excluded.ends) ELSE excluded.ends END \
                     RETURNING events",
                )
                .bind(key)
                .bind(micros)
                .fetch_one(connection)
                .await
            });
            Ok(counted.await?.unsigned_abs())
        };
        self.call(count, || ()).await
    }
}

impl remote::Server for Server {
    type Commands = Commands;
    type Words = PgListener;
    type Error = sqlx::Error;

    const NAME: &'static str = "PostgreSQL";

    fn line(&self) -> &Line<Commands> {
        &self.line
    }

    /// Neither the server nor its client repeats a password.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    async fn connect(&self) -> Result<(Commands, PgListener), Fault> {
        let commands = Commands::new(self.options.clone());
        // The first one tells why there is none; a listener's client would go on trying without a word.
        commands.run(async |_| Ok(())).await?;
        let listener = listen_to(&self.options, [WORDS, &self.own]).await?;
        Ok((commands, listener))
    }

    async fn listen(&self, mut listener: PgListener) -> Fault {
        loop {
            match listener.try_recv().await {
                Ok(Some(word)) if word.channel() == self.own => {
                    self.line.hear_own(word.payload().as_bytes());
                }
                Ok(Some(word)) => self.line.hear(word.payload().as_bytes()),
                Ok(None) => return Fault::Ended,
                Err(error) => return error.into(),
            }
        }
    }

    /// The write is one that is due anyway.
    async fn prove(&self, link: &Link<Commands>) -> Result<(), Fault> {
        link.commands.run(sweep).await
    }

    async fn say(&self, commands: Commands, number: u64) -> Result<(), Fault> {
        notify(&commands, &self.own, &[number.to_string()]).await
    }

    async fn tell(&self, commands: Commands, change: &Change, number: u64) -> Result<(), Fault> {
        let id = format!("{}-{number}", self.line.replica());
        let words = message::write_parts(change, &id, MAX_PAYLOAD, MAX_PARTS);
        notify(&commands, WORDS, &words).await
    }
}

/// Sends words in one transaction: all are heard, in this order, or none.
async fn notify(commands: &Commands, channel: &str, words: &[String]) -> Result<(), Fault> {
    commands
        .run(async |connection| {
            let notify = "SELECT pg_notify($1, word) FROM unnest($2::text[]) WITH ORDINALITY AS said (word, place) \
                          ORDER BY place";
            let notify = sqlx::query(notify).bind(channel).bind(words);
            notify.execute(connection).await.map(drop)
        })
        .await
}
