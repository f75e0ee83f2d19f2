//! Declared repositories.

use async_trait::async_trait;
use package_broker_core::{
    domain::{keyring::KeyId, names::RepositoryName, sealed::Sealed},
    ports::{
        database::{DatabaseError, RepositoryStore},
        declared::{Declaration, DeclaredContent, DeclaredRecord, DeclaredStore, Redeclared},
    },
};
use sqlx::{PgExecutor, Row, postgres::PgRow};

use super::{
    super::declared::{DeclaredPlan, INSTALLATION},
    Connection, Postgres, clock,
    fault::Fault,
    rows,
};

#[async_trait]
impl DeclaredStore for Postgres {
    async fn declared_installation(&self) -> Result<Option<String>, DatabaseError> {
        self.setting(INSTALLATION).await
    }

    async fn declare_installation(&self, text: &str) -> Result<bool, DatabaseError> {
        self.run("declare the installation", self.write_installation(text))
            .await
    }

    async fn declared(&self) -> Result<Vec<DeclaredRecord>, DatabaseError> {
        self.run("read the declared repositories", read(&self.pool))
            .await
    }

    async fn declare_all(&self, all: &[Declaration]) -> Result<Redeclared, DatabaseError> {
        self.run("declare the repositories", self.write_declared(all, true))
            .await
    }

    async fn declare_one(&self, one: &Declaration) -> Result<bool, DatabaseError> {
        let declare = self.write_declared(std::slice::from_ref(one), false);
        let declared = self.run("declare a repository", declare).await?;
        Ok(!declared.is_empty())
    }

    async fn withdraw(&self, name: &RepositoryName) -> Result<bool, DatabaseError> {
        self.run("remove a declared repository", self.delete_declared(name))
            .await
    }

    async fn reseal(
        &self,
        name: &RepositoryName,
        before: &Sealed,
        after: &Sealed,
    ) -> Result<bool, DatabaseError> {
        let reseal = self.replace_sealed(name, before, after);
        self.run("write the credentials of a repository", reseal)
            .await
    }
}

impl Postgres {
    /// Writes what is declared; `exactly` removes all others.
    async fn write_declared(
        &self,
        wanted: &[Declaration],
        exactly: bool,
    ) -> Result<Redeclared, Fault> {
        let mut transaction = self.pool.begin().await?;
        let mut clock = clock::lock(&mut transaction).await?;
        let mut stored = read(&mut *transaction).await?;
        if !exactly {
            stored.retain(|record| wanted.iter().any(|wanted| wanted.name == record.name));
        }
        let plan = DeclaredPlan::new(wanted, stored, clock.revisions).ok_or(Fault::Outdated)?;
        if plan.revisions == clock.revisions {
            return Ok(plan.outcome());
        }
        save(&mut transaction, &plan).await?;
        let gone: Vec<&str> = plan.delete.iter().map(RepositoryName::as_str).collect();
        sqlx::query("DELETE FROM declared WHERE name = ANY ($1)")
            .bind(gone)
            .execute(&mut *transaction)
            .await?;
        clock.revisions = plan.revisions;
        clock::save(clock, &mut transaction).await?;
        transaction.commit().await?;
        Ok(plan.outcome())
    }

    async fn write_installation(&self, text: &str) -> Result<bool, Fault> {
        let mut transaction = self.pool.begin().await?;
        note_change(&mut transaction).await?;
        let written = sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE settings.value <> excluded.value",
        )
        .bind(INSTALLATION)
        .bind(text)
        .execute(&mut *transaction)
        .await?;
        if written.rows_affected() == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn delete_declared(&self, name: &RepositoryName) -> Result<bool, Fault> {
        let mut transaction = self.pool.begin().await?;
        note_change(&mut transaction).await?;
        let deleted = sqlx::query("DELETE FROM declared WHERE name = $1")
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn replace_sealed(
        &self,
        name: &RepositoryName,
        before: &Sealed,
        after: &Sealed,
    ) -> Result<bool, Fault> {
        let mut transaction = self.pool.begin().await?;
        note_change(&mut transaction).await?;
        let replaced = sqlx::query(
            "UPDATE declared SET sealed_with = $4, sealed = $5 WHERE name = $1 AND sealed_with = $2 AND sealed = $3",
        )
        .bind(name.as_str())
        .bind(before.key.as_str())
        .bind(before.bytes.as_slice())
        .bind(after.key.as_str())
        .bind(after.bytes.as_slice())
        .execute(&mut *transaction)
        .await?;
        if replaced.rows_affected() == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }
}

/// Takes the clock's row, as all who change something do first.
async fn note_change(connection: &mut Connection) -> Result<(), Fault> {
    sqlx::query("UPDATE clock SET declared = declared + 1")
        .execute(connection)
        .await?;
    Ok(())
}

async fn save(connection: &mut Connection, plan: &DeclaredPlan<'_>) -> Result<(), Fault> {
    let contents = || plan.save.iter().map(|(_, content)| content);
    let sealed = || contents().map(|content| content.sealed.as_ref());
    let names: Vec<_> = plan.save.iter().map(|(name, _)| name.as_str()).collect();
    let settings: Vec<_> = contents()
        .map(|content| content.settings.as_str())
        .collect();
    let keys: Vec<_> = sealed()
        .map(|sealed| sealed.map(|sealed| sealed.key.as_str()))
        .collect();
    let bytes: Vec<_> = sealed()
        .map(|sealed| sealed.map(|sealed| sealed.bytes.as_slice()))
        .collect();
    sqlx::query(
        "INSERT INTO declared (name, settings, generation, sealed_with, sealed) \
         SELECT name, settings::json, $5, sealed_with, sealed \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) AS new (name, settings, sealed_with, sealed) \
         ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, generation = excluded.generation, \
         sealed_with = excluded.sealed_with, sealed = excluded.sealed",
    )
    .bind(names)
    .bind(settings)
    .bind(keys)
    .bind(bytes)
    .bind(plan.generation)
    .execute(connection)
    .await?;
    Ok(())
}

async fn read(executor: impl PgExecutor<'_>) -> Result<Vec<DeclaredRecord>, Fault> {
    let query =
        "SELECT name, settings::text, generation, sealed_with, sealed FROM declared ORDER BY name";
    let found = sqlx::query(query).fetch_all(executor).await?;
    found.iter().map(record).collect()
}

fn record(row: &PgRow) -> Result<DeclaredRecord, Fault> {
    let key: Option<&str> = row.try_get(3)?;
    let bytes: Option<Vec<u8>> = row.try_get(4)?;
    let sealed = key.zip(bytes).map(|(key, bytes)| Sealed {
        key: KeyId::new(key),
        bytes,
    });
    Ok(DeclaredRecord {
        name: rows::repository(row, 0)?,
        content: DeclaredContent {
            settings: row.try_get(1)?,
            sealed,
        },
        generation: row.try_get(2)?,
    })
}
