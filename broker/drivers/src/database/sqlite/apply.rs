//! Changes of packages and of what is published of them, in one transaction.

use package_broker_core::{
    domain::{
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{Applied, Changes, PutPackage},
};
use sqlx::{QueryBuilder, SqliteConnection};

use super::{super::content::compress, Sqlite, fault::Fault, publish::publish};

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
        remove_packages(&mut transaction, &changes.remove).await?;
        put_packages(&mut transaction, &changes.put, &contents).await?;
        let applied = publish(&mut transaction, changes, now).await?;
        transaction.commit().await?;
        Ok(applied)
    }
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
