//! The promises kept on a real PostgreSQL, and what a server on a network adds to them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use package_broker_core::{
    domain::quota::Taken,
    ports::cache::{Cache, CacheError},
};
use package_broker_drivers::{
    cache::postgres::{MAX_ROWS, Options, Postgres, RESPONSE},
    database::postgres::Postgres as Database,
};
use package_broker_e2e::postgres::Postgres as Server;

use super::{super::promises, server::*, *};
use crate::support::{log::Log, redis::free_port};

/// A cache on a database of its own, and the server for as long as it lives.
struct Held {
    cache: Postgres,
    server: Arc<Server>,
    options: Options,
}

#[async_trait]
impl Cache for Held {
    async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError> {
        self.cache.count(key, window).await
    }

    async fn take(&self, key: &str, quota: Quota) -> Result<Taken, CacheError> {
        self.cache.take(key, quota).await
    }

    async fn announce(&self, change: Change) -> Result<(), CacheError> {
        self.cache.announce(change).await
    }

    fn changes(&self) -> Receiver<Change> {
        self.cache.changes()
    }

    fn is_up(&self) -> bool {
        self.cache.is_up()
    }
}

impl Held {
    async fn on(server: Arc<Server>) -> Self {
        let options = Options::parse(&server.database().unwrap(), None).unwrap();
        Database::migrate(&options).await.unwrap();
        Self {
            cache: Postgres::open(&options).await.unwrap(),
            server,
            options,
        }
    }

    /// Another replica.
    async fn other(&self) -> Postgres {
        Postgres::open(&self.options).await.unwrap()
    }

    fn sql(&self, statement: &str) -> String {
        let database = self.options.place().rsplit('/').next().unwrap();
        self.server.sql(database, statement).unwrap()
    }

    /// Ends the connections that listen.
    fn cut(&self) {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        assert_ne!(self.sql(cut), "0");
    }
}

async fn held() -> Held {
    Held::on(Server::shared().unwrap()).await
}

/// On a server that no other test uses.
async fn alone() -> Held {
    Held::on(Arc::new(Server::start().unwrap())).await
}

every_promise!(held().await);

