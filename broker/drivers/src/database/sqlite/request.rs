//! Requests of syncs, in memory: one process uses the file, and it syncs at its start anyway.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use package_broker_core::{
    domain::names::RepositoryName,
    ports::database::{DatabaseError, SyncRequest, SyncRequestStore},
};

use super::Sqlite;

/// The requests of this process.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    made: i64,
    open: Vec<SyncRequest>,
}

impl Requests {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SyncRequestStore for Sqlite {
    async fn request_sync(&self, repository: &RepositoryName) -> Result<(), DatabaseError> {
        let mut state = self.requests.state();
        state.made += 1;
        let number = state.made;
        state.open.retain(|open| open.repository != *repository);
        state.open.push(SyncRequest {
            repository: repository.clone(),
            number,
        });
        Ok(())
    }

    async fn sync_requests(&self) -> Result<Vec<SyncRequest>, DatabaseError> {
        Ok(self.requests.state().open.clone())
    }

    async fn forget_sync_request(&self, request: &SyncRequest) -> Result<(), DatabaseError> {
        self.requests.state().open.retain(|open| open != request);
        Ok(())
    }
}
