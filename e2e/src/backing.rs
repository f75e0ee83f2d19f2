//! PostgreSQL, an S3 service and Redis in one place, for a registry that outlives the process of a suite.

use anyhow::Result;

use crate::{garage::Garage, place::Place, postgres::Postgres, redis::Redis};

/// The servers, for as long as the value lives.
#[derive(Debug)]
pub struct Backing {
    postgres: Postgres,
    garage: Garage,
    redis: Redis,
    database: [String; 3],
}

impl Backing {
    /// Starts all three.
    ///
    /// # Errors
    /// If one of them is not installed, or does not start.
    pub fn start_at(place: &Place) -> Result<Self> {
        let postgres = Postgres::start_at(place.clone())?;
        Ok(Self {
            database: postgres.owned_database()?,
            postgres,
            garage: Garage::start_at(place)?,
            redis: Redis::start_at(place)?,
        })
    }

    /// The URLs of a database, with its owner and password, of the S3 service, and of Redis, with its password.
    pub fn urls(&self) -> [String; 3] {
        let [name, owner, password] = &self.database;
        let (host, port) = (self.postgres.place().address(), self.postgres.port());
        [
            format!("postgres://{owner}:{password}@{host}:{port}/{name}?sslmode=disable"),
            self.garage.endpoint(),
            self.redis.url(),
        ]
    }
}
