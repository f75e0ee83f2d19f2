//! Repositories that live in the database: declared, loaded, their credentials sealed, on every database.

mod follow;
mod rotation;
mod secrets;
mod together;

use std::{collections::BTreeMap, sync::Arc};

use package_broker_core::{
    domain::{keyring::KeyRing, names::RepositoryName, repository::Repository},
    ports::{database::Database, declared::DeclaredStore},
    services::declared::{DeclaredService, Loaded},
};
use package_broker_drivers::{
    cache::memory::Memory,
    database::{
        postgres::{Options, Postgres},
        sqlite::Sqlite,
    },
};
use package_broker_e2e::postgres::Postgres as Server;
use tempfile::TempDir;

use crate::support::source::{credentials, repository};

/// An empty database, and what of it is on the disk.
struct Place {
    database: Arc<dyn Database>,
    disk: Disk,
}

enum Disk {
    Sqlite(TempDir),
    Postgres { server: Arc<Server>, name: String },
}

impl Place {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Sqlite::open(&folder.path().join("db")).await.unwrap();
        Self {
            database: Arc::new(database),
            disk: Disk::Sqlite(folder),
        }
    }

    async fn postgres() -> Self {
        let server = Server::shared().unwrap();
        let options = Options::parse(&server.database().unwrap(), None).unwrap();
        Postgres::migrate(&options).await.unwrap();
        let name = options.place().rsplit('/').next().unwrap().to_owned();
        Self {
            database: Arc::new(Postgres::open(&options).await.unwrap()),
            disk: Disk::Postgres { server, name },
        }
    }

    /// One of each kind.
    async fn each() -> [Self; 2] {
        [Self::sqlite().await, Self::postgres().await]
    }

    fn service(&self, keys: &KeyRing) -> DeclaredService {
        over(Arc::clone(&self.database) as _, keys)
    }

    /// The raw bytes of SQLite's files, or every row that PostgreSQL has of declared repositories.
    fn dump(&self) -> Vec<u8> {
        match &self.disk {
            Disk::Sqlite(folder) => {
                let files = std::fs::read_dir(folder.path()).unwrap();
                files
                    .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
                    .collect()
            }
            Disk::Postgres { server, name } => {
                let rows = "SELECT declared, encode(sealed, 'escape') FROM declared";
                server.sql(name, rows).unwrap().into_bytes()
            }
        }
    }
}

/// A service whose store may do otherwise than a database does.
fn over(store: Arc<dyn DeclaredStore>, keys: &KeyRing) -> DeclaredService {
    DeclaredService::new(store, Arc::new(Memory::new(1 << 16)), keys.clone())
}

/// A repository with a password.
fn team(name: &str, password: &str) -> Repository {
    Repository {
        name: RepositoryName::new(name),
        credentials: credentials(&[("username", "ci"), ("password", password)]),
        ..repository("https://composer.example.com/team")
    }
}

/// So many of them, each with a password that names it.
fn teams(number: usize) -> Vec<Repository> {
    let names = (0..number).map(|at| format!("team{at}"));
    names
        .map(|name| team(&name, &format!("password of {name}")))
        .collect()
}

/// The passwords by repository, after everything could be read.
fn passwords(loaded: &Loaded) -> BTreeMap<String, String> {
    assert_eq!(loaded.problems, []);
    let pair = |repository: &Repository| {
        let password = repository.credentials.text("password").unwrap_or_default();
        (repository.name.to_string(), password.to_owned())
    };
    loaded.repositories.iter().map(pair).collect()
}

fn expected(repositories: &[Repository]) -> BTreeMap<String, String> {
    passwords(&Loaded {
        repositories: repositories.to_vec(),
        problems: Vec::new(),
    })
}
