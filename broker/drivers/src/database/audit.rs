//! What both databases keep of a record in the same way.

use package_broker_core::{
    domain::audit::{Action, Outcome, Record},
    ports::audit::Position,
};

use super::content::ContentError;

/// The columns of a record, in the order in which both databases write and read them.
pub(super) const COLUMNS: &str = "first_at, last_at, count, actor, address, action, subject, version, repository, outcome, detail";

/// How long the last batch of a writer is remembered that writes no more, in seconds: longer than any writer tries the
/// same batch again after the database was away.
pub(super) const WRITERS_KEPT: i64 = 30 * 24 * 60 * 60;

/// A record as its columns have it; times are microseconds.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: i64,
    pub(super) actor: String,
    pub(super) address: Option<String>,
    pub(super) action: String,
    pub(super) subject: Option<String>,
    pub(super) version: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) outcome: String,
    pub(super) detail: Option<String>,
}

impl Row {
    /// What the columns mean.
    pub(super) fn record(self) -> Result<(Position, Record), ContentError> {
        let last = time(self.last)?;
        let action: Result<Action, _> = self.action.parse();
        let outcome: Result<Outcome, _> = self.outcome.parse();
        let address = self.address.map(|text| text.parse()).transpose();
        let record = Record {
            first: time(self.first)?,
            last,
            count: u64::try_from(self.count).map_err(|error| damaged("a count", &error))?,
            actor: self.actor.into(),
            address: address.map_err(|error| damaged("an address", &error))?,
            action: action.map_err(|error| damaged("an action", &error))?,
            subject: self.subject.map(Into::into),
            version: self.version.map(Into::into),
            repository: self.repository.map(Into::into),
            outcome: outcome.map_err(|error| damaged("an outcome", &error))?,
            detail: self.detail.map(Into::into),
        };
        Ok((Position { last, id: self.id }, record))
    }
}

/// A count as databases have them.
pub(super) fn count(record: &Record) -> i64 {
    i64::try_from(record.count).unwrap_or(i64::MAX)
}

fn time(micros: i64) -> Result<jiff::Timestamp, ContentError> {
    jiff::Timestamp::from_microsecond(micros).map_err(|error| damaged("a time", &error))
}

fn damaged(what: &str, problem: &dyn std::fmt::Display) -> ContentError {
    ContentError::Damaged {
        what: format!("{what} in the audit log"),
        problem: problem.to_string(),
    }
}
