//! Archives in storage, as the database knows them.

use std::fmt::Display;

use async_trait::async_trait;
use package_broker_core::{
    domain::{
        archive::{Archive, ArchiveFormat, ArchiveKey, BlobId},
        names::{PackageName, RepositoryName},
    },
    ports::database::{ArchiveStore, DatabaseError},
};
use sqlx::{Row, postgres::PgRow};

use super::{Postgres, fault::Fault, rows};

#[async_trait]
impl ArchiveStore for Postgres {
    async fn archives(&self, key: &ArchiveKey) -> Result<Vec<Archive>, DatabaseError> {
        self.run("look up an archive", self.read_archives(key))
            .await
    }

    async fn archives_of(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Vec<Archive>, DatabaseError> {
        let read = self.read_archives_of(repository, package);
        self.run("look up a package's archives", read).await
    }

    async fn has_archives(&self, repository: &RepositoryName) -> Result<bool, DatabaseError> {
        let query =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM archives WHERE repository = $1)")
                .bind(repository.as_str());
        let look = async { Ok(query.fetch_one(&self.pool).await?) };
        self.run("look for archives of a repository", look).await
    }

    async fn add_archive(&self, archive: &Archive) -> Result<Archive, DatabaseError> {
        self.run("record an archive", self.write_archive(archive))
            .await
    }
}

impl Postgres {
    async fn read_archives(&self, key: &ArchiveKey) -> Result<Vec<Archive>, Fault> {
        // An address comes from a client and may hold what PostgreSQL's text cannot.
        if key.version.contains('\0') || key.reference.contains('\0') {
            return Ok(Vec::new());
        }
        let found = sqlx::query(
            "SELECT package, version, reference, repository, format, blob, sha1, size FROM archives \
             WHERE package = $1 AND version = $2 AND reference = $3 ORDER BY repository, format",
        )
        .bind(key.package.as_str())
        .bind(key.version.as_str())
        .bind(key.reference.as_str())
        .fetch_all(&self.pool)
        .await?;
        found.iter().map(archive).collect()
    }

    async fn read_archives_of(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Vec<Archive>, Fault> {
        let found = sqlx::query(
            "SELECT package, version, reference, repository, format, blob, sha1, size FROM archives \
             WHERE package = $1 AND repository = $2 ORDER BY version, reference",
        )
        .bind(package.as_str())
        .bind(repository.as_str())
        .fetch_all(&self.pool)
        .await?;
        found.iter().map(archive).collect()
    }

    async fn write_archive(&self, new: &Archive) -> Result<Archive, Fault> {
        let size = i64::try_from(new.size)
            .map_err(|error| Fault::corrupt("the size of an archive", &error))?;
        let done = sqlx::query(
            "INSERT INTO archives (package, version, reference, repository, format, blob, sha1, size) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(new.key.package.as_str())
        .bind(new.key.version.as_str())
        .bind(new.key.reference.as_str())
        .bind(new.repository.as_str())
        .bind(new.format.extension())
        .bind(new.blob.0.as_slice())
        .bind(new.sha1.as_str())
        .bind(size)
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 1 {
            return Ok(new.clone());
        }
        let there = self.read_archives(&new.key).await?;
        let first = there
            .into_iter()
            .find(|archive| archive.repository == new.repository && archive.format == new.format);
        first.ok_or_else(|| {
            Fault::corrupt(
                format!("an archive of {}", new.key.package),
                &"it is there and is not",
            )
        })
    }
}

fn archive(row: &PgRow) -> Result<Archive, Fault> {
    let package = rows::package(row, 0)?;
    let corrupt = |what: &str, problem: &dyn Display| {
        Fault::corrupt(format!("the {what} of an archive of {package}"), problem)
    };
    let extension: &str = row.try_get(4)?;
    let format = ArchiveFormat::split_name(extension)
        .ok_or_else(|| corrupt("format", &extension))?
        .1;
    let size = u64::try_from(row.try_get::<i64, _>(7)?).map_err(|error| corrupt("size", &error))?;
    Ok(Archive {
        repository: rows::repository(row, 3)?,
        format,
        blob: BlobId(rows::digest(row, 5)?),
        sha1: row.try_get(6)?,
        size,
        key: ArchiveKey {
            version: row.try_get(1)?,
            reference: row.try_get(2)?,
            package,
        },
    })
}
