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

use super::{super::content, Sqlite, fault::Fault, rows};

#[async_trait]
impl PackageStore for Sqlite {
    async fn index(&self) -> Result<Index, DatabaseError> {
        self.read_index()
            .await
            .map_err(self.explain("read the index of packages"))
    }

    async fn versions(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Option<PackageVersions>, DatabaseError> {
        self.read_versions(repository, package)
            .await
            .map_err(self.explain("read a package"))
    }

    async fn document(
        &self,
        package: &PackageName,
        channel: Channel,
        encoding: Encoding,
    ) -> Result<Option<StoredDocument>, DatabaseError> {
        self.read_document(package, channel, encoding)
            .await
            .map_err(self.explain("read a document"))
    }

    async fn apply(&self, changes: &Changes, now: Stamp) -> Result<Applied, DatabaseError> {
        self.apply_changes(changes, now)
            .await
            .map_err(self.explain("write packages"))
    }

    async fn validators(
        &self,
        repository: &RepositoryName,
    ) -> Result<HashMap<PackageName, String>, DatabaseError> {
        self.read_validators(repository)
            .await
            .map_err(self.explain("read what sources said of packages"))
    }

    async fn revisions(&self) -> Result<Revisions, DatabaseError> {
        self.read_revisions()
            .await
            .map_err(self.explain("read the revisions"))
    }

    async fn changed_since(&self, seen: Revision) -> Result<Delta, DatabaseError> {
        self.read_delta(seen)
            .await
            .map_err(self.explain("read what changed"))
    }

    async fn root_stamp(
        &self,
        view: &[u8; 32],
        digest: &[u8; 32],
        now: Stamp,
    ) -> Result<Stamp, DatabaseError> {
        self.stamp_root(view, digest, now)
            .await
            .map_err(self.explain("stamp a root file"))
    }
}

impl Sqlite {
    async fn read_versions(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Option<PackageVersions>, Fault> {
        let query = "SELECT content FROM package_contents WHERE repository = ?1 AND package = ?2";
        let content: Option<Vec<u8>> = sqlx::query_scalar(query)
            .bind(repository.as_str())
            .bind(package.as_str())
            .fetch_optional(&self.readers)
            .await?;
        let Some(content) = content else {
            return Ok(None);
        };
        Ok(Some(content::decode(repository, package, content).await?))
    }

    async fn read_validators(
        &self,
        repository: &RepositoryName,
    ) -> Result<HashMap<PackageName, String>, Fault> {
        let query = "SELECT package, validator FROM packages WHERE repository = ?1 AND validator IS NOT NULL";
        let mut found = sqlx::query(query)
            .bind(repository.as_str())
            .fetch(&self.readers);
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
                "SELECT iif(channel = 'stable', stable_stamp, dev_stamp), gzip FROM documents \
                 JOIN published USING (package) WHERE package = ?1 AND channel = ?2"
            }
            Encoding::Zstd => {
                "SELECT iif(channel = 'stable', stable_stamp, dev_stamp), zstd FROM documents \
                 JOIN published USING (package) WHERE package = ?1 AND channel = ?2"
            }
        };
        let row = sqlx::query(query)
            .bind(package.as_str())
            .bind(channel.as_str())
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let bytes: Vec<u8> = row.try_get(1)?;
        Ok(Some(StoredDocument {
            stamp: rows::stamp(&row, 0)?,
            bytes: bytes.into(),
        }))
    }
}
