//! What is asked of the server.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use package_broker_core::{
    domain::quota::{Quota, Taken},
    ports::cache::{CacheError, Change},
};
use redis::{Pipeline, RedisError, aio::PubSub};
use tokio::time::timeout;

use super::{
    Fault, RESPONSE,
    connect::{Commands, Target},
    fault::is_out_of_memory,
    options::OptionsError,
};
use crate::cache::remote::{self, Line, Link, Server as _, message};

/// Sent whole each time: the server keeps it compiled, and after a restart there is nothing to make up for.
const TAKE: &str = include_str!("take.lua");

pub(super) struct Server {
    target: Target,
    line: Line<Commands>,
    /// Channel of words to all.
    words: String,
    /// Channel to ourselves.
    own: String,
    /// What is asked about when nothing in particular failed.
    probe: String,
    /// The key of the call that broke the last link: in a cluster, what works for another key proves nothing for it.
    suspect: Mutex<Option<String>>,
}

impl Server {
    pub(super) fn new(target: Target, prefix: &str) -> Result<Self, OptionsError> {
        let line = Line::new(target.public());
        let line = line.map_err(|error| OptionsError::Random(error.to_string()))?;
        let words = format!("{prefix}changes:{}", target.database());
        Ok(Self {
            // Its hash tag makes a cluster publish it through the same node, so that it proves the way of the words.
            own: format!("{prefix}echo:{{{words}}}:{}", line.replica()),
            words,
            probe: format!("{prefix}probe"),
            suspect: Mutex::default(),
            target,
            line,
        })
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
        let (events,): (u64,) = self
            .call(
                |commands| commands.run(pipeline),
                || *self.suspect() = Some(key),
            )
            .await?;
        Ok(events)
    }

    pub(super) async fn take(&self, key: String, quota: Quota) -> Result<Taken, CacheError> {
        let mut pipeline = redis::pipe();
        let take = pipeline.cmd("EVAL").arg(TAKE).arg(1).arg(&key);
        take.arg(quota.cost()).arg(quota.depth());
        let ((allowed, debt),): ((bool, u64),) = self
            .call(
                |commands| commands.run(pipeline),
                || *self.suspect() = Some(key),
            )
            .await?;
        Ok(quota.taken(allowed, debt))
    }

    fn suspect(&self) -> MutexGuard<'_, Option<String>> {
        self.suspect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl remote::Server for Server {
    type Commands = Commands;
    type Words = PubSub;
    type Error = RedisError;

    const NAME: &'static str = "Redis";

    fn line(&self) -> &Line<Commands> {
        &self.line
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.target.secrets()
    }

    async fn connect(&self) -> Result<(Commands, PubSub), Fault> {
        let (commands, mut listener) = self.target.connect().await?;
        let channels = [&self.words, &self.own];
        match timeout(RESPONSE, listener.subscribe(&channels[..])).await {
            Ok(done) => done?,
            Err(_) => return Err(Fault::Silence("subscribed")),
        }
        Ok((commands, listener))
    }

    async fn listen(&self, listener: PubSub) -> Fault {
        // Both halves have to live: the connection ends with either.
        let (_sink, mut words) = listener.split();
        while let Some(word) = words.next().await {
            if word.get_channel_name() == self.own {
                self.line.hear_own(word.get_payload_bytes());
            } else {
                self.line.hear(word.get_payload_bytes());
            }
        }
        Fault::Ended
    }

    async fn prove(&self, link: &Link<Commands>) -> Result<(), Fault> {
        let suspect = self.suspect().clone();
        let mut write = redis::pipe();
        // A write that changes nothing, which a replica refuses nevertheless.
        let key = suspect.as_ref().unwrap_or(&self.probe);
        write.cmd("SETRANGE").arg(key).arg(0).arg("").ignore();
        match link.commands.clone().run(write).await {
            Err(fault) if !is_out_of_memory(&fault) => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        self.suspect()
            .take_if(|now| Some(&*now) == suspect.as_ref());
        Ok(())
    }

    /// Every key expires by itself.
    async fn tidy(&self, _: Commands) -> Result<(), Fault> {
        Ok(())
    }

    async fn say(&self, commands: Commands, number: u64) -> Result<(), Fault> {
        publish(commands, &self.own, &number.to_string()).await
    }

    async fn tell(&self, commands: Commands, change: &Change, number: u64) -> Result<(), Fault> {
        let id = format!("{}-{number}", self.line.replica());
        publish(commands, &self.words, &message::write(change, &id)).await
    }
}

async fn publish(commands: Commands, channel: &str, word: &str) -> Result<(), Fault> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("PUBLISH").arg(channel).arg(word).ignore();
    commands.run(pipeline).await
}
