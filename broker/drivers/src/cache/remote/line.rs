//! What the calls and the keeper of the connections share.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use package_broker_core::{
    ports::cache::{CacheError, Change},
    telemetry,
};
use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Failure, Fault, RESPONSE, Server, echo::Echoes, message};

/// Changes that a slow receiver may be behind before it is told that it lags.
const CHANGES: usize = 256;

/// Calls that may wait for the server at once; more of them fail at once.
const CALLS: usize = 2_048;

/// Connections that are in use until `broken`.
#[derive(Clone)]
pub(in super::super) struct Link<C> {
    pub(in super::super) commands: C,
    pub(super) broken: CancellationToken,
    /// Why a call gave it up.
    pub(super) cause: Arc<OnceLock<String>>,
}

impl<C> Link<C> {
    pub(super) fn new(commands: C) -> Self {
        Self {
            commands,
            broken: CancellationToken::new(),
            cause: Arc::default(),
        }
    }
}

/// The connections to one server, and who waits for them.
pub(in super::super) struct Line<C> {
    /// The server's name for logs and errors.
    place: String,
    /// This opening's name among all replicas.
    replica: String,
    /// The link, or why there is none.
    link: RwLock<Result<Link<C>, String>>,
    /// Whether the first try to connect has ended.
    settled: watch::Sender<bool>,
    calls: Semaphore,
    changes: broadcast::Sender<Change>,
    pub(super) echoes: Echoes,
    /// Whether a word could not be sent, so that the others do not know.
    owed: AtomicBool,
}

impl<C: Clone> Line<C> {
    /// No connections yet to the server at `place`, which is shown.
    ///
    /// # Errors
    /// If the system has no random bytes for a name.
    pub(in super::super) fn new(place: String) -> Result<Self, getrandom::Error> {
        Ok(Self {
            place,
            replica: format!("{:016x}", getrandom::u64()?),
            link: RwLock::new(Err("it was not tried yet".to_owned())),
            settled: watch::Sender::new(false),
            calls: Semaphore::new(CALLS),
            changes: broadcast::Sender::new(CHANGES),
            echoes: Echoes::default(),
            owed: AtomicBool::new(false),
        })
    }

    pub(in super::super) fn place(&self) -> &str {
        &self.place
    }

    pub(in super::super) fn replica(&self) -> &str {
        &self.replica
    }

    pub(in super::super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(super) fn settled(&self) -> watch::Receiver<bool> {
        self.settled.subscribe()
    }

    fn link(&self) -> Result<Link<C>, CacheError> {
        match &*self.link.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(link) if !link.broken.is_cancelled() => Ok(link.clone()),
            Ok(_) => Err(self.error("the connection broke")),
            Err(reason) => Err(self.error(reason)),
        }
    }

    /// Whether calls are made, and do not fail at once.
    pub(in super::super) fn is_up(&self) -> bool {
        self.link().is_ok()
    }

    fn error(&self, reason: &str) -> CacheError {
        CacheError(format!("{}: {reason}", self.place))
    }

    /// Lets the calls use `link`, which has been proved. What was said while there was none is unknown, so everything
    /// may have changed.
    pub(super) fn up(&self, link: Link<C>) {
        self.pass_on(Change::Everything);
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Ok(link);
        self.settled.send_replace(true);
    }

    /// Lets calls fail at once, with `reason`.
    pub(super) fn down(&self, reason: &str) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Err(reason.to_owned());
        self.settled.send_replace(true);
    }

    /// Whether there was a word that the other replicas did not get; from now on, there was none.
    pub(super) fn owes(&self) -> bool {
        self.owed.swap(false, Ordering::AcqRel)
    }

    /// Passes on a word to all.
    pub(in super::super) fn hear(&self, payload: &[u8]) {
        let (change, id) = message::read(payload);
        self.pass_on(change);
        let number = id.as_deref().and_then(|id| id.split_once('-'));
        if let Some((replica, number)) = number
            && replica == self.replica
            && let Ok(number) = number.parse()
        {
            self.echoes.heard(number);
        }
    }

    /// Notes a word to ourselves.
    pub(in super::super) fn hear_own(&self, payload: &[u8]) {
        let number = std::str::from_utf8(payload).ok();
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            self.echoes.heard(number);
        }
    }

    fn pass_on(&self, change: Change) {
        // An error says only that nobody listens.
        let _listeners = self.changes.send(change);
    }
}

/// Does what [`Server::call`] promises.
pub(super) async fn call<S: Server, T, F>(
    server: &S,
    work: impl FnOnce(S::Commands) -> F,
    breaking: impl FnOnce(),
) -> Result<T, CacheError>
where
    F: Future<Output = Result<T, Fault<S::Error>>> + Send,
{
    let shared = server.line();
    let Ok(_call) = shared.calls.try_acquire() else {
        return Err(shared.error("too many calls wait for it"));
    };
    let link = shared.link()?;
    let calling = telemetry::calling(
        S::NAME,
        "use the cache",
        bounded(&link, work(link.commands.clone())),
    );
    let fault = match calling.await {
        Ok(done) => return Ok(done),
        Err(fault) => fault,
    };
    let reason = fault.told(server.secrets());
    if fault.breaks() && !link.broken.is_cancelled() && link.cause.set(reason.clone()).is_ok() {
        breaking();
        link.broken.cancel();
    }
    Err(shared.error(&reason))
}

/// Does what [`Server::announce`] promises.
pub(super) async fn announce<S: Server>(server: &S, change: &Change) -> Result<(), CacheError> {
    let line = server.line();
    let around = async |commands| {
        let mut echo = line.echoes.expect();
        server.tell(commands, change, echo.number).await?;
        echo.come().await;
        Ok(())
    };
    let told = call(server, around, || ()).await;
    if told.is_err() {
        line.owed.store(true, Ordering::Release);
    }
    told
}

/// Proves that the server takes writes and that words come round.
pub(super) async fn prove<S: Server>(
    server: &S,
    link: &Link<S::Commands>,
) -> Result<(), Fault<S::Error>> {
    bounded(link, server.prove(link)).await?;
    let around = async {
        let mut echo = server.line().echoes.expect();
        server.say(link.commands.clone(), echo.number).await?;
        echo.come().await;
        Ok(())
    };
    bounded(link, around).await
}

/// Ends `work` with the link, and after [`RESPONSE`].
async fn bounded<C, T, E: Failure>(
    link: &Link<C>,
    work: impl Future<Output = Result<T, Fault<E>>>,
) -> Result<T, Fault<E>> {
    tokio::select! {
        done = timeout(RESPONSE, work) => done.unwrap_or(Err(Fault::Silence("asked"))),
        () = link.broken.cancelled() => Err(Fault::Ended),
    }
}
