//! What a cache on a server needs, whatever the server: connections that are kept, and words that come round.
//!
//! One background task keeps the connections ([`keeper`]): it connects, proves that the server takes writes and that
//! words come round, and starts over when something breaks. While it has no working connections every call fails at
//! once, so a server that is down costs no request more than one [`RESPONSE`].
//!
//! - [`announce`](Server::announce) returns when this replica has heard its own word; the others hear it about then.
//!   A word that could not be sent is owed: when the server is back, `Everything` is announced to all replicas.
//! - Whenever the connections were made anew, the receivers of changes hear [`Change::Everything`], as words may have
//!   been lost.

mod echo;
mod fault;
mod keeper;
mod line;
pub(super) mod message;

use std::{future::Future, sync::Arc, time::Duration};

use package_broker_core::ports::cache::{CacheError, Change};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::{
    fault::{Failure, Fault},
    line::{Line, Link},
};

/// How long a call may wait for the server, its queue included.
pub(super) const RESPONSE: Duration = Duration::from_secs(1);

/// How often the connections are proved to work while nothing else shows it. A silent break is noticed after this and
/// one [`RESPONSE`].
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long [`open`] waits for a first connection before it leaves that to the background.
const OPENING: Duration = Duration::from_secs(2);

/// What commands go over and what words come over, or why there is neither.
pub(super) type Connected<S> =
    Result<(<S as Server>::Commands, <S as Server>::Words), Fault<<S as Server>::Error>>;

/// A server that keeps counters and passes words on.
pub(super) trait Server: Send + Sync + Sized + 'static {
    /// What commands go over. Cheap to clone.
    type Commands: Clone + Send + Sync + 'static;
    /// What words come over.
    type Words: Send;
    /// How its client fails.
    type Error: Failure;

    /// What the server is called in logs.
    const NAME: &'static str;

    /// The state of the connections.
    fn line(&self) -> &Line<Self::Commands>;

    /// What no message may show.
    fn secrets(&self) -> impl Iterator<Item = &str>;

    /// Connects, and listens to the words of all and to our own.
    fn connect(&self) -> impl Future<Output = Connected<Self>> + Send;

    /// Passes words on until there are no more.
    fn listen(&self, words: Self::Words) -> impl Future<Output = Fault<Self::Error>> + Send;

    /// Proves that the server takes writes.
    fn prove(
        &self,
        link: &Link<Self::Commands>,
    ) -> impl Future<Output = Result<(), Fault<Self::Error>>> + Send;

    /// Removes what is not needed any more. May take longer than there is time: the next call goes on with it.
    fn tidy(
        &self,
        commands: Self::Commands,
    ) -> impl Future<Output = Result<(), Fault<Self::Error>>> + Send;

    /// Says `number` to ourselves, the way that words to all go.
    fn say(
        &self,
        commands: Self::Commands,
        number: u64,
    ) -> impl Future<Output = Result<(), Fault<Self::Error>>> + Send;

    /// Says `change` to all, marked with our name and `number`.
    fn tell(
        &self,
        commands: Self::Commands,
        change: &Change,
        number: u64,
    ) -> impl Future<Output = Result<(), Fault<Self::Error>>> + Send;

    /// Announces `change`, and waits until it has come round.
    fn announce(&self, change: &Change) -> impl Future<Output = Result<(), CacheError>> + Send {
        line::announce(self, change)
    }

    /// Makes one call if there is a link, and gives the link up if that breaks it; `breaking` runs before.
    fn call<T: Send, F>(
        &self,
        work: impl FnOnce(Self::Commands) -> F + Send,
        breaking: impl FnOnce() + Send,
    ) -> impl Future<Output = Result<T, CacheError>> + Send
    where
        F: Future<Output = Result<T, Fault<Self::Error>>> + Send,
    {
        line::call(self, work, breaking)
    }
}

/// Starts to connect, and waits a moment for it. A server that does not answer is no error: calls fail until it does.
/// The connections end with the value that is returned.
pub(super) async fn open<S: Server>(server: &Arc<S>) -> AbortOnDropHandle<()> {
    let mut settled = server.line().settled();
    let keeper = AbortOnDropHandle::new(tokio::spawn(keeper::keep(Arc::clone(server))));
    let _whether_it_came = timeout(OPENING, settled.wait_for(|settled| *settled)).await;
    keeper
}
