//! What is asked of the server.

use std::time::Duration;

use package_broker_core::{
    domain::quota::{Quota, Taken},
    ports::cache::{CacheError, Change},
};
use sqlx::postgres::{PgConnectOptions, PgListener};

use super::{
    Fault, Options,
    connect::{Commands, listen_to},
    sweep::{probe, sweep},
};
use crate::cache::remote::{self, Line, Link, Server as _, message};

/// Channel of words to all.
const WORDS: &str = "package_broker_changes";

/// Bytes of a message: fewer than 8000
/// (<https://www.postgresql.org/docs/current/sql-notify.html>).
const MAX_PAYLOAD: usize = 7_900;

/// Messages of one change. More packages are sent as "everything".
const MAX_PARTS: usize = 8;

/// Counts an event of $1 in a window of $2 microseconds. One that was opened before the clock was put back ends no later
/// than one that opens now.
const COUNT: &str = "\
    INSERT INTO counters AS kept (key, events, ends) VALUES ($1, 1, now() + $2 * interval '1 microsecond') \
    ON CONFLICT (key) DO UPDATE SET \
        events = CASE WHEN kept.ends > now() THEN kept.events + 1 ELSE 1 END, \
        ends = CASE WHEN kept.ends > now() THEN least(kept.ends, excluded.ends) ELSE excluded.ends END \
    RETURNING events";

/// Takes one request, of a cost of $2 microseconds, out of the bucket of $1, of a depth of $3: see `domain::quota` for
/// the terms. Returns whether there was one, and the debt. The clock is read once the row is locked: who waits for it
/// must not see an earlier time than who had it before.
const TAKE: &str = "\
    INSERT INTO quotas AS kept (key, full_at, allowed, expires) \
    VALUES ($1, clock_timestamp() + $2 * interval '1 microsecond', true, now() + interval '20 minutes') \
    ON CONFLICT (key) DO UPDATE SET (full_at, allowed, expires) = ( \
        SELECT after, fits, date_bin('10 minutes', after, 'epoch') + interval '10 minutes' \
        FROM (SELECT clock_timestamp() AS now) AS clock, \
        LATERAL (SELECT least(greatest(kept.full_at, now), now + $3 * interval '1 microsecond') AS before) AS bucket, \
        LATERAL (SELECT before + ($2 - $3) * interval '1 microsecond' <= now AS fits) AS room, \
        LATERAL (SELECT CASE WHEN fits THEN before + $2 * interval '1 microsecond' ELSE before END AS after) AS next) \
    RETURNING allowed, (extract(epoch FROM greatest(full_at - clock_timestamp(), interval '0')) * 1000000)::bigint";

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
        let count = async |commands: Commands| {
            let count = async |connection: &mut _| {
                let counted = sqlx::query_scalar::<_, i64>(COUNT).bind(key);
                counted
                    .bind(micros(window.as_micros()))
                    .fetch_one(connection)
                    .await
            };
            Ok(commands.run(count).await?.unsigned_abs())
        };
        self.call(count, || ()).await
    }

    pub(super) async fn take(&self, key: &str, quota: Quota) -> Result<Taken, CacheError> {
        let take = async |commands: Commands| {
            let take = async |connection: &mut _| {
                let taken = sqlx::query_as::<_, (bool, i64)>(TAKE).bind(key);
                let taken = taken.bind(micros(quota.cost())).bind(micros(quota.depth()));
                taken.fetch_one(connection).await
            };
            let (allowed, debt) = commands.run(take).await?;
            Ok(quota.taken(allowed, debt.unsigned_abs()))
        };
        self.call(take, || ()).await
    }
}

fn micros(micros: impl TryInto<i64>) -> i64 {
    micros.try_into().unwrap_or(i64::MAX)
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

    async fn prove(&self, link: &Link<Commands>) -> Result<(), Fault> {
        link.commands.run(probe).await
    }

    async fn tidy(&self, commands: Commands) -> Result<(), Fault> {
        commands.run(sweep).await
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
