//! Claims, in memory: one process uses the file, and its claims end with it. A sync that finds nothing new is to write
//! nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use package_broker_core::ports::database::{ClaimStore, DatabaseError, Fence};

use super::{Sqlite, fault::Fault};

/// The claims of this process.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    made: i64,
    /// The present claim of each thing, and when its lease ends.
    by_what: HashMap<String, (Fence, Instant)>,
}

impl Claims {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what is written under a claim that is over.
    pub(super) fn check(&self, fence: Option<Fence>) -> Result<(), Fault> {
        let Some(fence) = fence else { return Ok(()) };
        let stands = self.state().by_what.values().any(|(own, _)| *own == fence);
        if stands { Ok(()) } else { Err(Fault::Fenced) }
    }
}

#[async_trait]
impl ClaimStore for Sqlite {
    async fn claim(&self, what: &str, lease: Duration) -> Result<Option<Fence>, DatabaseError> {
        let mut state = self.claims.state();
        let now = Instant::now();
        state.by_what.retain(|_, (_, end)| *end > now);
        if state.by_what.contains_key(what) {
            return Ok(None);
        }
        state.made += 1;
        let fence = Fence(state.made);
        state.by_what.insert(what.to_owned(), (fence, now + lease));
        Ok(Some(fence))
    }

    async fn renew(&self, fence: Fence, lease: Duration) -> Result<bool, DatabaseError> {
        let mut state = self.claims.state();
        let claim = state.by_what.values_mut().find(|(own, _)| *own == fence);
        Ok(claim
            .map(|(_, end)| *end = Instant::now() + lease)
            .is_some())
    }

    async fn release(&self, fence: Fence) -> Result<(), DatabaseError> {
        self.claims
            .state()
            .by_what
            .retain(|_, (own, _)| *own != fence);
        Ok(())
    }
}
