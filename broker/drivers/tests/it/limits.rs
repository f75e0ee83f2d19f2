//! Limits of requests that several brokers share, and what becomes of them when the cache does not answer.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use package_broker_core::{
    domain::quota::Quota,
    ports::cache::Cache,
    services::limit::{LimitService, Slowdown},
    telemetry::Telemetry,
};
use package_broker_drivers::{
    cache::{
        postgres,
        redis::{self, Redis},
    },
    database::postgres::Postgres as Database,
};
use package_broker_e2e::postgres::Postgres as Server;

use crate::support::{log::Log, redis::RedisServer};

const PATIENCE: Duration = Duration::from_mins(1);

fn address(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

/// The limits of one broker.
struct Limits {
    service: LimitService,
    telemetry: Arc<Telemetry>,
}

impl Limits {
    fn over(cache: impl Cache + 'static) -> Self {
        let telemetry = Arc::<Telemetry>::default();
        Self {
            service: LimitService::new(Arc::new(cache), Arc::clone(&telemetry)),
            telemetry,
        }
    }

    async fn on_redis(server: &RedisServer) -> Self {
        let options = redis::Options::new(server.url("", ""));
        Self::over(Redis::open(options).await.unwrap())
    }

    async fn remaining(&self, address: IpAddr, quota: Quota) -> u32 {
        self.service.take_of_address(address, quota).await.remaining
    }
}

/// Two brokers under parallel load let through what the quota says, and not one request more.
async fn share_exactly(one: Limits, two: Limits) {
    let quota = Quota::per_hour(200);
    let (one, two) = (Arc::new(one), Arc::new(two));
    let started = Instant::now();
    let takers = (0..32).map(|number| {
        let limits = Arc::clone([&one, &two][number % 2]);
        tokio::spawn(async move {
            let mut allowed = 0;
            for _ in 0..25 {
                let taken = limits.service.take_of_address(address(1), quota).await;
                allowed += u64::from(taken.allowed);
            }
            allowed
        })
    });
    let allowed = futures::future::join_all(takers).await;
    let allowed: u64 = allowed.into_iter().map(Result::unwrap).sum();
    let alone = one.telemetry.limits_alone.get() + two.telemetry.limits_alone.get();
    assert_eq!(alone, 0, "the cache answered all the time");
    let elapsed = u64::try_from(started.elapsed().as_micros()).unwrap();
    assert!(
        (200..=200 + elapsed / quota.cost()).contains(&allowed),
        "{allowed} after {elapsed} µs"
    );
    let refused = one.telemetry.over_limit.get() + two.telemetry.over_limit.get();
    assert_eq!(refused, 800 - allowed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_on_one_redis_share_limits_exactly() {
    let server = RedisServer::start();
    let (one, two) = (
        Limits::on_redis(&server).await,
        Limits::on_redis(&server).await,
    );
    share_exactly(one, two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_on_one_postgresql_share_limits_exactly() {
    let server = Server::shared().unwrap();
    let options = postgres::Options::parse(&server.database().unwrap(), None).unwrap();
    Database::migrate(&options).await.unwrap();
    let open = async || Limits::over(postgres::Postgres::open(&options).await.unwrap());
    share_exactly(open().await, open().await).await;
}

#[tokio::test]
async fn an_ipv6_client_counts_with_its_network() {
    let server = RedisServer::start();
    let limits = Limits::on_redis(&server).await;
    let quota = Quota::per_hour(60);
    for (text, remaining) in [
        ("2001:db8::1", 59),
        ("2001:db8::ffff:1", 58),
        ("2001:db8:0:1::1", 59),
        ("192.0.2.1", 59),
        ("::ffff:192.0.2.1", 58),
        ("192.0.2.2", 59),
    ] {
        let left = limits.remaining(text.parse().unwrap(), quota).await;
        assert_eq!(left, remaining, "{text}");
    }
}

#[tokio::test]
async fn without_the_cache_each_process_keeps_limits_alone_and_says_so_once() {
    let log = Log::start();
    let mut server = RedisServer::start();
    let limits = Limits::on_redis(&server).await;
    let quota = Quota::per_hour(60);
    for remaining in (50..60).rev() {
        assert_eq!(limits.remaining(address(1), quota).await, remaining);
    }
    server.stop();
    // In memory, the bucket begins full, and it is kept.
    let mut alone = 0;
    for remaining in (0..60).rev() {
        assert_eq!(limits.remaining(address(1), quota).await, remaining);
        alone += 1;
        assert_eq!(limits.telemetry.limits_alone.get(), alone);
    }
    assert!(
        !limits
            .service
            .take_of_address(address(1), quota)
            .await
            .allowed
    );
    server.restart_empty();
    let deadline = Instant::now() + PATIENCE;
    while limits.remaining(address(1), quota).await != 59 {
        assert!(Instant::now() < deadline, "they are never shared again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lines = log.lines();
    let said = |text| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(said("kept in this process alone"), 1, "{lines:?}");
    assert_eq!(said("limits of requests are shared"), 1, "{lines:?}");
}

/// Whoever guesses is told "too many" by every broker, and has no new start when the cache goes away.
#[tokio::test]
async fn guesses_are_counted_by_all_and_without_the_cache_too() {
    let mut server = RedisServer::start();
    let (one, two) = (
        Limits::on_redis(&server).await,
        Limits::on_redis(&server).await,
    );
    for number in 0..70 {
        let limits = [&one, &two][number % 2];
        limits.service.failed(address(1)).await;
    }
    let refused = |slowdown| matches!(slowdown, Slowdown::Refuse { .. });
    assert!(refused(one.service.failed(address(1)).await));
    assert_eq!(one.service.failed(address(2)).await, Slowdown::None);
    server.stop();
    assert!(matches!(
        one.service.failed(address(1)).await,
        Slowdown::Wait(_)
    ));
    for _ in 0..30 {
        one.service.failed(address(1)).await;
    }
    assert!(refused(one.service.failed(address(1)).await));
    assert_eq!(two.service.failed(address(3)).await, Slowdown::None);
}

#[tokio::test]
async fn a_silent_cache_holds_no_request_up_for_long() {
    let server = RedisServer::start();
    let limits = Limits::on_redis(&server).await;
    let quota = Quota::per_hour(10_000);
    assert_eq!(limits.remaining(address(1), quota).await, 9_999);
    server.pause();
    let started = Instant::now();
    for _ in 0..1_000 {
        assert!(
            limits
                .service
                .take_of_address(address(2), quota)
                .await
                .allowed
        );
    }
    // Far more than one wait, far less than the waits of all.
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(limits.telemetry.limits_alone.get(), 1_000);
    server.resume();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = limits.telemetry.limits_alone.get();
        limits.remaining(address(1), quota).await;
        if limits.telemetry.limits_alone.get() == before {
            return;
        }
        assert!(Instant::now() < deadline, "they are never shared again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
