//! Changes of packages and of what is published of them, in one transaction.

use package_broker_core::{
    domain::{
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{Applied, Changes, PutPackage, Revision},
};

use super::{
    super::{content::compress, publication::names},
    Connection, Postgres, claim, clock,
    fault::Fault,
    publish::publish,
    rows,
};

impl Postgres {
    pub(super) async fn apply_changes(
        &self,
        changes: &Changes,
        now: Stamp,
    ) -> Result<Applied, Fault> {
        let contents = compress(&changes.put).await?;
        let mut transaction = self.pool.begin().await?;
        let clock = clock::lock(&mut transaction).await?;
        let names = names(changes);
        if names.is_empty() {
            return Ok(Applied {
                absent: clock.absent,
                revision: clock.revisions.packages,
                ..Applied::default()
            });
        }
        if !changes.fit(&clock.revisions) {
            return Err(Fault::Outdated);
        }
        claim::check(&mut transaction, changes.fence).await?;
        refuse_outdated(&mut transaction, &names, changes.seen).await?;
        remove_packages(&mut transaction, &changes.remove).await?;
        put_packages(&mut transaction, &changes.put, &contents).await?;
        let applied = publish(&mut transaction, changes, clock, now).await?;
        mark_changed(&mut transaction, &names, applied.revision).await?;
        transaction.commit().await?;
        Ok(applied)
    }
}

async fn refuse_outdated(
    connection: &mut Connection,
    names: &[&str],
    seen: Revision,
) -> Result<(), Fault> {
    let outdated: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM changed WHERE revision > $1 AND package = ANY ($2))",
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
    connection: &mut Connection,
    names: &[&str],
    revision: Revision,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO changed (package, revision) SELECT package, $1 FROM unnest($2::text[]) AS new (package) \
         ON CONFLICT (package) DO UPDATE SET revision = excluded.revision",
    )
    .bind(revision)
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}

async fn remove_packages(
    connection: &mut Connection,
    packages: &[(RepositoryName, PackageName)],
) -> Result<(), Fault> {
    if packages.is_empty() {
        return Ok(());
    }
    let repositories: Vec<_> = packages.iter().map(|(name, _)| name.as_str()).collect();
    let names: Vec<_> = packages.iter().map(|(_, name)| name.as_str()).collect();
    sqlx::query(
        "DELETE FROM packages USING unnest($1::text[], $2::text[]) AS gone (repository, package) \
         WHERE packages.repository = gone.repository AND packages.package = gone.package",
    )
    .bind(repositories)
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}

/// Each table in one statement, its rows as one array a column: the plan is made once, however many rows there are.
async fn put_packages(
    connection: &mut Connection,
    packages: &[PutPackage],
    contents: &[Vec<u8>],
) -> Result<(), Fault> {
    if packages.is_empty() {
        return Ok(());
    }
    let repositories: Vec<_> = packages.iter().map(|put| put.repository.as_str()).collect();
    let names: Vec<_> = packages.iter().map(|put| put.package.as_str()).collect();
    let validators: Vec<_> = packages
        .iter()
        .map(|put| put.validator.as_deref().map(rows::text))
        .collect();
    let versions: Vec<_> = packages
        .iter()
        .map(|put| rows::integer(put.versions))
        .collect();
    let skipped: Vec<_> = packages
        .iter()
        .map(|put| rows::integer(put.skipped))
        .collect();
    sqlx::query(
        "INSERT INTO packages (repository, package, validator, versions, skipped) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[]) \
         ON CONFLICT (repository, package) DO UPDATE SET validator = excluded.validator, \
         versions = excluded.versions, skipped = excluded.skipped",
    )
    .bind(&repositories)
    .bind(&names)
    .bind(validators)
    .bind(versions)
    .bind(skipped)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO package_contents (repository, package, content) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) \
         ON CONFLICT (repository, package) DO UPDATE SET content = excluded.content",
    )
    .bind(repositories)
    .bind(names)
    .bind(contents)
    .execute(connection)
    .await?;
    Ok(())
}
