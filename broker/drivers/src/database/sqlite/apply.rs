//! Changes of packages and of what is published of them, in one transaction.

use package_broker_core::{
    domain::{
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{Applied, Changes, PutPackage, Revision},
};
use sqlx::{QueryBuilder, SqliteConnection};

use super::{
    super::{content::compress, publication::names},
    Sqlite, clock,
    fault::Fault,
    publish::publish,
};

/// Rows of one statement: enough to make the way to SQLite's thread small beside them, and far below its bound of
/// 32 766 parameters.
pub(super) const ROWS: usize = 64;

impl Sqlite {
    pub(super) async fn apply_changes(
        &self,
        changes: &Changes,
        now: Stamp,
    ) -> Result<Applied, Fault> {
        let contents = compress(&changes.put).await?;
        let mut transaction = self.write().await?;
        let clock = clock::load(&mut transaction).await?;
        let names = json_list(&names(changes));
        if names == "[]" {
            return Ok(Applied {
                absent: clock.absent,
                revision: clock.revisions.packages,
                ..Applied::default()
            });
        }
        if !changes.fit(&clock.revisions) {
            return Err(Fault::Outdated);
        }
        self.claims.check(changes.fence)?;
        refuse_outdated(&mut transaction, &names, changes.seen).await?;
        remove_packages(&mut transaction, &changes.remove).await?;
        put_packages(&mut transaction, &changes.put, &contents).await?;
        let applied = publish(&mut transaction, changes, clock, now).await?;
        mark_changed(&mut transaction, &names, applied.revision).await?;
        transaction.commit().await?;
        Ok(applied)
    }
}

/// Names as one parameter, for `json_each`: any number of them with one prepared statement.
pub(super) fn json_list(names: &[&str]) -> String {
    serde_json::json!(names).to_string()
}

async fn refuse_outdated(
    connection: &mut SqliteConnection,
    names: &str,
    seen: Revision,
) -> Result<(), Fault> {
    let outdated: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM changed WHERE revision > ?1 AND package IN (SELECT value FROM json_each(?2)))",
    )
    .bind(seen)
    .bind(names)
    .fetch_one(connection)
    .await?;
    if outdated {
        Err(Fault::Outdated)
    } else {
        Ok(())
    }
}

async fn mark_changed(
    connection: &mut SqliteConnection,
    names: &str,
    revision: Revision,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT OR REPLACE INTO changed (package, revision) SELECT value, ?1 FROM json_each(?2)",
    )
    .bind(revision)
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}

async fn remove_packages(
    connection: &mut SqliteConnection,
    packages: &[(RepositoryName, PackageName)],
) -> Result<(), Fault> {
    if packages.is_empty() {
        return Ok(());
    }
    let pairs: Vec<_> = packages
        .iter()
        .map(|(repository, package)| [repository.as_str(), package.as_str()])
        .collect();
    sqlx::query(
        "DELETE FROM packages WHERE (repository, package) IN \
         (SELECT value ->> 0, value ->> 1 FROM json_each(?1))",
    )
    .bind(serde_json::json!(pairs).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_packages(
    connection: &mut SqliteConnection,
    packages: &[PutPackage],
    contents: &[Vec<u8>],
) -> Result<(), Fault> {
    for chunk in packages.chunks(ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO packages (repository, package, validator, versions, skipped) ",
        );
        insert.push_values(chunk, |mut row, put| {
            row.push_bind(put.repository.as_str())
                .push_bind(put.package.as_str());
            row.push_bind(put.validator.as_deref())
                .push_bind(put.versions)
                .push_bind(put.skipped);
        });
        insert.push(
            " ON CONFLICT DO UPDATE SET validator = excluded.validator, versions = excluded.versions, \
             skipped = excluded.skipped",
        );
        insert.build().execute(&mut *connection).await?;
    }
    let rows: Vec<_> = packages.iter().zip(contents).collect();
    for chunk in rows.chunks(ROWS) {
        let mut insert =
            QueryBuilder::new("INSERT INTO package_contents (repository, package, content) ");
        insert.push_values(chunk, |mut row, (put, content)| {
            row.push_bind(put.repository.as_str())
                .push_bind(put.package.as_str())
                .push_bind(content.as_slice());
        });
        insert.push(" ON CONFLICT DO UPDATE SET content = excluded.content");
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}
