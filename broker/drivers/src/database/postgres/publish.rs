//! What is published, and under which stamps.

use std::collections::HashMap;

use package_broker_core::{
    domain::{
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{Applied, Changes},
};
use sqlx::{Row, postgres::PgRow};

use super::{
    super::publication::{Clock, Document, Plan, Stamped, Standing},
    Connection, clock,
    fault::Fault,
    rows,
};

/// Publishes and withdraws names, and makes the next revision.
pub(super) async fn publish(
    connection: &mut Connection,
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
    connection: &mut Connection,
    changes: &Changes,
) -> Result<HashMap<PackageName, Standing>, Fault> {
    let published = changes
        .publish
        .iter()
        .map(|publication| &publication.package);
    let names: Vec<_> = published
        .chain(&changes.withdraw)
        .map(PackageName::as_str)
        .collect();
    let found = sqlx::query(
        "SELECT package, owner, stable_stamp, stable_digest, dev_stamp, dev_digest FROM published \
         WHERE package = ANY ($1)",
    )
    .bind(names)
    .fetch_all(connection)
    .await?;
    found.iter().map(standing_row).collect()
}

fn standing_row(row: &PgRow) -> Result<(PackageName, Standing), Fault> {
    let owner: Option<&str> = row.try_get(1)?;
    let standing = Standing {
        owner: owner.map(RepositoryName::new),
        stable: Document {
            stamp: rows::stamp(row, 2)?,
            digest: rows::digest(row, 3)?,
        },
        dev: Document {
            stamp: rows::stamp(row, 4)?,
            digest: rows::digest(row, 5)?,
        },
    };
    Ok((rows::package(row, 0)?, standing))
}

async fn withdraw(connection: &mut Connection, packages: &[PackageName]) -> Result<(), Fault> {
    if packages.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = packages.iter().map(PackageName::as_str).collect();
    for statement in [
        "UPDATE published SET owner = NULL WHERE package = ANY ($1)",
        "DELETE FROM documents WHERE package = ANY ($1)",
    ] {
        sqlx::query(statement)
            .bind(&names)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn write_published(
    connection: &mut Connection,
    stamped: &[Stamped<'_>],
) -> Result<(), Fault> {
    if stamped.is_empty() {
        return Ok(());
    }
    let all = || stamped.iter().map(|stamped| stamped.publication);
    let names: Vec<_> = all()
        .map(|publication| publication.package.as_str())
        .collect();
    let owners: Vec<_> = all()
        .map(|publication| publication.owner.as_str())
        .collect();
    let stable_stamps: Vec<_> = stamped.iter().map(|each| each.stable.stamp.0).collect();
    let dev_stamps: Vec<_> = stamped.iter().map(|each| each.dev.stamp.0).collect();
    let stable_digests: Vec<&[u8]> = all().map(|each| &each.stable.digest[..]).collect();
    let dev_digests: Vec<&[u8]> = all().map(|each| &each.dev.digest[..]).collect();
    let descriptions: Vec<_> = all().map(|each| rows::text(&each.description)).collect();
    let kinds: Vec<_> = all().map(|each| rows::text(&each.kind)).collect();
    let abandoned: Vec<_> = all().map(|each| rows::text(&each.abandoned)).collect();
    sqlx::query(
        "INSERT INTO published (package, owner, stable_stamp, stable_digest, dev_stamp, dev_digest, description, \
         kind, abandoned) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[], \
         $6::bytea[], $7::text[], $8::text[], $9::text[]) \
         ON CONFLICT (package) DO UPDATE SET owner = excluded.owner, stable_stamp = excluded.stable_stamp, \
         stable_digest = excluded.stable_digest, dev_stamp = excluded.dev_stamp, dev_digest = excluded.dev_digest, \
         description = excluded.description, kind = excluded.kind, abandoned = excluded.abandoned",
    )
    .bind(names)
    .bind(owners)
    .bind(stable_stamps)
    .bind(stable_digests)
    .bind(dev_stamps)
    .bind(dev_digests)
    .bind(descriptions)
    .bind(kinds)
    .bind(abandoned)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_documents(connection: &mut Connection, plan: &Plan<'_>) -> Result<(), Fault> {
    let names: Vec<_> = plan.changed().map(|(name, _, _)| name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let channels: Vec<_> = plan
        .changed()
        .map(|(_, channel, _)| channel.as_str())
        .collect();
    let gzip: Vec<&[u8]> = plan
        .changed()
        .map(|(_, _, dated)| &dated.document.gzip[..])
        .collect();
    let zstd: Vec<&[u8]> = plan
        .changed()
        .map(|(_, _, dated)| &dated.document.zstd[..])
        .collect();
    sqlx::query(
        "INSERT INTO documents (package, channel, gzip, zstd) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) \
         ON CONFLICT (package, channel) DO UPDATE SET gzip = excluded.gzip, zstd = excluded.zstd",
    )
    .bind(names)
    .bind(channels)
    .bind(gzip)
    .bind(zstd)
    .execute(connection)
    .await?;
    Ok(())
}
