//! What all controllers stand on: watches, writes to the API server, conditions, and when to look again.

pub(crate) mod apply;
pub(crate) mod conditions;
pub(crate) mod events;
pub(crate) mod failpoint;
pub(crate) mod guard;
pub(crate) mod health;
pub(crate) mod jobs;
pub(crate) mod leader;
pub(crate) mod live;
pub(crate) mod once;
pub(crate) mod optional;
pub(crate) mod remembered;
pub(crate) mod requeue;
pub(crate) mod secrets;
pub(crate) mod status;
pub(crate) mod watches;
pub(crate) mod written;
