//! The log, read from its beginning to its end without being in memory whole.

use std::ops::Deref;

use futures::{Stream, stream};

use crate::{
    domain::audit::Record,
    ports::{
        audit::{AuditStore, Filter, Position},
        database::DatabaseError,
    },
};

/// The records that a filter leaves, the oldest first, in pages of at most `size`. Each page is read when it is asked for.
pub fn pages<L>(
    log: L,
    filter: Filter,
    size: u32,
) -> impl Stream<Item = Result<Vec<Record>, DatabaseError>>
where
    L: Deref<Target: AuditStore>,
{
    /// After which record the next page begins; nothing when there is none.
    type Next = Option<Option<Position>>;
    let first: Next = Some(None);
    stream::try_unfold(
        (log, filter, first),
        move |(log, filter, next)| async move {
            let Some(after) = next else { return Ok(None) };
            let page = log.read_records(&filter, after, size).await?;
            let next: Next = page
                .last()
                .filter(|_| page.len() >= size as usize)
                .map(|(position, _)| Some(*position));
            let records = page.into_iter().map(|(_, record)| record).collect();
            Ok(Some((records, (log, filter, next))))
        },
    )
}
