//! What running brokers say of themselves: the answers of their `/status`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;

/// How long a broker may take to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 32 << 20;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Live {
    pub(crate) version: String,
    /// What is wrong with what the broker was given.
    pub(crate) manifests: Option<String>,
    /// How it stands with the servers beside its database.
    pub(crate) servers: Option<LiveServers>,
    #[serde(deserialize_with = "by_name")]
    pub(crate) repositories: HashMap<String, LiveRepository>,
    #[serde(deserialize_with = "by_name")]
    pub(crate) access_tokens: HashMap<String, LiveToken>,
}

/// The servers beside a broker's database.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct LiveServers {
    pub(crate) storage: Part,
    pub(crate) cache: Part,
}

/// Whether a part of an installation can be used.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Part {
    pub(crate) error: Option<String>,
}

/// A repository as it is in force.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveRepository {
    pub(crate) name: String,
    pub(crate) generation: Option<i64>,
    pub(crate) packages: i32,
    pub(crate) versions: i64,
    #[serde(default, deserialize_with = "number")]
    pub(crate) skipped: usize,
    pub(crate) last_sync: Option<LastSync>,
    pub(crate) handled_sync_request: Option<String>,
    /// How its syncs are run, where they are Jobs.
    #[serde(skip)]
    pub(crate) jobs: Option<LiveJobs>,
}

/// The sync Jobs of a repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LiveJobs {
    /// The last one.
    pub(crate) last: Option<String>,
    /// Whether it is running.
    pub(crate) is_running: bool,
    /// When the next one is due.
    pub(crate) next: Option<Timestamp>,
    /// Failures in a row.
    pub(crate) failures: u32,
}

/// How many there are in a list.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    Ok(Vec::<serde::de::IgnoredAny>::deserialize(deserializer)?.len())
}

/// How the last sync went.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct LastSync {
    pub(crate) started: Timestamp,
    pub(crate) error: Option<String>,
    pub(crate) lasting: bool,
    pub(crate) revision: Option<String>,
}

/// A token that is taken.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct LiveToken {
    pub(crate) name: String,
    pub(crate) generation: Option<i64>,
    pub(crate) fingerprint: String,
}

/// Something that has a name.
pub(crate) trait Named {
    fn name(&self) -> &str;
}

impl Named for LiveRepository {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for LiveToken {
    fn name(&self) -> &str {
        &self.name
    }
}

/// A list by name.
pub(crate) fn named<T: Named>(list: impl IntoIterator<Item = T>) -> HashMap<String, T> {
    let list = list.into_iter();
    list.map(|one| (one.name().to_owned(), one)).collect()
}

fn by_name<'de, D, T>(deserializer: D) -> Result<HashMap<String, T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Named,
{
    Ok(named(Vec::<T>::deserialize(deserializer)?))
}

impl Live {
    /// What it says of a repository.
    pub(crate) fn repository(&self, name: &str) -> Option<&LiveRepository> {
        self.repositories.get(name)
    }

    /// What it says of a token.
    pub(crate) fn token(&self, name: &str) -> Option<&LiveToken> {
        self.access_tokens.get(name)
    }
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the broker does not answer")]
    Unreachable(#[source] reqwest::Error),
    #[error("the broker's answer is not what it should be: {0}")]
    Unreadable(String),
}

/// The last answers, by namespace and name of the broker.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    client: reqwest::Client,
    last: Mutex<HashMap<(String, String), Arc<Live>>>,
}

impl Answers {
    pub(crate) fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            last: Mutex::default(),
        }
    }

    /// The last answer of a broker.
    pub(crate) fn last(&self, namespace: &str, name: &str) -> Option<Arc<Live>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Asks a broker. Also what its last answer was before.
    pub(crate) async fn ask(
        &self,
        namespace: &str,
        name: &str,
        url: &str,
    ) -> Result<(Arc<Live>, Option<Arc<Live>>), AskError> {
        let live = Arc::new(self.fetch(url).await?);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        let before = last.insert(key, Arc::clone(&live));
        Ok((live, before))
    }

    /// Notes what is known of a broker without asking it. Returns what was known before, and what is now: several may note
    /// something else of one broker at once.
    pub(crate) fn change(
        &self,
        (namespace, name): (&str, &str),
        change: impl FnOnce(&mut Live),
    ) -> (Arc<Live>, Arc<Live>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        let known = last.entry(key).or_default();
        let before = Arc::clone(known);
        change(Arc::make_mut(known));
        (before, Arc::clone(known))
    }

    /// Asks a broker for its release and its servers; what it says of the rest is known.
    pub(crate) async fn ask_itself(
        &self,
        url: &str,
    ) -> Result<(String, Option<LiveServers>), AskError> {
        let live = self.fetch(url).await?;
        Ok((live.version, live.servers))
    }

    /// A broker that is gone says nothing any more.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.remove(&(namespace.to_owned(), name.to_owned()));
    }

    async fn fetch(&self, url: &str) -> Result<Live, AskError> {
        let asked = self.client.get(url).timeout(LIMIT).send().await;
        let answer = asked.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(AskError::Unreachable)?;
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(AskError::Unreachable)? {
            text.extend(chunk);
            if text.len() > LARGEST {
                return Err(AskError::Unreadable("it is larger than 32 MiB".to_owned()));
            }
        }
        serde_json::from_slice(&text).map_err(|error| AskError::Unreadable(error.to_string()))
    }
}