#[tokio::test]
async fn two_openings_share_counters_and_hear_each_other() {
    let one = held().await;
    let two = one.other().await;
    let (mut heard_by_one, mut heard_by_two) = (one.changes(), two.changes());
    for round in 0..3 {
        assert_eq!(one.count("a", HOUR).await.unwrap(), 2 * round + 1);
        assert_eq!(two.count("a", HOUR).await.unwrap(), 2 * round + 2);
    }
    one.announce(packages(1)).await.unwrap();
    two.announce(packages(2)).await.unwrap();
    for heard in [&mut heard_by_one, &mut heard_by_two] {
        assert_eq!(next(heard).await, Ok(packages(1)));
        assert_eq!(next(heard).await, Ok(packages(2)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takers_over_two_openings_get_no_more_than_there_is() {
    let one = held().await;
    let two = one.other().await;
    taking::nobody_gets_more_than_there_is(&[&one, &two]).await;
}

#[tokio::test]
async fn databases_keep_installations_apart() {
    let (one, two) = (held().await, held().await);
    let mut heard_by_two = two.changes();
    assert_eq!(one.count("a", HOUR).await.unwrap(), 1);
    assert_eq!(two.count("a", HOUR).await.unwrap(), 1);
    one.announce(packages(1)).await.unwrap();
    two.announce(packages(2)).await.unwrap();
    assert_eq!(next(&mut heard_by_two).await, Ok(packages(2)));
}

#[tokio::test]
async fn any_key_is_counted_and_none_is_long() {
    let held = held().await;
    for key in ["", "plain", "a\0b", "#hash", &"long".repeat(10_000)] {
        for expected in 1..=2 {
            assert_eq!(held.count(key, Duration::MAX).await.unwrap(), expected);
        }
    }
    let rows = "SELECT count(*), max(length(key)) < 200, max(ends) <= now() + interval '1 hour' FROM counters";
    assert_eq!(held.sql(rows), "5|t|t");
    for _ in 0..60 {
        held.take("a", Quota::per_hour(60)).await.unwrap();
        let kept =
            "SELECT expires > full_at AND expires < full_at + interval '21 minutes' FROM quotas";
        assert_eq!(held.sql(kept), "t");
    }
}

#[tokio::test]
async fn a_long_list_is_heard_in_parts_and_a_very_long_one_as_everything() {
    let held = held().await;
    let mut changes = held.changes();
    let names = |count| -> Vec<PackageName> {
        let name = |number| PackageName::parse(&format!("acme/package-{number}")).unwrap();
        (0..count).map(name).collect()
    };
    held.announce(Change::Packages(names(1_500))).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 1_500 {
        match next(&mut changes).await.unwrap() {
            Change::Packages(names) => heard.extend(names),
            Change::Everything => panic!("the list has room"),
        }
    }
    assert_eq!(heard, names(1_500));
    held.announce(Change::Packages(names(20_000)))
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, Ok(Change::Everything));
}

#[tokio::test]
async fn what_cannot_be_understood_is_everything() {
    let held = held().await;
    let mut changes = held.changes();
    for word in ["hello", r#"{"v":7}"#] {
        held.sql(&format!("NOTIFY package_broker_changes, '{word}'"));
        assert_eq!(next(&mut changes).await, Ok(Change::Everything));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_have_ended_go_and_so_do_those_that_are_too_many() {
    let held = held().await;
    held.sql(&format!(
        "INSERT INTO counters SELECT 'ended-' || n, 1, now() FROM generate_series(1, 30000) n; \
         INSERT INTO counters SELECT 'first-' || n, 1, now() + interval '30 minutes' FROM generate_series(1, 2500) n; \
         INSERT INTO counters SELECT 'last-' || n, 1, now() + interval '1 hour' FROM generate_series(1, {MAX_ROWS}) n; \
         INSERT INTO quotas SELECT 'ended-' || n, now(), true, now() FROM generate_series(1, 1500) n; \
         INSERT INTO quotas SELECT 'last-' || n, now(), true, now() + interval '1 hour' \
         FROM generate_series(1, {MAX_ROWS} + 1500) n"
    ));
    let deadline = Instant::now() + PATIENCE * 3;
    let left = format!("{MAX_ROWS}|last-1");
    while held.sql("SELECT count(*), min(key) FROM counters") != left
        || held.sql("SELECT count(*) FROM quotas WHERE key LIKE 'last-%' OR expires <= now()")
            != MAX_ROWS.to_string()
    {
        assert!(Instant::now() < deadline, "they stay");
        sleep(Duration::from_millis(200)).await;
    }
    assert!(count_again(&held, "last-7").await >= 2);
}

#[tokio::test]
async fn a_window_of_a_clock_that_was_put_back_ends_nevertheless() {
    let held = held().await;
    held.sql("INSERT INTO counters VALUES ('a', 7, now() + interval '9 years')");
    let window = Duration::from_millis(300);
    assert_eq!(held.count("a", window).await.unwrap(), 8);
    sleep(window).await;
    assert_eq!(held.count("a", window).await.unwrap(), 1);
}

/// As long as an update stays in its page, nothing has to be cleaned up after it.
#[tokio::test]
async fn a_bucket_in_use_leaves_no_rows_behind() {
    let held = held().await;
    for _ in 0..2_000 {
        held.take("a", Quota::per_hour(1_000)).await.unwrap();
    }
    let updates =
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'quotas'";
    let deadline = Instant::now() + PATIENCE;
    let (all, in_page) = loop {
        let found = held.sql(updates);
        let (all, in_page) = found.split_once('|').unwrap();
        let (all, in_page): (u32, u32) = (all.parse().unwrap(), in_page.parse().unwrap());
        if all > 900 {
            break (all, in_page);
        }
        assert!(Instant::now() < deadline, "{found}");
        sleep(Duration::from_millis(200)).await;
    };
    assert!(in_page > all * 9 / 10, "{in_page} of {all}");
}

#[tokio::test]
async fn a_password_is_never_told() {
    let log = Log::start();
    let held = held().await;
    held.sql("CREATE ROLE nobody LOGIN PASSWORD 'right' CONNECTION LIMIT 0");
    let url = held.server.url("postgres");
    let url = url.replace("//postgres@", "//nobody:hunter2@");
    let refused = Postgres::open(&Options::parse(&url, None).unwrap())
        .await
        .unwrap();
    let error = refused.count("a", HOUR).await.unwrap_err().to_string();
    assert!(error.contains("too many connections"), "{error}");
    let told = format!("{error}{refused:?}{:?}", log.lines());
    assert!(!told.contains("hunter2"), "{told}");
    let place = format!("127.0.0.1:{}/postgres", held.server.port());
    assert!(
        error.contains(&place) && told.matches(&place).count() >= 3,
        "{told}"
    );
}

#[tokio::test]
async fn a_schema_that_is_not_up_to_date_says_what_to_do_until_it_is() {
    let server = Server::shared().unwrap();
    let options = Options::parse(&server.database().unwrap(), None).unwrap();
    let cache = Postgres::open(&options).await.unwrap();
    let error = cache.count("a", HOUR).await.unwrap_err().to_string();
    assert!(error.contains("package-broker migrate"), "{error}");
    Database::migrate(&options).await.unwrap();
    assert_eq!(count_again(&cache, "a").await, 1);
}

#[tokio::test]
async fn nobody_at_home_is_no_error_at_the_start() {
    let url = format!("postgres://u:hidden@127.0.0.1:{}/x", free_port());
    let cache = Postgres::open(&Options::parse(&url, None).unwrap())
        .await
        .unwrap();
    let error = cache.count("a", HOUR).await.unwrap_err().to_string();
    assert!(
        error.contains("refused") && !error.contains("hidden"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_stops_and_starts_is_used_on_and_everything_was_heard() {
    let log = Log::start();
    let one = alone().await;
    let two = one.other().await;
    let (mut heard_by_one, mut heard_by_two) = (one.changes(), two.changes());
    for outage in 1..=2 {
        one.server.stop().unwrap();
        count_until_it_fails(&one).await;
        count_until_it_fails(&two).await;
        one.announce(packages(9)).await.unwrap_err();
        one.server.run().unwrap();
        let key = format!("after {outage}");
        assert_eq!(count_again(&one, &key).await, 1);
        assert_eq!(count_again(&two, &key).await, 2);
        hear_everything(&mut heard_by_one).await;
        hear_everything(&mut heard_by_two).await;
        one.announce(packages(outage)).await.unwrap();
        while next(&mut heard_by_two).await.unwrap() != packages(outage) {}
        let warnings = log
            .lines()
            .into_iter()
            .filter(|line| line.starts_with("WARN") && line.contains("does not answer"))
            .count();
        assert_eq!(warnings, 2 * outage, "{:?}", log.lines());
    }
}

#[tokio::test]
async fn a_silent_server_holds_nobody_up() {
    let held = alone().await;
    let mut changes = held.changes();
    assert_eq!(held.count("a", HOUR).await.unwrap(), 1);
    held.server.pause().unwrap();
    // Far more than the bound and far less than the calls' bounds together.
    let started = Instant::now();
    for _ in 0..100 {
        held.count("a", HOUR).await.unwrap_err();
        held.announce(packages(1)).await.unwrap_err();
    }
    assert!(started.elapsed() < RESPONSE * 20, "{:?}", started.elapsed());
    held.server.resume().unwrap();
    count_again(&held, "a").await;
    hear_everything(&mut changes).await;
}

#[tokio::test]
async fn a_silence_is_noticed_without_any_call() {
    let log = Log::start();
    let held = alone().await;
    let mut changes = held.changes();
    held.server.pause().unwrap();
    let deadline = Instant::now() + PATIENCE * 3;
    while !log.lines().iter().any(|line| line.starts_with("WARN")) {
        assert!(Instant::now() < deadline, "{:?}", log.lines());
        sleep(Duration::from_millis(50)).await;
    }
    held.server.resume().unwrap();
    assert_eq!(next(&mut changes).await, Ok(Change::Everything));
}

#[tokio::test]
async fn a_word_that_nobody_listened_to_is_made_up_for() {
    let one = held().await;
    let two = one.other().await;
    let mut heard_by_two = two.changes();
    one.cut();
    // No receiver is there for this one.
    one.sql(r#"NOTIFY package_broker_changes, '{"v":1,"id":"x","packages":["acme/p1"]}'"#);
    assert_eq!(next(&mut heard_by_two).await, Ok(Change::Everything));
    assert!(heard_by_two.is_empty());
    let deadline = Instant::now() + PATIENCE;
    while one.announce(packages(2)).await.is_err() {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20)).await;
    }
    while next(&mut heard_by_two).await.unwrap() != packages(2) {}
}

#[tokio::test]
async fn what_could_not_be_announced_is_owed_to_the_others() {
    let held = held().await;
    held.sql(
        "CREATE ROLE owing LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO owing; \
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO owing",
    );
    let url = held
        .server
        .url(held.options.place().rsplit('/').next().unwrap());
    let url = url.replace("//postgres@", "//owing@");
    let one = Postgres::open(&Options::parse(&url, None).unwrap())
        .await
        .unwrap();
    assert_eq!(one.count("a", HOUR).await.unwrap(), 1);
    let mut heard_by_other = held.changes();
    held.sql("ALTER ROLE owing NOLOGIN");
    held.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'owing'");
    count_until_it_fails(&one).await;
    one.announce(packages(1)).await.unwrap_err();
    held.sql("ALTER ROLE owing LOGIN");
    assert_eq!(next(&mut heard_by_other).await, Ok(Change::Everything));
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_left_until_it_does() {
    let held = held().await;
    let mut changes = held.changes();
    let name = held.options.place().rsplit('/').next().unwrap().to_owned();
    held.sql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    ));
    let error = count_until_it_fails(&held).await.to_string();
    assert!(error.contains(&name), "{error}");
    let deadline = Instant::now() + PATIENCE;
    while !count_until_it_fails(&held)
        .await
        .to_string()
        .contains("read-only")
    {
        assert!(Instant::now() < deadline, "it is not told why");
        sleep(Duration::from_millis(20)).await;
    }
    let reset = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
    held.server.sql("postgres", &reset).unwrap();
    count_again(&held, "a").await;
    hear_everything(&mut changes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_cache_that_was_dropped() {
    let held = held().await;
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'package-broker'";
    let other = held.other().await;
    let before: u32 = held.sql(connections).parse().unwrap();
    drop(other);
    let deadline = Instant::now() + PATIENCE;
    // Its listener and one for commands.
    while held.sql(connections).parse::<u32>().unwrap() != before - 2 {
        assert!(Instant::now() < deadline, "{}", held.sql(connections));
        sleep(Duration::from_millis(20)).await;
    }
}
