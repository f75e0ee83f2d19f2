//! A package file for one asker: from memory as a rule, from the database or a lazy source where it must be.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use thiserror::Error;

use super::{
    catalog::{Catalog, Dated, Entry, Known},
    documents::{Document, Documents},
    publish::Publisher,
    reach::Demand,
    token::Grant,
};
use crate::{
    domain::{metadata::Channel, names::PackageName},
    ports::database::{Database, DatabaseError, Encoding},
    sync::SyncService,
    telemetry::Telemetry,
};

/// How often a document is looked for that is just being changed.
const LOOKS: u32 = 20;
/// The longest time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What to tell a client about a name.
#[derive(Debug)]
pub enum Answer {
    /// The package's document.
    Document {
        /// Its `Last-Modified` for this asker.
        dated: Dated,
        /// Its compressed bytes.
        bytes: Bytes,
        /// What it is of.
        entry: Arc<Entry>,
    },
    /// The client has this very document.
    Unchanged {
        /// Its `Last-Modified` for this asker.
        dated: Dated,
        /// What it is of.
        entry: Arc<Entry>,
    },
    /// The name is ours and there is nothing for this asker (protocol A.4).
    Empty {
        /// The `Last-Modified` of "nothing" for this asker.
        dated: Dated,
    },
    /// Not in this repository: the client asks the next one.
    Missing,
}

/// We cannot tell: the client must not go on to the next repository (protocol A.0, 4).
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct CannotTell {
    /// For the user.
    pub message: String,
    /// When to ask again.
    pub retry_after: Duration,
}

impl CannotTell {
    pub(crate) fn soon(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry_after: Duration::from_secs(5),
        }
    }
}

impl From<DatabaseError> for CannotTell {
    fn from(error: DatabaseError) -> Self {
        tracing::error!(%error, "a request could not be answered");
        Self::soon("the registry's database does not answer; try again in a moment")
    }
}

/// Answers requests for package files.
pub struct PackageService {
    database: Arc<dyn Database>,
    catalog: Arc<Catalog>,
    documents: Arc<Documents>,
    syncs: Arc<SyncService>,
    publisher: Arc<Publisher>,
    telemetry: Arc<Telemetry>,
}

impl PackageService {
    /// A service over the shared memory.
    pub fn new(
        database: Arc<dyn Database>,
        catalog: Arc<Catalog>,
        documents: Arc<Documents>,
        syncs: Arc<SyncService>,
        publisher: Arc<Publisher>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            database,
            catalog,
            documents,
            syncs,
            publisher,
            telemetry,
        }
    }

    /// The document of a lower-case name as the asker may see it. `since` is the `Last-Modified` that the client
    /// has, if any.
    ///
    /// # Errors
    /// [`CannotTell`] if a source or the database that would know does not answer.
    pub async fn document(
        &self,
        grant: &Grant,
        name: &str,
        channel: Channel,
        encoding: Encoding,
        since: Option<&[u8]>,
    ) -> Result<Answer, CannotTell> {
        if !grant.scope.covers_name(name) {
            return Ok(self.nothing(grant, name));
        }
        for _ in 0..LOOKS {
            let Some(entry) = self.resolve(grant, name).await? else {
                return Ok(self.nothing(grant, name));
            };
            let dated = *grant.dated(entry.dated(channel));
            if dated.is(since) {
                return Ok(Answer::Unchanged { dated, entry });
            }
            if let Some(document) = self.load(&entry, channel, encoding).await? {
                return Ok(Answer::Document {
                    dated,
                    bytes: document.bytes.clone(),
                    entry,
                });
            }
            // It has just been changed: by a writer of this process, who tells the catalog in a moment and may have
            // more to do before it gives way, or by another process.
            let catching_up = tokio::time::timeout(BETWEEN_LOOKS, self.publisher.catch_up());
            if let Ok(caught_up) = catching_up.await {
                caught_up?;
            }
        }
        Err(CannotTell::soon(format!(
            "{name} is just being changed; try again in a moment"
        )))
    }

    /// The entry of a name once every repository that would own it before has been asked; `None` if nobody has it, or
    /// if its owner is not in the asker's scope.
    ///
    /// What the asker may not see shows neither in how long an answer takes nor in whether it fails: a name whose owner
    /// is out of scope is treated as one that nobody has.
    pub(crate) async fn resolve(
        &self,
        grant: &Grant,
        name: &str,
    ) -> Result<Option<Arc<Entry>>, CannotTell> {
        let visible = |entry: &Entry| grant.scope.covers_repository(&entry.published.owner);
        let Known {
            entry: known,
            to_ask,
        } = self.catalog.look_up(name, visible);
        if to_ask.is_empty() {
            return Ok(known);
        }
        let Ok(package) = PackageName::parse(name) else {
            return Ok(known);
        };
        for (repository, demand) in to_ask {
            if known.is_none() && !grant.scope.covers_repository(&repository.name) {
                continue;
            }
            if demand != Demand::Ask {
                return Err(CannotTell::soon(format!(
                    "a repository that may have {package} has not been read yet; try again in a moment"
                )));
            }
            let read = self.syncs.read_on_demand(&repository, &package).await;
            if read.map_err(|error| cannot_read(&package, &error))? {
                return Ok(self.catalog.find(name).filter(|entry| visible(entry)));
            }
        }
        Ok(known)
    }

    /// What an asker is told of a name that is absent, or that they may not see: one answer for both.
    fn nothing(&self, grant: &Grant, name: &str) -> Answer {
        if self
            .catalog
            .in_installation(|installation| installation.claimed(name))
        {
            Answer::Empty {
                dated: *grant.dated(&self.catalog.absent()),
            }
        } else {
            Answer::Missing
        }
    }

    /// The document of an entry; `None` if the database has another one by now.
    async fn load(
        &self,
        entry: &Entry,
        channel: Channel,
        encoding: Encoding,
    ) -> Result<Option<Arc<Document>>, CannotTell> {
        let key = (entry.published.package.clone(), channel, encoding);
        let expected = entry.dated(channel);
        if let Some(document) = self.documents.get(&key, expected) {
            self.telemetry.document_hits.increment();
            return Ok(Some(document));
        }
        self.telemetry.document_misses.increment();
        let stored = self.database.document(&key.0, channel, encoding).await?;
        let Some(stored) = stored.filter(|stored| stored.stamp == expected.stamp) else {
            return Ok(None);
        };
        let document = Arc::new(Document {
            dated: stored.stamp.into(),
            bytes: stored.bytes,
        });
        self.documents.insert(key, Arc::clone(&document));
        Ok(Some(document))
    }
}

fn cannot_read(package: &PackageName, problem: &crate::sync::ReadError) -> CannotTell {
    CannotTell {
        message: format!(
            "{package} cannot be looked up: its upstream repository does not answer; try again later"
        ),
        retry_after: problem
            .retry_after
            .unwrap_or(Duration::from_secs(10))
            .min(Duration::from_mins(1)),
    }
}
