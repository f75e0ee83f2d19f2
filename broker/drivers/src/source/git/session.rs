//! One conversation with a remote: how much it may send, when it has to stop, what went wrong on the way.
//!
//! The git library works in blocking calls on a thread of its own. A [`Session`] is what the async side and that
//! thread share, so that a time-out or a dropped future ends the work wherever it is, an `ssh` child included.

use std::{
    process::Child,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use package_broker_core::{domain::names::RepositoryName, ports::source::SourceError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::source::progress;

/// The most bytes of the handshake and the list of refs together.
pub(super) const MAX_LISTING: u64 = 32 << 20;

/// The most bytes of one pack.
pub(super) const MAX_PACK: u64 = 8 << 30;

/// What both sides of a conversation share.
pub(super) struct Session {
    runtime: Handle,
    stopped: AtomicBool,
    token: CancellationToken,
    allowed: AtomicU64,
    received: AtomicU64,
    refs_done: AtomicU64,
    refs_total: AtomicU64,
    child: Mutex<Option<Child>>,
    failure: Mutex<Option<SourceError>>,
}

impl Session {
    /// A session that may receive a listing, see [`MAX_LISTING`]. For callers within an async runtime.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            runtime: Handle::current(),
            stopped: AtomicBool::new(false),
            token: CancellationToken::new(),
            allowed: AtomicU64::new(MAX_LISTING),
            received: AtomicU64::new(0),
            refs_done: AtomicU64::new(0),
            refs_total: AtomicU64::new(0),
            child: Mutex::new(None),
            failure: Mutex::new(None),
        })
    }

    /// Waits on the session's thread for async work; `None` if the session was stopped before it was done.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            tokio::select! {
                outcome = work => Some(outcome),
                () = self.token.cancelled() => None,
            }
        })
    }

    /// Lets the other side send this many bytes from here on.
    pub(super) fn allow(&self, bytes: u64) {
        self.allowed.store(
            self.received.load(Ordering::Relaxed).saturating_add(bytes),
            Ordering::Relaxed,
        );
    }

    /// Counts bytes from the other side.
    ///
    /// # Errors
    /// If they are too many, or the session was stopped.
    pub(super) fn receive(&self, bytes: usize) -> std::io::Result<()> {
        let received = self.received.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if received > self.allowed.load(Ordering::Relaxed) {
            return Err(std::io::Error::other(
                "the remote sends more than is allowed",
            ));
        }
        if self.is_stopped() {
            return Err(std::io::Error::other("the sync was stopped"));
        }
        Ok(())
    }

    /// How far the reading of refs has come.
    pub(super) fn progress(&self, done: usize, total: usize) {
        self.refs_done.store(done as u64, Ordering::Relaxed);
        self.refs_total.store(total as u64, Ordering::Relaxed);
    }

    /// Keeps the exact reason of a failure that the git library will report in its own words.
    pub(super) fn fail(&self, error: SourceError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Takes what [`Session::fail`] kept.
    pub(super) fn failure(&self) -> Option<SourceError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Takes charge of a child process; kills it at once if the session has been stopped.
    pub(super) fn adopt(&self, child: Child) {
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        if self.is_stopped() {
            self.end_child();
        }
    }

    /// Kills the child, if there is one, and waits for its end.
    pub(super) fn end_child(&self) {
        let child = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut child) = child {
            // Both fail only for a process that has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends the conversation, from whichever thread.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.token.cancel();
        self.end_child();
    }

    /// Whether the conversation was ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The flag in the form the git library looks at.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.stopped
    }

    fn log(&self, repository: &RepositoryName) {
        tracing::info!(
            repository = repository.as_str(),
            received_bytes = self.received.load(Ordering::Relaxed),
            refs_done = self.refs_done.load(Ordering::Relaxed),
            refs_total = self.refs_total.load(Ordering::Relaxed),
            "git sync in progress"
        );
    }
}

/// Ends the conversation when the future that waits for it goes away.
struct StopOnDrop(Arc<Session>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs blocking work of a session, for at most `limit`, with a line of progress now and then.
///
/// # Errors
/// What the work returns; [`SourceError::Unavailable`] when the time is up.
pub(super) async fn run<T: Send + 'static>(
    repository: &RepositoryName,
    limit: Duration,
    session: Arc<Session>,
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let stop = StopOnDrop(session);
    let unavailable = |problem: String| SourceError::Unavailable {
        what: format!("the git repository of {repository}"),
        problem,
        retry_after: None,
    };
    let work = tokio::task::spawn_blocking(work);
    let told = progress::telling(progress::EVERY, || stop.0.log(repository), work);
    match tokio::time::timeout(limit, told).await {
        Ok(ended) => ended
            .unwrap_or_else(|error| Err(unavailable(format!("the work on it failed: {error}")))),
        Err(_) => Err(unavailable(format!(
            "it took longer than {} seconds; Repository spec.sync.timeout allows more",
            limit.as_secs()
        ))),
    }
}
