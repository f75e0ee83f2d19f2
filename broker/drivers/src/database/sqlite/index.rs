//! Reading everything the broker keeps in memory, in one snapshot.

use futures::TryStreamExt;
use package_broker_core::{
    domain::names::RepositoryName,
    ports::database::{Held, Index, Published},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{Sqlite, clock, fault::Fault, rows};

impl Sqlite {
    pub(super) async fn read_index(&self) -> Result<Index, Fault> {
        let mut snapshot = self.readers.begin().await?;
        let held = held(&mut snapshot).await?;
        let published = published(&mut snapshot).await?;
        let absent = clock::load(&mut snapshot).await?.absent;
        snapshot.commit().await?;
        Ok(Index {
            held,
            published,
            absent,
        })
    }
}

async fn held(connection: &mut SqliteConnection) -> Result<Vec<Held>, Fault> {
    let query = "SELECT repository, package, validator, versions, skipped FROM packages \
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
        held.push(Held {
            repository,
            package: rows::package(&row, 1)?,
            validator: row.try_get(2)?,
            versions: row.try_get(3)?,
            skipped: row.try_get(4)?,
        });
    }
    held.shrink_to_fit();
    Ok(held)
}

async fn published(connection: &mut SqliteConnection) -> Result<Vec<Published>, Fault> {
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

fn published_row(row: &SqliteRow) -> Result<Published, Fault> {
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
