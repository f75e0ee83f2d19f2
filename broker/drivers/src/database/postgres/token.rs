//! Tokens and their floors.

use async_trait::async_trait;
use package_broker_core::{
    domain::{stamp::Stamp, token::TokenHash},
    ports::database::{DatabaseError, TokenRecord, TokenStore},
};
use sqlx::{PgExecutor, Row, postgres::PgRow};

use super::{super::tokens::TokenPlan, Connection, Postgres, clock, fault::Fault, rows};

#[async_trait]
impl TokenStore for Postgres {
    async fn replace_tokens(
        &self,
        tokens: &[TokenRecord],
        now: Stamp,
    ) -> Result<Vec<Stamp>, DatabaseError> {
        self.run("write the tokens", self.write_tokens(tokens, now))
            .await
    }

    async fn tokens(&self) -> Result<Vec<(TokenRecord, Stamp)>, DatabaseError> {
        self.run("read the tokens", read(&self.pool)).await
    }
}

impl Postgres {
    async fn write_tokens(&self, tokens: &[TokenRecord], now: Stamp) -> Result<Vec<Stamp>, Fault> {
        let mut transaction = self.pool.begin().await?;
        let clock = clock::lock(&mut transaction).await?;
        let stored = read(&mut *transaction).await?;
        let plan = TokenPlan::new(tokens, stored, clock, now);
        save(&mut transaction, &plan.save).await?;
        if !plan.delete.is_empty() {
            sqlx::query("DELETE FROM tokens WHERE name = ANY ($1)")
                .bind(&plan.delete)
                .execute(&mut *transaction)
                .await?;
        }
        if plan.clock != clock {
            clock::save(plan.clock, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(plan.floors)
    }
}

async fn save(connection: &mut Connection, tokens: &[(&TokenRecord, Stamp)]) -> Result<(), Fault> {
    if tokens.is_empty() {
        return Ok(());
    }
    let all = || tokens.iter().map(|(token, _)| *token);
    let names: Vec<_> = all().map(|token| token.name.as_str()).collect();
    let hashes: Vec<_> = all().map(|token| token.hash.0.as_slice()).collect();
    let scopes: Vec<_> = all().map(|token| token.grant.as_str()).collect();
    let ends: Vec<_> = all()
        .map(|token| token.expires_at.map(|time| time.to_string()))
        .collect();
    let floors: Vec<_> = tokens.iter().map(|(_, floor)| floor.0).collect();
    sqlx::query(
        "INSERT INTO tokens (name, hash, scope, expires_at, floor_stamp) \
         SELECT name, hash, scope::json, expires_at::timestamptz, floor_stamp \
         FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::bigint[]) \
         AS new (name, hash, scope, expires_at, floor_stamp) \
         ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scope = excluded.scope, \
         expires_at = excluded.expires_at, floor_stamp = excluded.floor_stamp",
    )
    .bind(names)
    .bind(hashes)
    .bind(scopes)
    .bind(ends)
    .bind(floors)
    .execute(connection)
    .await?;
    Ok(())
}

async fn read(executor: impl PgExecutor<'_>) -> Result<Vec<(TokenRecord, Stamp)>, Fault> {
    let found = sqlx::query(
        "SELECT name, hash, scope::text, (extract(epoch FROM expires_at) * 1000000)::bigint, floor_stamp \
         FROM tokens ORDER BY name",
    )
    .fetch_all(executor)
    .await?;
    found.iter().map(token).collect()
}

fn token(row: &PgRow) -> Result<(TokenRecord, Stamp), Fault> {
    let token = TokenRecord {
        name: row.try_get(0)?,
        hash: TokenHash(rows::digest(row, 1)?),
        grant: row.try_get(2)?,
        expires_at: rows::time(row, 3)?,
    };
    Ok((token, rows::stamp(row, 4)?))
}
