//! A package file for one asker: from memory as a rule, from the database or a lazy source where it must be.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use thiserror::Error;

use super::{
    catalog::{Catalog, Dated, Demand, Entry},
    documents::{Document, Documents},
    token::Grant,
};
use crate::{
    domain::{metadata::Channel, names::PackageName},
    ports::database::{Database, DatabaseError, Encoding},
    sync::SyncService,
    telemetry::Telemetry,
};

/// What to tell a client about a name.
#[derive(Debug)]
pub enum Answer {
    /// The package's document.
    Document {
        /// Its `Last-Modified` for this asker.
        dated: Dated,
        /// Its compressed bytes.
        bytes: Bytes,
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
    fn soon(message: impl Into<String>) -> Self {
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
    telemetry: Arc<Telemetry>,
}

impl PackageService {
    /// A service over the shared memory.
    pub fn new(
        database: Arc<dyn Database>,
        catalog: Arc<Catalog>,
        documents: Arc<Documents>,
        syncs: Arc<SyncService>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            database,
            catalog,
            documents,
            syncs,
            telemetry,
        }
    }

    /// The document of a lower-case name as the asker may see it.
    ///
    /// # Errors
    /// [`CannotTell`] if a source or the database that would know does not answer.
    pub async fn document(
        &self,
        grant: &Grant,
        name: &str,
        channel: Channel,
        encoding: Encoding,
    ) -> Result<Answer, CannotTell> {
        if !grant.scope.covers_name(name) {
            return Ok(self.nothing(grant, name));
        }
        let Some(entry) = self.resolve(grant, name).await? else {
            return Ok(self.nothing(grant, name));
        };
        if !grant.scope.covers_repository(&entry.published.owner) {
            return Ok(self.nothing(grant, name));
        }
        let document = self.load(&entry, channel, encoding).await?;
        Ok(Answer::Document {
            dated: grant.dated(&document.dated).clone(),
            bytes: document.bytes.clone(),
        })
    }

    /// The entry of a name once every repository that would own it before has been asked.
    pub(crate) async fn resolve(
        &self,
        grant: &Grant,
        name: &str,
    ) -> Result<Option<Arc<Entry>>, CannotTell> {
        let known = self.catalog.find(name);
        let to_ask = self
            .catalog
            .to_ask(name, known.as_ref().map(|entry| &entry.published.owner));
        if to_ask.is_empty() {
            return Ok(known);
        }
        let Ok(package) = PackageName::parse(name) else {
            return Ok(known);
        };
        for (repository, demand) in to_ask {
            // What the asker may not see must not show in how long an answer takes or in whether it fails.
            if known.is_none() && !grant.scope.covers_repository(&repository.name) {
                continue;
            }
            match demand {
                Demand::Ask => {
                    if self
                        .syncs
                        .read_on_demand(&repository, &package)
                        .await
                        .map_err(|e| cannot_read(&package, &e))?
                    {
                        return Ok(self.catalog.find(name));
                    }
                }
                Demand::Unknown if known.is_some() && repository.filter.include.is_empty() => {}
                Demand::Wait | Demand::Unknown => {
                    return Err(CannotTell::soon(format!(
                        "a repository that may have {package} has not been read yet; try again in a moment"
                    )));
                }
            }
        }
        Ok(known)
    }

    /// What an asker is told of a name that is absent, or that they may not see: one answer for both.
    fn nothing(&self, grant: &Grant, name: &str) -> Answer {
        if self.catalog.installation().claimed(name) {
            Answer::Empty {
                dated: grant.dated(&self.catalog.absent()).clone(),
            }
        } else {
            Answer::Missing
        }
    }

    async fn load(
        &self,
        entry: &Entry,
        channel: Channel,
        encoding: Encoding,
    ) -> Result<Arc<Document>, CannotTell> {
        let key = (entry.published.package.clone(), channel, encoding);
        if let Some(document) = self.documents.get(&key, entry.dated(channel)) {
            self.telemetry.document_hits.increment();
            return Ok(document);
        }
        self.telemetry.document_misses.increment();
        let Some(stored) = self.database.document(&key.0, channel, encoding).await? else {
            return Err(CannotTell::soon(format!(
                "{} is just being changed; try again in a moment",
                key.0
            )));
        };
        let document = Arc::new(Document {
            dated: stored.stamp.into(),
            bytes: stored.bytes,
        });
        self.documents.insert(key, Arc::clone(&document));
        Ok(document)
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
