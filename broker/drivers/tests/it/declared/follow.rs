//! A process without manifests serves what another one declares.

use std::{sync::Arc, time::Duration};

use package_broker_core::{
    broker::{Broker, Ports},
    domain::{
        installation::{Installation, Limits},
        keyring::KeyRing,
        names::RepositoryName,
        repository::Repository,
    },
    services::declared::DeclaredService,
};
use package_broker_drivers::{
    cache::memory::Memory,
    source::{SourceFactory, SourceLimits},
    storage::filesystem::Filesystem,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Place, team};
use crate::support::source::loopback;

/// What a change may take to be seen; tests allow for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that has nothing but the database and the keys.
struct Follower {
    broker: Arc<Broker>,
    declared: watch::Receiver<i64>,
    service: DeclaredService,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn installation(repositories: Vec<Repository>) -> Installation {
    let limits = Limits::default();
    Installation::new("https://packages.example.com", repositories, vec![], limits)
}

impl Follower {
    async fn start(place: &Place, keys: &KeyRing) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = folder.path().join("git");
        let sources = SourceFactory::new(Arc::new(loopback()), SourceLimits::default(), git);
        let ports = Ports {
            database: Arc::clone(&place.database),
            storage: Arc::new(Filesystem::open(folder.path()).await.unwrap()),
            cache: Arc::new(Memory::new(1 << 16)),
            sources: Arc::new(sources),
        };
        let broker = Broker::open(ports, installation(vec![]), 1 << 20)
            .await
            .unwrap();
        let follower = Self {
            declared: broker.follower.declared(),
            broker: Arc::new(broker),
            service: place.service(keys),
            stop: CancellationToken::new(),
            _folder: folder,
        };
        let (broker, stop) = (Arc::clone(&follower.broker), follower.stop.clone());
        tokio::spawn(async move { broker.follower.run(stop).await });
        follower
    }

    /// Waits for the next change and puts it in force, with the last good state of what cannot be read. Returns the
    /// names of that.
    async fn take_over(&mut self) -> Vec<RepositoryName> {
        let changed = tokio::time::timeout(PATIENCE, self.declared.changed());
        changed.await.expect("a change is never seen").unwrap();
        let mut loaded = self.service.load().await.unwrap();
        let before = self.broker.catalog.installation();
        let bad: Vec<RepositoryName> = loaded
            .problems
            .into_iter()
            .map(|problem| problem.name)
            .collect();
        let kept = bad.iter().filter_map(|name| before.repository(name));
        loaded
            .repositories
            .extend(kept.map(|kept| Repository::clone(kept)));
        let after = installation(loaded.repositories);
        self.broker.repositories.install(after).await.unwrap();
        bad
    }

    fn repository(&self, name: &str) -> Option<Arc<Repository>> {
        let installation = self.broker.catalog.installation();
        installation.repository(&RepositoryName::new(name)).cloned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_declares_another_puts_in_force() {
    for place in Place::each().await {
        let keys = KeyRing::generate().unwrap();
        let writer = place.service(&keys);
        let mut follower = Follower::start(&place, &keys).await;
        writer
            .declare(&[team("a", "one"), team("b", "one")])
            .await
            .unwrap();
        assert_eq!(follower.take_over().await, []);
        let (a, b) = (
            follower.repository("a").unwrap(),
            follower.repository("b").unwrap(),
        );
        assert_eq!(a.credentials.text("password"), Some("one"));

        writer
            .declare(&[team("a", "one"), team("b", "two")])
            .await
            .unwrap();
        assert_eq!(follower.take_over().await, []);
        assert!(
            Arc::ptr_eq(&a, &follower.repository("a").unwrap()),
            "it goes on undisturbed"
        );
        let changed = follower.repository("b").unwrap();
        assert!(!Arc::ptr_eq(&b, &changed));
        assert_eq!(changed.credentials.text("password"), Some("two"));

        // Sealed with a key that is not here yet: the last good one goes on.
        let new = keys.with_new_primary().unwrap();
        let newer = place.service(&new);
        newer
            .declare(&[team("b", "three"), team("c", "three")])
            .await
            .unwrap();
        let bad = follower.take_over().await;
        assert_eq!(bad, [RepositoryName::new("b"), RepositoryName::new("c")]);
        assert!(follower.repository("a").is_none() && follower.repository("c").is_none());
        assert!(Arc::ptr_eq(&changed, &follower.repository("b").unwrap()));
        follower.service = newer;
        writer.withdraw(&RepositoryName::new("c")).await.unwrap();
        assert_eq!(follower.take_over().await, []);
        let last = follower.repository("b").unwrap();
        assert_eq!(last.credentials.text("password"), Some("three"));
    }
}

#[tokio::test]
async fn only_a_change_of_what_is_declared_is_told() {
    for place in Place::each().await {
        let keys = KeyRing::generate().unwrap();
        let follower = Follower::start(&place, &keys).await;
        follower.stop.cancel();
        let look = || follower.broker.follower.look();
        let writer = place.service(&keys);
        writer.declare(&[team("a", "one")]).await.unwrap();
        let mut declared = follower.broker.follower.declared();
        look().await.unwrap();
        declared.mark_unchanged();
        let seen = *declared.borrow();
        assert_eq!(seen, place.database.revisions().await.unwrap().declared);

        writer.declare(&[team("a", "one")]).await.unwrap();
        place.database.save_setting("a", "b").await.unwrap();
        place
            .database
            .forget_repository(&RepositoryName::new("a"))
            .await
            .unwrap();
        look().await.unwrap();
        assert!(!declared.has_changed().unwrap());
        writer.declare(&[]).await.unwrap();
        look().await.unwrap();
        assert!(declared.has_changed().unwrap());
    }
}
