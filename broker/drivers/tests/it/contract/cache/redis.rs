//! The promises kept on a real Redis, and what a server on a network adds to them.

use std::time::Duration;

use async_trait::async_trait;
use package_broker_core::{
    domain::quota::Taken,
    ports::cache::{Cache, CacheError},
};
use package_broker_drivers::cache::redis::{Options, OptionsError, RESPONSE, Redis, UrlError};

use super::{super::promises, server::*, *};
use crate::support::{
    log::Log,
    redis::{RedisServer, free_port},
    tls::Authority,
};

mod groups;

/// What a user of an ACL needs, as the driver's documentation says.
const RIGHTS: &str = "~package-broker:* &package-broker:* +get +set +incr +setrange +multi +exec +eval +time +publish +subscribe +select";

/// A cache, and the servers it needs for as long as it lives.
struct Held {
    cache: Redis,
    _servers: Vec<RedisServer>,
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

async fn open(url: String) -> Redis {
    Redis::open(Options::new(url)).await.unwrap()
}

async fn held_on(server: RedisServer) -> Held {
    Held {
        cache: open(server.url("", "")).await,
        _servers: vec![server],
    }
}

every_promise!(held_on(RedisServer::start()).await);

mod oldest {
    use super::{RedisServer, held_on, promises};

