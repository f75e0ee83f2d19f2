//! What is published, and under which stamps.

use std::collections::HashMap;

use package_broker_core::{
    domain::{
        metadata::Channel,
        names::{PackageName, RepositoryName},
        stamp::{Stamp, StampClock},
    },
    ports::database::{Applied, Changes, DocumentBytes, Publication, Published},
};
use sqlx::{QueryBuilder, Row, SqliteConnection, sqlite::SqliteRow};

use super::{apply::ROWS, clock::Clock, fault::Fault, rows};

/// How a name stood before the changes.
struct Standing {
    /// `None` once it is withdrawn: then its digests count no more.
    owner: Option<RepositoryName>,
    stable: Document,
    dev: Document,
}

#[derive(Clone, Copy)]
struct Document {
    stamp: Stamp,
    digest: [u8; 32],
}

/// Publishes and withdraws names: gives each changed document its stamp, and moves `absent` if a served name
/// disappears or gets another owner.
pub(super) async fn publish(
    connection: &mut SqliteConnection,
    changes: &Changes,
    now: Stamp,
) -> Result<Applied, Fault> {
    let mut clock = Clock::load(connection).await?;
    if changes.publish.is_empty() && changes.withdraw.is_empty() {
        return Ok(Applied {
            published: Vec::new(),
            absent: clock.absent,
        });
    }
    let mut standing = standing(connection, changes).await?;
    let mut lost = false;
    for package in &changes.withdraw {
        lost |= standing
            .get_mut(package)
            .and_then(|before| before.owner.take())
            .is_some();
    }
    let stamped: Vec<Stamped<'_>> = changes
        .publish
        .iter()
        .map(|publication| {
            Stamped::new(
                publication,
                standing.get(&publication.package),
                &mut clock.stamps,
                now,
            )
        })
        .collect();
    lost |= stamped.iter().any(|stamped| stamped.changes_owner);
    if lost {
        clock.absent = clock.stamps.next_unique(now);
    }
    withdraw(connection, &changes.withdraw).await?;
    write_published(connection, &stamped).await?;
    write_documents(connection, &stamped).await?;
    clock.save(connection).await?;
    Ok(Applied {
        published: stamped.iter().map(Stamped::published).collect(),
        absent: clock.absent,
    })
}

async fn standing(
    connection: &mut SqliteConnection,
    changes: &Changes,
) -> Result<HashMap<PackageName, Standing>, Fault> {
    let names = changes
        .publish
        .iter()
        .map(|publication| &publication.package)
        .chain(&changes.withdraw);
    let found = sqlx::query(
        "SELECT package, owner, stable_stamp, stable_digest, dev_stamp, dev_digest FROM published \
         WHERE package IN (SELECT value FROM json_each(?1))",
    )
    .bind(json_list(names))
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

/// A publication with the stamps it gets.
struct Stamped<'a> {
    publication: &'a Publication,
    stable: Dated<'a>,
    dev: Dated<'a>,
    changes_owner: bool,
}

struct Dated<'a> {
    document: &'a DocumentBytes,
    stamp: Stamp,
    /// Whether the stored bytes are others.
    changed: bool,
}

impl<'a> Stamped<'a> {
    fn new(
        publication: &'a Publication,
        before: Option<&Standing>,
        clock: &mut StampClock,
        now: Stamp,
    ) -> Self {
        let owner = before.and_then(|before| before.owner.as_ref());
        let mut date = |document: &'a DocumentBytes, before: Option<Document>| {
            let kept = before.filter(|before| owner.is_some() && before.digest == document.digest);
            let stamp = kept.map_or_else(
                || clock.next_document(now, before.map(|before| before.stamp)),
                |before| before.stamp,
            );
            Dated {
                document,
                stamp,
                changed: kept.is_none(),
            }
        };
        Self {
            publication,
            stable: date(&publication.stable, before.map(|before| before.stable)),
            dev: date(&publication.dev, before.map(|before| before.dev)),
            changes_owner: owner.is_some_and(|owner| *owner != publication.owner),
        }
    }

    fn documents(&self) -> [(&PackageName, Channel, &Dated<'a>); 2] {
        let package = &self.publication.package;
        [
            (package, Channel::Stable, &self.stable),
            (package, Channel::Dev, &self.dev),
        ]
    }

    fn published(&self) -> Published {
        Published {
            package: self.publication.package.clone(),
            owner: self.publication.owner.clone(),
            stable: self.stable.stamp,
            dev: self.dev.stamp,
            description: self.publication.description.clone(),
            kind: self.publication.kind.clone(),
            abandoned: self.publication.abandoned.clone(),
        }
    }
}

async fn withdraw(
    connection: &mut SqliteConnection,
    packages: &[PackageName],
) -> Result<(), Fault> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = json_list(packages.iter());
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

async fn write_documents(
    connection: &mut SqliteConnection,
    stamped: &[Stamped<'_>],
) -> Result<(), Fault> {
    let changed: Vec<_> = stamped
        .iter()
        .flat_map(Stamped::documents)
        .filter(|(_, _, dated)| dated.changed)
        .collect();
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

/// Names as one parameter, for `json_each`: any number of them with one prepared statement.
fn json_list<'a>(names: impl Iterator<Item = &'a PackageName>) -> String {
    serde_json::json!(names.map(PackageName::as_str).collect::<Vec<_>>()).to_string()
}
