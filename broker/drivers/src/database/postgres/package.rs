//! Packages: the port's methods, and reading them.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::TryStreamExt;
use package_broker_core::{
    domain::{
        metadata::{Channel, PackageVersions},
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{
        Applied, Changes, DatabaseError, Delta, Encoding, Index, PackageStore, Revision, Revisions,
        StoredDocument,
    },
};
use sqlx::Row;

use super::{super::content, Postgres, clock, fault::Fault, rows};

#[async_trait]
impl PackageStore for Postgres {
    async fn index(&self) -> Result<Index, DatabaseError> {
        self.run("read the index of packages", self.read_index())
            .await
    }

    async fn versions(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Option<PackageVersions>, DatabaseError> {
        self.run("read a package", self.read_versions(repository, package))
            .await
    }

    async fn document(
        &self,
        package: &PackageName,
        channel: Channel,
        encoding: Encoding,
    ) -> Result<Option<StoredDocument>, DatabaseError> {
        let read = self.read_document(package, channel, encoding);
        self.run("read a document", read).await
    }

    async fn apply(&self, changes: &Changes, now: Stamp) -> Result<Applied, DatabaseError> {
        self.run("write packages", self.apply_changes(changes, now))
            .await
    }

    async fn validators(
        &self,
        repository: &RepositoryName,
    ) -> Result<HashMap<PackageName, String>, DatabaseError> {
        let read = self.read_validators(repository);
        self.run("read what sources said of packages", read).await
    }

    async fn revisions(&self) -> Result<Revisions, DatabaseError> {
        let read = async { Ok(clock::read(&self.pool).await?.revisions) };
        self.run("read the revisions", read).await
    }

    async fn changed_since(&self, seen: Revision) -> Result<Delta, DatabaseError> {
        self.run("read what changed", self.read_delta(seen)).await
    }

    async fn root_stamp(
        &self,
        view: &[u8; 32],
        digest: &[u8; 32],
        now: Stamp,
    ) -> Result<Stamp, DatabaseError> {
        self.run("date a root file", self.stamp_root(view, digest, now))
            .await
    }
}

impl Postgres {
    async fn read_versions(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Option<PackageVersions>, Fault> {
        let query = "SELECT content FROM package_contents WHERE repository = $1 AND package = $2";
        let content: Option<Vec<u8>> = sqlx::query_scalar(query)
            .bind(repository.as_str())
            .bind(package.as_str())
            .fetch_optional(&self.pool)
            .await?;
        match content {
            Some(content) => Ok(Some(content::decode(repository, package, content).await?)),
            None => Ok(None),
        }
    }

    async fn read_validators(
        &self,
        repository: &RepositoryName,
    ) -> Result<HashMap<PackageName, String>, Fault> {
        let query = "SELECT package, validator FROM packages WHERE repository = $1 AND validator IS NOT NULL";
        let mut found = sqlx::query(query)
            .bind(repository.as_str())
            .fetch(&self.pool);
        let mut validators = HashMap::new();
        while let Some(row) = found.try_next().await? {
            validators.insert(rows::package(&row, 0)?, row.try_get(1)?);
        }
        Ok(validators)
    }

    async fn read_document(
        &self,
        package: &PackageName,
        channel: Channel,
        encoding: Encoding,
    ) -> Result<Option<StoredDocument>, Fault> {
        // One statement is one snapshot: the stamp always belongs to the bytes.
        let query = match encoding {
            Encoding::Gzip => {
                "SELECT CASE channel WHEN 'stable' THEN stable_stamp ELSE dev_stamp END, gzip FROM documents \
                 JOIN published USING (package) WHERE package = $1 AND channel = $2"
            }
            Encoding::Zstd => {
                "SELECT CASE channel WHEN 'stable' THEN stable_stamp ELSE dev_stamp END, zstd FROM documents \
                 JOIN published USING (package) WHERE package = $1 AND channel = $2"
            }
        };
        let row = sqlx::query(query)
            .bind(package.as_str())
            .bind(channel.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let bytes: Vec<u8> = row.try_get(1)?;
        Ok(Some(StoredDocument {
            stamp: rows::stamp(&row, 0)?,
            bytes: bytes.into(),
        }))
    }
}