    every_promise!(held_on(RedisServer::oldest()).await);
}

#[tokio::test]
async fn two_openings_share_counters_and_hear_each_other() {
    let server = RedisServer::start();
    let (one, two) = (
        open(server.url("", "")).await,
        open(server.url("", "")).await,
    );
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
    let server = RedisServer::start();
    let (one, two) = (
        open(server.url("", "")).await,
        open(server.url("", "")).await,
    );
    taking::nobody_gets_more_than_there_is(&[&one, &two]).await;
}

#[tokio::test]
async fn prefixes_and_databases_keep_installations_apart() {
    let server = RedisServer::start();
    let mut other = Options::new(server.url("", ""));
    other.prefix = "other:".to_owned();
    let caches = [
        open(server.url("", "")).await,
        open(server.url("", "/3")).await,
        Redis::open(other).await.unwrap(),
    ];
    let mut heard: Vec<_> = caches.iter().map(Cache::changes).collect();
    for (number, cache) in caches.iter().enumerate() {
        assert_eq!(cache.count("a", HOUR).await.unwrap(), 1);
        cache.announce(packages(number)).await.unwrap();
    }
    for (number, heard) in heard.iter_mut().enumerate() {
        assert_eq!(next(heard).await, Ok(packages(number)));
        assert!(heard.is_empty());
    }
    assert!(
        server
            .command("INFO keyspace")
            .contains("db3:keys=1,expires=1")
    );
}

#[tokio::test]
async fn every_key_expires_and_none_is_long() {
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    for key in ["", "plain", "{braces}", "#hash", &"long".repeat(10_000)] {
        for expected in 1..=2 {
            assert_eq!(cache.count(key, Duration::MAX).await.unwrap(), expected);
            cache.take(key, Quota::per_hour(60)).await.unwrap();
        }
    }
    let keys = server.command("INFO keyspace");
    assert!(keys.contains("keys=10,expires=10"), "{keys}");
    for key in server
        .command("KEYS *")
        .lines()
        .filter(|line| !line.starts_with(['$', '*', '+']))
    {
        assert!(
            key.starts_with("package-broker:count:") || key.starts_with("package-broker:quota:"),
            "{key}"
        );
        assert!(key.len() < 200, "{key}");
        assert!(!key.contains('{'), "{key}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_everything() {
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    let mut changes = cache.changes();
    for word in ["hello", r#"{\"v\":7}"#] {
        server.command(&format!("PUBLISH package-broker:changes:0 \"{word}\""));
        assert_eq!(next(&mut changes).await, Ok(Change::Everything));
    }
    let many = (0..20_000).map(|number| PackageName::parse(&format!("acme/p{number}")).unwrap());
    cache
        .announce(Change::Packages(many.collect()))
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, Ok(Change::Everything));
}

#[tokio::test]
async fn a_user_of_an_acl_needs_no_more_than_is_written() {
    let server = RedisServer::with(&format!(
        "user default off\nuser broker on >s3cr/t {RIGHTS}\n"
    ));
    let cache = open(server.url("broker:s3cr%2Ft@", "/1")).await;
    let mut changes = cache.changes();
    assert_eq!(cache.count("a", HOUR).await.unwrap(), 1);
    assert!(cache.take("a", Quota::per_hour(60)).await.unwrap().allowed);
    cache.announce(packages(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Ok(packages(1)));

    let mut besides = Options::new(server.url("broker@", "/1"));
    besides.password = Some("s3cr/t".into());
    let cache = Redis::open(besides).await.unwrap();
    assert_eq!(cache.count("a", HOUR).await.unwrap(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    let log = Log::start();
    let server = RedisServer::with_password("right", "");
    let cache = open(server.url(":hunter2@", "")).await;
    let error = cache.count("a", HOUR).await.unwrap_err().to_string();
    assert!(
        error.contains("assword") || error.contains("AUTH"),
        "{error}"
    );
    let told = format!("{error}{cache:?}{:?}", log.lines());
    assert!(!told.contains("hunter2"), "{told}");
    assert!(
        told.contains(&format!("redis://127.0.0.1:{}/0", server.port)),
        "{told}"
    );
}

#[tokio::test]
async fn wrong_options_are_refused() {
    let refused = async |change: fn(&mut Options)| {
        let mut options = Options::new("redis://localhost");
        change(&mut options);
        Redis::open(options).await.unwrap_err()
    };
    let url = |url: &'static str| Options::new(url);
    let error = Redis::open(url("localhost:6379")).await.unwrap_err();
    assert!(
        matches!(error, OptionsError::Url(UrlError::Scheme)),
        "{error}"
    );
    let error = Redis::open(url("redis://user@localhost"))
        .await
        .unwrap_err();
    assert!(matches!(error, OptionsError::NoPassword), "{error}");
    let mut twice = url("redis://:one@localhost");
    twice.password = Some("two".into());
    let error = Redis::open(twice).await.unwrap_err();
    assert!(matches!(error, OptionsError::TwoPasswords), "{error}");
    let error = refused(|options| options.ca = Some(String::new())).await;
    assert!(matches!(error, OptionsError::CaWithoutTls), "{error}");
    let error = refused(|options| options.prefix = "{x}".to_owned()).await;
    assert!(matches!(error, OptionsError::Prefix(_)), "{error}");
    let error = refused(|options| options.sentinel_password = Some("x".into())).await;
    assert!(matches!(error, OptionsError::NoSentinels), "{error}");
    let mut ca = url("rediss://localhost");
    ca.ca = Some("nothing".to_owned());
    let error = Redis::open(ca).await.unwrap_err();
    assert!(matches!(error, OptionsError::Ca(_)), "{error}");
}

#[tokio::test]
async fn tls_is_spoken_with_servers_of_the_given_authority_only() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = RedisServer::with_tls(&authority);
    let mut options = Options::new(server.url("", ""));
    options.ca = Some(authority.pem());
    let cache = Redis::open(options.clone()).await.unwrap();
    let mut changes = cache.changes();
    assert_eq!(cache.count("a", HOUR).await.unwrap(), 1);
    cache.announce(packages(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Ok(packages(1)));

    options.ca = Some(stranger.pem());
    let distrustful = Redis::open(options).await.unwrap();
    let error = distrustful.count("a", HOUR).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let mut server = RedisServer::start();
    server.stop();
    let cache = open(server.url("", "")).await;
    let mut changes = cache.changes();
    cache.count("a", HOUR).await.unwrap_err();
    cache.announce(packages(1)).await.unwrap_err();
    server.restart_empty();
    assert_eq!(count_again(&cache, "a").await, 1);
    hear_everything(&mut changes).await;
}

#[tokio::test]
async fn a_server_that_restarts_empty_is_used_on_and_everything_was_heard() {
    let log = Log::start();
    let mut server = RedisServer::start();
    let (one, two) = (
        open(server.url("", "")).await,
        open(server.url("", "")).await,
    );
    let (mut heard_by_one, mut heard_by_two) = (one.changes(), two.changes());
    for outage in 1..=2 {
        assert_eq!(one.count("a", HOUR).await.unwrap(), 1);
        server.stop();
        count_until_it_fails(&one).await;
        count_until_it_fails(&two).await;
        server.restart_empty();
        assert_eq!(count_again(&one, "b").await, 1);
        assert_eq!(count_again(&two, "b").await, 2);
        hear_everything(&mut heard_by_one).await;
        hear_everything(&mut heard_by_two).await;
        one.announce(packages(outage)).await.unwrap();
        while next(&mut heard_by_two).await.unwrap() != packages(outage) {}
        let warnings = log
            .lines()
            .into_iter()
            .filter(|line| line.starts_with("WARN"))
            .count();
        assert_eq!(warnings, 2 * outage, "{:?}", log.lines());
    }
}

#[tokio::test]
async fn a_silent_server_holds_nobody_up() {
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    let mut changes = cache.changes();
    assert_eq!(cache.count("a", HOUR).await.unwrap(), 1);
    server.pause();
    // Far more than the bound and far less than the calls' bounds together.
    let started = Instant::now();
    for _ in 0..100 {
        cache.count("a", HOUR).await.unwrap_err();
        cache.announce(packages(1)).await.unwrap_err();
    }
    assert!(started.elapsed() < RESPONSE * 20, "{:?}", started.elapsed());
    server.resume();
    count_again(&cache, "a").await;
    hear_everything(&mut changes).await;
}

#[tokio::test]
async fn a_silence_is_noticed_without_any_call() {
    let log = Log::start();
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    let mut changes = cache.changes();
    server.pause();
    let deadline = Instant::now() + PATIENCE * 3;
    while !log.lines().iter().any(|line| line.starts_with("WARN")) {
        assert!(Instant::now() < deadline, "{:?}", log.lines());
        sleep(Duration::from_millis(50)).await;
    }
    server.resume();
    assert_eq!(next(&mut changes).await, Ok(Change::Everything));
}

#[tokio::test]
async fn a_lost_subscription_is_made_again() {
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    let mut changes = cache.changes();
    server.command("CLIENT KILL TYPE pubsub");
    assert_eq!(next(&mut changes).await, Ok(Change::Everything));
    let deadline = Instant::now() + PATIENCE;
    while cache.announce(packages(1)).await.is_err() {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20)).await;
    }
    while next(&mut changes).await.unwrap() != packages(1) {}
}

#[tokio::test]
async fn what_could_not_be_announced_is_owed_to_the_others() {
    let server = RedisServer::start();
    server.command("ACL SETUSER one on >pw ~* &* +@all");
    let one = open(server.url("one:pw@", "")).await;
    let two = open(server.url("", "")).await;
    let mut heard_by_two = two.changes();
    server.command("ACL SETUSER one off");
    server.command("CLIENT KILL USER one");
    count_until_it_fails(&one).await;
    one.announce(packages(1)).await.unwrap_err();
    server.command("ACL SETUSER one on");
    assert_eq!(next(&mut heard_by_two).await, Ok(Change::Everything));
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_left_until_it_is_none() {
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    let mut changes = cache.changes();
    server.command(&format!("REPLICAOF 127.0.0.1 {}", free_port()));
    let error = count_until_it_fails(&cache).await.to_string();
    assert!(error.contains("ReadOnly"), "{error}");
    cache.announce(packages(1)).await.unwrap_err();
    server.command("REPLICAOF NO ONE");
    count_again(&cache, "a").await;
    hear_everything(&mut changes).await;
}

#[tokio::test]
async fn a_server_without_memory_still_passes_words_on() {
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    let mut changes = cache.changes();
    server.command("CONFIG SET maxmemory 1");
    let error = cache.count("a", HOUR).await.unwrap_err().to_string();
    assert!(error.contains("OOM"), "{error}");
    cache.announce(packages(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Ok(packages(1)));
    server.command("CONFIG SET maxmemory 0");
    assert_eq!(cache.count("a", HOUR).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_cache_that_was_dropped() {
    let server = RedisServer::start();
    let cache = open(server.url("", "")).await;
    assert!(server.command("CLIENT LIST TYPE pubsub").contains("sub=2"));
    drop(cache);
    // Our own connection alone.
    server.wait_for("INFO clients", "connected_clients:1\r");
}

#[tokio::test]
async fn nobody_at_home_is_no_error_at_the_start() {
    let cache = open(format!("redis://127.0.0.1:{}", free_port())).await;
    let error = cache.count("a", HOUR).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}
