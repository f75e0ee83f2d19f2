//! What the calls and the keeper of the connections share.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use package_broker_core::ports::cache::{CacheError, Change};
use redis::{Msg, Pipeline, aio::PubSub};
use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    RESPONSE,
    connect::{Commands, Target},
    echo::Echoes,
    fault::Fault,
    message,
    options::OptionsError,
};

/// Changes that a slow receiver may be behind before it is told that it lags.
const CHANGES: usize = 256;

/// Calls that may wait for the server at once; more of them fail at once.
const CALLS: usize = 2_048;

/// Connections that are in use until `broken`.
#[derive(Clone)]
pub(super) struct Link {
    commands: Commands,
    pub(super) broken: CancellationToken,
    /// Why a call gave it up.
    pub(super) cause: Arc<OnceLock<String>>,
}

impl Link {
    pub(super) fn new(commands: Commands) -> Self {
        Self {
            commands,
            broken: CancellationToken::new(),
            cause: Arc::default(),
        }
    }
}

pub(super) struct Shared {
    target: Target,
    /// This opening's name among all replicas.
    replica: String,
    /// Channel of words to all.
    words: String,
    /// Channel to ourselves.
    own: String,
    /// What is asked about when nothing in particular failed.
    probe: String,
    /// The key of the call that broke the last link: in a cluster, what works for another key proves nothing for it.
    suspect: Mutex<Option<String>>,
    /// The link, or why there is none.
    link: RwLock<Result<Link, String>>,
    /// Whether the first try to connect has ended.
    settled: watch::Sender<bool>,
    calls: Semaphore,
    changes: broadcast::Sender<Change>,
    echoes: Echoes,
    /// Whether a word could not be sent, so that the others do not know.
    owed: AtomicBool,
}

impl Shared {
    pub(super) fn new(target: Target, prefix: &str) -> Result<Self, OptionsError> {
        let random = getrandom::u64().map_err(|error| OptionsError::Random(error.to_string()))?;
        let replica = format!("{random:016x}");
        let database = target.database();
        let words = format!("{prefix}changes:{database}");
        Ok(Self {
            // Its hash tag makes a cluster publish it through the same node, so that it proves the way of the words.
            own: format!("{prefix}echo:{{{words}}}:{replica}"),
            words,
            probe: format!("{prefix}probe"),
            replica,
            target,
            suspect: Mutex::default(),
            link: RwLock::new(Err("it was not tried yet".to_owned())),
            settled: watch::Sender::new(false),
            calls: Semaphore::new(CALLS),
            changes: broadcast::Sender::new(CHANGES),
            echoes: Echoes::default(),
            owed: AtomicBool::new(false),
        })
    }

    pub(super) fn server(&self) -> String {
        self.target.public()
    }

    pub(super) fn settled(&self) -> watch::Receiver<bool> {
        self.settled.subscribe()
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(super) async fn count(&self, key: String, window: Duration) -> Result<u64, CacheError> {
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        // The window opens with its first event only; the clock stands still within the transaction.
        let open = pipeline.cmd("SET").arg(&key).arg(0).arg("PX");
        open.arg(u64::try_from(window.as_millis()).unwrap_or(u64::MAX))
            .arg("NX")
            .ignore();
        pipeline.cmd("INCR").arg(&key);
        let counted = self
            .call(Some(key), |link| link.commands.run(pipeline))
            .await;
        let (events,): (u64,) = counted?;
        Ok(events)
    }

    pub(super) async fn announce(&self, change: &Change) -> Result<(), CacheError> {
        let told = self.call(None, |link| self.tell(link, change)).await;
        if told.is_err() {
            self.owed.store(true, Ordering::Release);
        }
        told
    }

    /// Makes one call if there is a link, and gives the link up if that breaks it.
    async fn call<T, F>(
        &self,
        key: Option<String>,
        work: impl FnOnce(Link) -> F,
    ) -> Result<T, CacheError>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        let Ok(_call) = self.calls.try_acquire() else {
            return Err(self.error("too many calls wait for it"));
        };
        let link = self.link()?;
        let fault = match bounded(&link, work(link.clone())).await {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let reason = self.told(&fault);
        if fault.breaks() && !link.broken.is_cancelled() && link.cause.set(reason.clone()).is_ok() {
            *self.suspect.lock().unwrap_or_else(PoisonError::into_inner) = key;
            link.broken.cancel();
        }
        Err(self.error(&reason))
    }

    fn link(&self) -> Result<Link, CacheError> {
        match &*self.link.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(link) if !link.broken.is_cancelled() => Ok(link.clone()),
            Ok(_) => Err(self.error("the connection broke")),
            Err(reason) => Err(self.error(reason)),
        }
    }

