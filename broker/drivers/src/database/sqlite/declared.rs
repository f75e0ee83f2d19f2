//! Declared repositories.

use async_trait::async_trait;
use package_broker_core::{
    domain::{keyring::KeyId, names::RepositoryName, sealed::Sealed},
    ports::{
        database::{DatabaseError, RepositoryStore},
        declared::{
            Declaration, DeclaredContent, DeclaredRecord, DeclaredStore, Generation, Redeclared,
        },
    },
};
use sqlx::{Row, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

use super::{
    super::declared::{DeclaredPlan, INSTALLATION},
    Sqlite, clock,
    fault::Fault,
    rows,
};

#[async_trait]
impl DeclaredStore for Sqlite {
    async fn declared_installation(&self) -> Result<Option<String>, DatabaseError> {
        self.setting(INSTALLATION).await
    }

    async fn declare_installation(&self, text: &str) -> Result<bool, DatabaseError> {
        self.write_installation(text)
            .await
            .map_err(self.explain("declare the installation"))
    }

    async fn declared(&self) -> Result<Vec<DeclaredRecord>, DatabaseError> {
        read(&self.readers)
            .await
            .map_err(self.explain("read the declared repositories"))
    }

    async fn declare_all(&self, all: &[Declaration]) -> Result<Redeclared, DatabaseError> {
        self.write_declared(all, true)
            .await
            .map_err(self.explain("declare the repositories"))
    }

    async fn declare_one(&self, one: &Declaration) -> Result<bool, DatabaseError> {
        self.write_declared(std::slice::from_ref(one), false)
            .await
            .map(|declared| !declared.is_empty())
            .map_err(self.explain("declare a repository"))
    }

    async fn withdraw(&self, name: &RepositoryName) -> Result<bool, DatabaseError> {
        self.delete_declared(name)
            .await
            .map_err(self.explain("remove a declared repository"))
    }

    async fn reseal(
        &self,
        name: &RepositoryName,
        before: &Sealed,
        after: &Sealed,
    ) -> Result<bool, DatabaseError> {
        self.replace_sealed(name, before, after)
            .await
            .map_err(self.explain("write the credentials of a repository"))
    }
}

impl Sqlite {
    /// Writes what is declared; `exactly` removes all others.
    async fn write_declared(
        &self,
        wanted: &[Declaration],
        exactly: bool,
    ) -> Result<Redeclared, Fault> {
        let mut transaction = self.write().await?;
        let mut clock = clock::load(&mut transaction).await?;
        let mut stored = read(&mut *transaction).await?;
        if !exactly {
            stored.retain(|record| wanted.iter().any(|wanted| wanted.name == record.name));
        }
        let plan = DeclaredPlan::new(wanted, stored, clock.revisions).ok_or(Fault::Outdated)?;
        if plan.revisions == clock.revisions {
            return Ok(plan.outcome());
        }
        for (name, content) in &plan.save {
            save(&mut transaction, name, content, plan.generation).await?;
        }
        for name in &plan.delete {
            let delete = sqlx::query("DELETE FROM declared WHERE name = ?1").bind(name.as_str());
            delete.execute(&mut *transaction).await?;
        }
        clock.revisions = plan.revisions;
        clock::save(clock, &mut transaction).await?;
        transaction.commit().await?;
        Ok(plan.outcome())
    }

    async fn write_installation(&self, text: &str) -> Result<bool, Fault> {
        let mut transaction = self.write().await?;
        note_change(&mut transaction).await?;
        let written = sqlx::query(
            "INSERT INTO settings (key, value) VALUES (?1, ?2) \
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
        let mut transaction = self.write().await?;
        note_change(&mut transaction).await?;
        let deleted = sqlx::query("DELETE FROM declared WHERE name = ?1")
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
        let mut transaction = self.write().await?;
        note_change(&mut transaction).await?;
        let replaced = sqlx::query(
            "UPDATE declared SET sealed_with = ?4, sealed = ?5 WHERE name = ?1 AND sealed_with = ?2 AND sealed = ?3",
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

async fn note_change(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query("UPDATE clock SET declared = declared + 1")
        .execute(connection)
        .await?;
    Ok(())
}

async fn save(
    connection: &mut SqliteConnection,
    name: &RepositoryName,
    content: &DeclaredContent,
    generation: Generation,
) -> Result<(), Fault> {
    let sealed = content.sealed.as_ref();
    sqlx::query(
        "INSERT OR REPLACE INTO declared (name, settings, generation, sealed_with, sealed) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(name.as_str())
    .bind(content.settings.as_str())
    .bind(generation)
    .bind(sealed.map(|sealed| sealed.key.as_str()))
    .bind(sealed.map(|sealed| sealed.bytes.as_slice()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn read(executor: impl SqliteExecutor<'_>) -> Result<Vec<DeclaredRecord>, Fault> {
    let query =
        "SELECT name, settings, generation, sealed_with, sealed FROM declared ORDER BY name";
    let found = sqlx::query(query).fetch_all(executor).await?;
    found.iter().map(record).collect()
}

fn record(row: &SqliteRow) -> Result<DeclaredRecord, Fault> {
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
