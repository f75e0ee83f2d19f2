//! PostgreSQL keeps the promises, and what only several processes ask of it.

use std::sync::Arc;

use package_broker_core::ports::database::{DatabaseError, PackageStore, RepositoryStore};
use package_broker_drivers::database::postgres::{Options, Postgres};
use package_broker_e2e::postgres::Postgres as Server;

use super::{super::promises, *};

/// A database of its own on a server that lasts as long as anybody needs it.
pub(super) struct Temporary {
    database: Postgres,
    _server: Arc<Server>,
}

impl std::ops::Deref for Temporary {
    type Target = Postgres;

    fn deref(&self) -> &Postgres {
        &self.database
    }
}

fn empty() -> (Options, Arc<Server>) {
    let server = Server::shared().unwrap();
    let url = server.database().unwrap();
    (Options::parse(&url, None).unwrap(), server)
}

pub(super) async fn temporary() -> Temporary {
    let (options, server) = empty();
    Postgres::migrate(&options).await.unwrap();
    Temporary {
        database: Postgres::open(&options).await.unwrap(),
        _server: server,
    }
}

every_promise!(*temporary().await);

#[tokio::test]
async fn everything_survives_a_restart() {
    let (options, _server) = empty();
    Postgres::migrate(&options).await.unwrap();
    let open = || async { Postgres::open(&options).await.unwrap() };
    restart::everything_survives_a_restart(open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_migrate_at_once() {
    let (options, _server) = empty();
    let migrations = (0..8).map(|_| Postgres::migrate(&options));
    let versions = futures::future::join_all(migrations).await;
    for version in &versions {
        assert_eq!(version.as_ref().unwrap(), versions[0].as_ref().unwrap());
    }
    promise_of_a_new_database(&options).await;
}

async fn promise_of_a_new_database(options: &Options) {
    let database = Postgres::open(options).await.unwrap();
    assert_eq!(database.index().await.unwrap().published, []);
}

#[tokio::test]
async fn a_newer_schema_is_served_and_left_alone() {
    let (options, server) = empty();
    Postgres::migrate(&options).await.unwrap();
    let name = options.place().rsplit('/').next().unwrap().to_owned();
    let newer = "INSERT INTO _sqlx_migrations VALUES (9000, 'future', now(), true, '', 0)";
    server.sql(&name, newer).unwrap();
    Postgres::migrate(&options).await.unwrap();
    promise_of_a_new_database(&options).await;
}

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    let (options, server) = empty();
    let unmigrated = Postgres::open(&options).await.unwrap_err().to_string();
    assert!(
        unmigrated.contains("package-broker migrate"),
        "{unmigrated}"
    );
    let missing = Options::parse(&server.url("nowhere"), None).unwrap();
    for error in [
        Postgres::open(&missing).await.unwrap_err(),
        Postgres::migrate(&missing).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("/nowhere") && text.contains("create the database"),
            "{text}"
        );
    }
    let refused =
        Options::parse("postgres://u:hidden@127.0.0.1:1/x?sslmode=disable", None).unwrap();
    for error in [
        Postgres::open(&refused).await.unwrap_err(),
        Postgres::migrate(&refused).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("127.0.0.1:1/x") && !text.contains("hidden"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_when_the_server_is_back() {
    let server = Server::start().unwrap();
    let options = Options::parse(&server.database().unwrap(), None).unwrap();
    Postgres::migrate(&options).await.unwrap();
    let database = Postgres::open(&options).await.unwrap();
    database.save_setting("a", "1").await.unwrap();
    server.stop().unwrap();
    let error = database.setting("a").await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::Unavailable { .. }),
        "{error}"
    );
    server.run().unwrap();
    assert_eq!(database.setting("a").await.unwrap().as_deref(), Some("1"));
}

/// Every hot query finds its rows by an index, whatever the table's size.
#[tokio::test]
async fn hot_queries_use_an_index() {
    let (options, server) = empty();
    Postgres::migrate(&options).await.unwrap();
    let name = options.place().rsplit('/').next().unwrap().to_owned();
    for query in [
        "SELECT gzip FROM documents JOIN published USING (package) WHERE package = 'a' AND channel = 'dev'",
        "SELECT content FROM package_contents WHERE repository = 'a' AND package = 'b'",
        "SELECT stamp FROM root_stamps WHERE view = 'a' AND digest = 'b'",
        "SELECT * FROM archives WHERE package = 'a' AND version = 'b' AND reference = 'c'",
        "SELECT * FROM archives WHERE package = 'a' AND repository = 'b'",
        "SELECT EXISTS (SELECT 1 FROM archives WHERE repository = 'a')",
        "SELECT * FROM published WHERE package = ANY ('{a,b}')",
        "SELECT stamp FROM root_stamps ORDER BY stamp DESC LIMIT 1 OFFSET 10000",
        "SELECT id FROM audit WHERE last_at < now() ORDER BY last_at, id LIMIT 1000 FOR UPDATE SKIP LOCKED",
        "SELECT * FROM audit WHERE last_at >= now() AND (last_at, id) > (now(), 7) ORDER BY last_at, id LIMIT 9",
        "SELECT * FROM audit WHERE actor = 'a' AND last_at >= now() ORDER BY last_at, id LIMIT 9",
        "SELECT * FROM audit WHERE subject = 'a' AND (last_at, id) > (now(), 7) ORDER BY last_at, id LIMIT 9",
        "SELECT * FROM audit WHERE action = 'a' ORDER BY last_at, id LIMIT 9",
    ] {
        let plan = server
            .sql(&name, &format!("SET enable_seqscan = off; EXPLAIN {query}"))
            .unwrap();
        assert!(
            !plan.contains("Seq Scan") && plan.contains("Index"),
            "{query}:\n{plan}"
        );
    }
}
