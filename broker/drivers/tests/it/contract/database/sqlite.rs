//! SQLite keeps the promises.

use package_broker_drivers::database::sqlite::Sqlite;
use tempfile::TempDir;

use super::{super::promises, *};

/// A database whose file goes with it.
pub(super) struct Temporary {
    database: Sqlite,
    _dir: TempDir,
}

impl std::ops::Deref for Temporary {
    type Target = Sqlite;

    fn deref(&self) -> &Sqlite {
        &self.database
    }
}

pub(super) async fn temporary() -> Temporary {
    let dir = tempfile::tempdir().unwrap();
    Temporary {
        database: Sqlite::open(&dir.path().join("db")).await.unwrap(),
        _dir: dir,
    }
}

every_promise!(*temporary().await);

#[tokio::test]
async fn everything_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || async { Sqlite::open(&dir.path().join("db")).await.unwrap() };
    restart::everything_survives_a_restart(open).await;
}
