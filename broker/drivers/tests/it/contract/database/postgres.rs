//! PostgreSQL keeps the promises, and what only several processes ask of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use package_broker_core::domain::{metadata::Channel, stamp::Stamp};
use package_broker_core::ports::database::{DatabaseError, PackageStore, RepositoryStore};
use package_broker_drivers::database::postgres::{Options, Postgres};
use package_broker_e2e::postgres::Postgres as Server;
use sqlx::{PgPool, migrate::Migrator};

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
    temporary_on(Server::shared().unwrap()).await
}

async fn temporary_on(server: Arc<Server>) -> Temporary {
    let options = Options::parse(&server.database().unwrap(), None).unwrap();
    Postgres::migrate(&options).await.unwrap();
    Temporary {
        database: Postgres::open(&options).await.unwrap(),
        _server: server,
    }
}

every_promise!(*temporary().await);

mod release_16 {
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    use package_broker_e2e::{cache::Cache, postgres::Postgres as Server};

    use super::{super::*, Temporary, promises, temporary_on};

    /// A database on a server that lasts as long as anybody needs it.
    async fn temporary() -> Temporary {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let server = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            shared.upgrade().unwrap_or_else(|| {
                let (release, programs) = Cache::from_environment().unwrap().postgres_16();
                assert!(
                    release.is_dir(),
                    "no {}: `cargo xtask test --setup-only`",
                    release.display()
                );
                let server = Arc::new(Server::start_of(&release, programs).unwrap());
                *shared = Arc::downgrade(&server);
                server
            })
        };
        temporary_on(server).await
    }

    every_promise!(*temporary().await);
}

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

/// The schema as the release before left it, with what it wrote; its processes read and write on while the next one
/// migrates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_schema_is_migrated_while_it_is_used() {
    let (options, server) = empty();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres"));
    let mut older = Migrator::new(folder).await.unwrap();
    let steps: Vec<_> = older.iter().cloned().collect();
    older.migrations = steps[..steps.len() - 1].to_vec().into();
    let name = options.place().rsplit('/').next().unwrap().to_owned();
    let pool = PgPool::connect(&server.url(&name)).await.unwrap();
    older.run(&pool).await.unwrap();
    let refused = Postgres::open(&options).await.unwrap_err().to_string();
    assert!(refused.contains("package-broker migrate"), "{refused}");

    let before = Postgres::connect(&options);
    for number in 0..200 {
        let name = format!("acme/lib{number}");
        publish(&before, &name, "one", "dev one", 10).await;
    }
    let done = AtomicBool::new(false);
    let serve = async {
        let mut rounds = 0;
        while !done.load(Ordering::Relaxed) || rounds < 3 {
            publish(&before, "acme/busy", &format!("round {rounds}"), "dev", 20).await;
            assert_eq!(before.index().await.unwrap().published.len(), 201);
            let found = served(&before, "acme/lib7", Channel::Stable).await;
            assert_eq!(found, Some(("one".into(), Stamp(10))));
            rounds += 1;
        }
    };
    let migrate = async {
        let version = Postgres::migrate(&options).await.unwrap();
        done.store(true, Ordering::Relaxed);
        version
    };
    let (version, ()) = tokio::join!(migrate, serve);
    assert_eq!(version, steps.last().unwrap().version);
    let after = Postgres::open(&options).await.unwrap();
    assert_eq!(
        after.index().await.unwrap().published,
        before.index().await.unwrap().published
    );
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
        "SELECT package FROM changed WHERE revision > 7",
        "SELECT EXISTS (SELECT 1 FROM changed WHERE revision > 7 AND package = ANY ('{a,b}'))",
        "SELECT versions FROM packages JOIN unnest('{a,b}'::text[]) AS wanted (package) USING (package)",
        "SELECT package, validator FROM packages WHERE repository = 'a' AND validator IS NOT NULL",
        "UPDATE claims SET expires_at = now() WHERE epoch = 7",
        "SELECT epoch FROM claims WHERE epoch = 7 FOR SHARE",
        "DELETE FROM sync_requests WHERE repository = 'a' AND request = 7",
        "UPDATE declared SET sealed = 'a' WHERE name = 'a' AND sealed_with = 'b'",
        "SELECT key FROM counters WHERE ends <= now() ORDER BY ends LIMIT 9 FOR UPDATE SKIP LOCKED",
        "UPDATE counters SET events = events + 1 WHERE key = 'a'",
        "SELECT key FROM quotas WHERE expires <= now() ORDER BY expires LIMIT 9 FOR UPDATE SKIP LOCKED",
        "UPDATE quotas SET allowed = true WHERE key = 'a'",
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
        // An index that is gone through from end to end is no better than the table.
        let seeks =
            plan.contains("Index Cond") || !query.contains("WHERE") && !query.contains("JOIN");
        assert!(
            !plan.contains("Seq Scan") && plan.contains("Index") && seeks,
            "{query}:\n{plan}"
        );
    }
}