    fn error(&self, reason: &str) -> CacheError {
        CacheError(format!("{}: {reason}", self.target.public()))
    }

    pub(super) fn told(&self, fault: &Fault) -> String {
        fault.told(self.target.secrets())
    }

    /// Announces `change` over `link`, and waits until it has come round.
    async fn tell(&self, link: Link, change: &Change) -> Result<(), Fault> {
        let mut echo = self.echoes.expect();
        let id = format!("{}-{}", self.replica, echo.number);
        let word = message::write(change, &id);
        publish(link, &self.words, &word).await?;
        echo.come().await;
        Ok(())
    }

    /// Connects and listens to both channels.
    pub(super) async fn connect(&self) -> Result<(Link, PubSub), Fault> {
        let (commands, mut listener) = self.target.connect().await?;
        let channels = [&self.words, &self.own];
        match timeout(RESPONSE, listener.subscribe(&channels[..])).await {
            Ok(done) => done?,
            Err(_) => return Err(Fault::Silence("subscribed")),
        }
        Ok((Link::new(commands), listener))
    }

    /// Proves that this server takes writes and that words come round.
    pub(super) async fn prove(&self, link: &Link) -> Result<(), Fault> {
        let suspect = self
            .suspect
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut write = redis::pipe();
        // A write that changes nothing, which a replica refuses nevertheless.
        let key = suspect.as_ref().unwrap_or(&self.probe);
        write.cmd("SETRANGE").arg(key).arg(0).arg("").ignore();
        match bounded(link, link.commands.clone().run(write)).await {
            Err(fault) if !fault.is_out_of_memory() => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        let around = async {
            let mut echo = self.echoes.expect();
            publish(link.clone(), &self.own, &echo.number.to_string()).await?;
            echo.come().await;
            Ok(())
        };
        bounded(link, around).await
    }

    /// Lets the calls use `link`, which has been proved. What was said while there was none is unknown, so everything
    /// may have changed.
    pub(super) fn up(&self, link: Link) {
        *self.suspect.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // An error says only that nobody listens.
        let _listeners = self.changes.send(Change::Everything);
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Ok(link);
        self.settled.send_replace(true);
    }

    /// Lets calls fail at once, with `reason`.
    pub(super) fn down(&self, reason: &str) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Err(reason.to_owned());
        self.settled.send_replace(true);
    }

    /// Tells the other replicas that everything may have changed, if there was a word they did not get.
    pub(super) async fn pay(&self) {
        if self.owed.swap(false, Ordering::AcqRel) {
            // If that fails, it is owed again.
            let _told = self.announce(&Change::Everything).await;
        }
    }

    /// Passes on what came over a channel.
    pub(super) fn hear(&self, heard: &Msg) {
        if heard.get_channel_name() == self.own {
            let number = std::str::from_utf8(heard.get_payload_bytes());
            if let Some(number) = number.ok().and_then(|number| number.parse().ok()) {
                self.echoes.heard(number);
            }
            return;
        }
        let (change, id) = message::read(heard.get_payload_bytes());
        // An error says only that nobody listens.
        let _listeners = self.changes.send(change);
        let number = id.as_deref().and_then(|id| id.split_once('-'));
        if let Some((replica, number)) = number
            && replica == self.replica
            && let Ok(number) = number.parse()
        {
            self.echoes.heard(number);
        }
    }
}

async fn bounded<T>(link: &Link, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::select! {
        done = timeout(RESPONSE, work) => done.unwrap_or(Err(Fault::Silence("asked"))),
        () = link.broken.cancelled() => Err(Fault::Ended),
    }
}

async fn publish(link: Link, channel: &str, word: &str) -> Result<(), Fault> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("PUBLISH").arg(channel).arg(word).ignore();
    link.commands.run(pipeline).await
}
