//! The audit log over databases that are away for a while: records come afterwards, or it is told how many were lost.

use std::{sync::Arc, time::Duration};

use package_broker_core::{
    domain::audit::{Action, Actor, Event, Record},
    ports::audit::{AuditStore, Filter},
    services::audit::{AuditPolicy, AuditService, MAX_WAITING},
    telemetry::Telemetry,
};
use package_broker_drivers::database::{
    postgres::{Options, Postgres},
    sqlite::Sqlite,
};
use package_broker_e2e::postgres::Postgres as Server;
use sqlx::{Connection, SqliteConnection};

struct World {
    store: Arc<dyn AuditStore>,
    telemetry: Arc<Telemetry>,
    service: AuditService,
}

impl World {
    fn over(store: Arc<dyn AuditStore>) -> Self {
        let telemetry = Arc::new(Telemetry::default());
        let service = AuditService::new(Arc::clone(&store), Arc::clone(&telemetry));
        service.set_policy(AuditPolicy {
            enabled: true,
            retention: Duration::from_hours(1),
        });
        Self {
            store,
            telemetry,
            service,
        }
    }

    fn read(&self, package: &str) {
        self.service.note(&Event {
            subject: Some(package),
            ..Event::new(Actor::Token("ci"), Action::PackageRead)
        });
    }

    async fn records(&self) -> Vec<Record> {
        let (mut all, mut after) = (Vec::new(), None);
        let filter = Filter::default();
        loop {
            let page = self.store.read_records(&filter, after, 5_000);
            let page = page.await.unwrap();
            let Some((position, _)) = page.last() else {
                return all;
            };
            after = Some(*position);
            all.extend(page.into_iter().map(|(_, record)| record));
        }
    }

    /// What happens while the store is away and after it came back.
    async fn away<F: Future<Output = ()>>(self, back: impl FnOnce() -> F) {
        self.read("acme/during");
        assert!(self.service.flush().await.is_err());
        self.read("acme/during");
        for number in 0..MAX_WAITING {
            self.read(&format!("acme/p{number}"));
        }
        let lost = self.telemetry.audit_lost.get();
        assert!(lost > 0 && self.telemetry.audit_write_failures.get() == 1);
        back().await;
        self.service.flush().await.unwrap();
        self.service.flush().await.unwrap();
        let records = self.records().await;
        let of = |action| records.iter().filter(move |record| record.action == action);
        let told: u64 = of(Action::AuditLost).map(|record| record.count).sum();
        assert_eq!(told, lost);
        let counted: u64 = of(Action::PackageRead).map(|record| record.count).sum();
        // One was there before.
        assert_eq!(counted + lost, MAX_WAITING as u64 + 3);
        assert_eq!(self.service.waiting(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_outlive_a_postgresql_that_is_away() {
    let server = Server::start().unwrap();
    let options = Options::parse(&server.database().unwrap(), None).unwrap();
    Postgres::migrate(&options).await.unwrap();
    let world = World::over(Arc::new(Postgres::open(&options).await.unwrap()));
    world.read("acme/before");
    world.service.flush().await.unwrap();
    server.stop().unwrap();
    world.away(|| async { server.run().unwrap() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_outlive_a_sqlite_file_that_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let world = World::over(Arc::new(Sqlite::open(&file).await.unwrap()));
    world.read("acme/before");
    world.service.flush().await.unwrap();
    let url = format!("sqlite://{}", file.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await;
    lock.unwrap();
    world.away(|| async { other.close().await.unwrap() }).await;
}
