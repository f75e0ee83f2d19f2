//! Where the records of the audit log are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::database::DatabaseError;
use crate::domain::audit::{Action, Record};

/// The audit log. Records are added and expire; none is ever changed.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Adds a batch of records in one transaction. A batch that was added already is not added again, so a writer that
    /// does not know what became of one gives it once more. A writer's batches come one after another.
    async fn append_records(&self, batch: &Batch<'_>) -> Result<(), DatabaseError>;

    /// Removes records whose last event was before a time, the oldest first and `limit` at most; returns how many. That
    /// there are more is known by `limit` having been reached.
    async fn expire_records(&self, before: Timestamp, limit: u32) -> Result<u64, DatabaseError>;

    /// Records in the order of their last events, those of the same time as they were added: at most `limit` that
    /// come after a position.
    async fn read_records(
        &self,
        filter: &Filter,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<(Position, Record)>, DatabaseError>;
}

/// What one writer adds at once.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Names the writer: no two have the same, not even of one process that was started twice.
    pub writer: [u8; 16],
    /// Grows with each batch of the writer.
    pub number: i64,
    /// The records, in the order in which they are to be kept.
    pub records: &'a [Record],
}

/// The place of a record in the order of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// [`Record::last`].
    pub last: Timestamp,
    /// Tells records of the same time apart.
    pub id: i64,
}

/// Which records to read: those that meet all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those whose last event was at this time or later.
    pub since: Option<Timestamp>,
    /// Those whose last event was before this time.
    pub until: Option<Timestamp>,
    /// Those of this actor, as [`Record::actor`] has it.
    pub actor: Option<String>,
    /// Those of this subject: a package, a token or a repository.
    pub subject: Option<String>,
    /// Those of this action.
    pub action: Option<Action>,
}
