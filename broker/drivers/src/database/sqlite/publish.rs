//! What is published, and under which stamps.

use std::collections::HashMap;

use package_broker_core::{
    domain::{
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{Applied, Changes},
};
use sqlx::{QueryBuilder, Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    super::publication::{Clock, Document, Plan, Stamped, Standing},
    apply::{ROWS, json_list},
    clock,
    fault::Fault,
    rows,
};

/// Publishes and withdraws names, and makes the next revision.
pub(super) async fn publish(
    connection: &mut SqliteConnection,
    changes: &Changes,
    clock: Clock,
    now: Stamp,
) -> Result<Applied, Fault> {
    let standing = standing(connection, changes).await?;
    let plan = Plan::new(changes, standing, clock, now);
    withdraw(connection, &changes.withdraw).await?;
    write_published(connection, &plan.stamped).await?;
    write_documents(connection, &plan).await?;
    clock::save(plan.clock, connection).await?;
    Ok(plan.applied())
}

async fn standing(
    connection: &mut SqliteConnection,
    changes: &Changes,
) -> Result<HashMap<PackageName, Standing>, Fault> {
    let names = changes
        .publish
        .iter()
        .map(|publication| &publication.package)
        .chain(&changes.withdraw)
        .map(PackageName::as_str);
    let found = sqlx::query(
        "SELECT package, owner, stable_stamp, stable_digest, dev_stamp, dev_digest FROM published \
         WHERE package IN (SELECT value FROM json_each(?1))",
    )
    .bind(json_list(&names.collect::<Vec<_>>()))
    .fetch_all(connection)
    .await?;
    found.iter().map(standing_row).collect()
}

fn standing_row(row: &SqliteRow) -> Result<(PackageName, Standing), Fault> {
    let owner: Option<&str> = row.try_get(1)?;
    let stable = Document {
        stamp: rows::stamp(row, 2)?,
        digest: rows::digest(row, 3)?,
    };
    let dev = Document {
        stamp: rows::stamp(row, 4)?,
        digest: rows::digest(row, 5)?,
    };
    Ok((
        rows::package(row, 0)?,
        Standing {
            owner: owner.map(RepositoryName::new),
            stable,
            dev,
        },
    ))
}

async fn withdraw(
    connection: &mut SqliteConnection,
    packages: &[PackageName],
) -> Result<(), Fault> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = json_list(&packages.iter().map(PackageName::as_str).collect::<Vec<_>>());
    for statement in [
        "UPDATE published SET owner = NULL WHERE package IN (SELECT value FROM json_each(?1))",
        "DELETE FROM documents WHERE package IN (SELECT value FROM json_each(?1))",
    ] {
        sqlx::query(statement)
            .bind(names.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn write_published(
    connection: &mut SqliteConnection,
    stamped: &[Stamped<'_>],
) -> Result<(), Fault> {
    for chunk in stamped.chunks(ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO published (package, owner, stable_stamp, stable_digest, dev_stamp, dev_digest, \
             description, kind, abandoned) ",
        );
        insert.push_values(
            chunk,
            |mut row,
             Stamped {
                 publication,
                 stable,
                 dev,
                 ..
             }| {
                row.push_bind(publication.package.as_str())
                    .push_bind(publication.owner.as_str());
                row.push_bind(stable.stamp.0)
                    .push_bind(stable.document.digest.as_slice());
                row.push_bind(dev.stamp.0)
                    .push_bind(dev.document.digest.as_slice());
                row.push_bind(publication.description.as_str());
                row.push_bind(publication.kind.as_str())
                    .push_bind(publication.abandoned.as_str());
            },
        );
        insert.push(
            " ON CONFLICT DO UPDATE SET owner = excluded.owner, stable_stamp = excluded.stable_stamp, \
             stable_digest = excluded.stable_digest, dev_stamp = excluded.dev_stamp, \
             dev_digest = excluded.dev_digest, description = excluded.description, kind = excluded.kind, \
             abandoned = excluded.abandoned",
        );
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_documents(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<(), Fault> {
    let changed: Vec<_> = plan.changed().collect();
    for chunk in changed.chunks(ROWS) {
        let mut insert = QueryBuilder::new("INSERT INTO documents (package, channel, gzip, zstd) ");
        insert.push_values(chunk, |mut row, (package, channel, dated)| {
            row.push_bind(package.as_str()).push_bind(channel.as_str());
            row.push_bind(&*dated.document.gzip)
                .push_bind(&*dated.document.zstd);
        });
        insert.push(" ON CONFLICT DO UPDATE SET gzip = excluded.gzip, zstd = excluded.zstd");
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}
