//! Tokens and their floors.

use async_trait::async_trait;
use package_broker_core::{
    domain::{stamp::Stamp, token::TokenHash},
    ports::database::{DatabaseError, TokenRecord, TokenStore},
};
use sqlx::{Row, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

use super::{super::tokens::TokenPlan, Sqlite, clock, fault::Fault, rows};

#[async_trait]
impl TokenStore for Sqlite {
    async fn replace_tokens(
        &self,
        tokens: &[TokenRecord],
        now: Stamp,
    ) -> Result<Vec<Stamp>, DatabaseError> {
        self.write_tokens(tokens, now)
            .await
            .map_err(self.explain("write the tokens"))
    }

    async fn tokens(&self) -> Result<Vec<(TokenRecord, Stamp)>, DatabaseError> {
        read(&self.readers)
            .await
            .map_err(self.explain("read the tokens"))
    }
}

impl Sqlite {
    async fn write_tokens(&self, tokens: &[TokenRecord], now: Stamp) -> Result<Vec<Stamp>, Fault> {
        let mut transaction = self.write().await?;
        let stored = read(&mut *transaction).await?;
        let clock = clock::load(&mut transaction).await?;
        let plan = TokenPlan::new(tokens, stored, clock, now);
        for (token, floor) in &plan.save {
            save(&mut transaction, token, *floor).await?;
        }
        for name in &plan.delete {
            let delete = sqlx::query("DELETE FROM tokens WHERE name = ?1").bind(name.as_str());
            delete.execute(&mut *transaction).await?;
        }
        if plan.clock != clock {
            clock::save(plan.clock, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(plan.floors)
    }
}

async fn save(
    connection: &mut SqliteConnection,
    token: &TokenRecord,
    floor: Stamp,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT OR REPLACE INTO tokens (name, hash, scope, expires_at, floor_stamp) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(token.name.as_str())
    .bind(token.hash.0.as_slice())
    .bind(token.grant.as_str())
    .bind(token.expires_at.map(|time| time.to_string()))
    .bind(floor.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn read(executor: impl SqliteExecutor<'_>) -> Result<Vec<(TokenRecord, Stamp)>, Fault> {
    let found =
        sqlx::query("SELECT name, hash, scope, expires_at, floor_stamp FROM tokens ORDER BY name")
            .fetch_all(executor)
            .await?;
    found.iter().map(token).collect()
}

fn token(row: &SqliteRow) -> Result<(TokenRecord, Stamp), Fault> {
    let token = TokenRecord {
        name: row.try_get(0)?,
        hash: TokenHash(rows::digest(row, 1)?),
        grant: row.try_get(2)?,
        expires_at: rows::time(row, 3)?,
    };
    Ok((token, rows::stamp(row, 4)?))
}
