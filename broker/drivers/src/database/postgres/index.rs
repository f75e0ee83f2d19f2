//! Reading everything the broker keeps in memory, in one snapshot.

use futures::TryStreamExt;
use package_broker_core::{
    domain::names::{PackageName, RepositoryName},
    ports::database::{Delta, Held, Index, Published, Revision},
};
use sqlx::{Row, postgres::PgRow};

use super::{Connection, Postgres, clock, fault::Fault, rows};

/// Every statement sees the same state.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Postgres {
    pub(super) async fn read_index(&self) -> Result<Index, Fault> {
        let mut snapshot = self.pool.begin_with(SNAPSHOT).await?;
        let held = held(&mut snapshot).await?;
        let published = published(&mut snapshot).await?;
        let clock = clock::read(&mut *snapshot).await?;
        snapshot.commit().await?;
        Ok(Index {
            revision: clock.revisions.packages,
            held,
            published,
            absent: clock.absent,
        })
    }

    pub(super) async fn read_delta(&self, seen: Revision) -> Result<Delta, Fault> {
        let mut snapshot = self.pool.begin_with(SNAPSHOT).await?;
        let changed = sqlx::query("SELECT package FROM changed WHERE revision > $1")
            .bind(seen)
            .fetch_all(&mut *snapshot)
            .await?;
        let packages: Vec<PackageName> = changed
            .iter()
            .map(|row| rows::package(row, 0))
            .collect::<Result<_, _>>()?;
        let names: Vec<_> = packages.iter().map(PackageName::as_str).collect();
        let held = sqlx::query(
            "SELECT repository, package, versions, skipped FROM packages \
             JOIN unnest($1::text[]) AS wanted (package) USING (package)",
        )
        .bind(&names)
        .fetch_all(&mut *snapshot)
        .await?;
        let published = sqlx::query(
            "SELECT package, owner, stable_stamp, dev_stamp, description, kind, abandoned FROM published \
             WHERE owner IS NOT NULL AND package = ANY ($1)",
        )
        .bind(&names)
        .fetch_all(&mut *snapshot)
        .await?;
        let clock = clock::read(&mut *snapshot).await?;
        snapshot.commit().await?;
        Ok(Delta {
            revision: clock.revisions.packages,
            packages,
            held: held
                .iter()
                .map(|row| held_row(row, rows::repository(row, 0)?))
                .collect::<Result<_, _>>()?,
            published: published
                .iter()
                .map(published_row)
                .collect::<Result<_, _>>()?,
            absent: clock.absent,
        })
    }
}

async fn held(connection: &mut Connection) -> Result<Vec<Held>, Fault> {
    let query = "SELECT repository, package, versions, skipped FROM packages \
                 ORDER BY repository, package";
    let mut stream = sqlx::query(query).fetch(connection);
    let mut held: Vec<Held> = Vec::new();
    while let Some(row) = stream.try_next().await? {
        // Rows come by repository, so one allocation of its name serves all its packages.
        let name: &str = row.try_get(0)?;
        let last = held
            .last()
            .map(|last| &last.repository)
            .filter(|last| last.as_str() == name);
        let repository = last.cloned().unwrap_or_else(|| RepositoryName::new(name));
        held.push(held_row(&row, repository)?);
    }
    held.shrink_to_fit();
    Ok(held)
}

async fn published(connection: &mut Connection) -> Result<Vec<Published>, Fault> {
    let query = "SELECT package, owner, stable_stamp, dev_stamp, description, kind, abandoned FROM published \
                 WHERE owner IS NOT NULL ORDER BY package";
    let mut stream = sqlx::query(query).fetch(connection);
    let mut published = Vec::new();
    while let Some(row) = stream.try_next().await? {
        published.push(published_row(&row)?);
    }
    published.shrink_to_fit();
    Ok(published)
}

fn held_row(row: &PgRow, repository: RepositoryName) -> Result<Held, Fault> {
    Ok(Held {
        repository,
        package: rows::package(row, 1)?,
        versions: rows::number(row, 2)?,
        skipped: rows::number(row, 3)?,
    })
}

fn published_row(row: &PgRow) -> Result<Published, Fault> {
    Ok(Published {
        package: rows::package(row, 0)?,
        owner: rows::repository(row, 1)?,
        stable: rows::stamp(row, 2)?,
        dev: rows::stamp(row, 3)?,
        description: row.try_get(4)?,
        kind: row.try_get(5)?,
        abandoned: row.try_get(6)?,
    })
}
