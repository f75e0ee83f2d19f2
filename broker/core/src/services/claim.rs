//! Work that one process at a time does, in the whole installation.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::ports::database::{Database, DatabaseError, Fence};

/// How long a claim lasts whose process is gone. A process that is alive renews its claims three times in this time.
pub const LEASE: Duration = Duration::from_secs(30);

/// A claim, renewed while the value lives and released with it.
pub struct Claim {
    database: Arc<dyn Database>,
    fence: Fence,
    lost: CancellationToken,
    released: bool,
    _renewing: AbortOnDropHandle<()>,
}

impl Claim {
    /// Claims `what`; `None` if another process, or another task of this one, has it.
    pub async fn make(
        database: &Arc<dyn Database>,
        what: &str,
    ) -> Result<Option<Self>, DatabaseError> {
        let Some(fence) = database.claim(what, LEASE).await? else {
            return Ok(None);
        };
        let lost = CancellationToken::new();
        let renewing = keep(Arc::clone(database), fence, lost.clone());
        Ok(Some(Self {
            database: Arc::clone(database),
            fence,
            lost,
            released: false,
            _renewing: AbortOnDropHandle::new(tokio::spawn(renewing)),
        }))
    }

    /// What is written under this claim is refused once it is over.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Does work for as long as the claim stands, then releases it, so that a program may end that has nothing else to
    /// do; `None` if it was lost on the way.
    pub async fn hold<T>(mut self, work: impl Future<Output = T>) -> Option<T> {
        let done = self.lost.run_until_cancelled(work).await;
        // If that fails, the lease ends it.
        self.database.release(self.fence).await.ok();
        self.released = true;
        done
    }
}

impl Drop for Claim {
    /// Work that is cut off releases its claim beside what the program does next.
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let (database, fence) = (Arc::clone(&self.database), self.fence);
        if let Ok(runtime) = Handle::try_current() {
            // If that fails, the lease ends it.
            runtime.spawn(async move { database.release(fence).await.ok() });
        }
    }
}

/// Renews a claim until it is lost. A database that does not answer may come back before the lease ends; if it does
/// not, whatever is written then is fenced off.
async fn keep(database: Arc<dyn Database>, fence: Fence, lost: CancellationToken) {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        if let Ok(false) = database.renew(fence, LEASE).await {
            lost.cancel();
            return;
        }
    }
}
