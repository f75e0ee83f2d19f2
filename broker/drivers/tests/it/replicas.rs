//! Several brokers on one database: what one changes, the others serve.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use package_broker_core::{
    broker::{Broker, Ports},
    domain::{
        archive::{ArchiveFormat, ArchiveKey},
        installation::{Installation, Limits},
        metadata::Channel,
        names::RepositoryName,
        patterns::{NameFilter, NamePattern},
        permissions::Permissions,
        repository::{Repository, SourceKind},
        scope::Scope,
        token::{self, TokenHash},
    },
    ports::{
        cache::Cache,
        database::{ClaimStore, Encoding, PackageStore, RepositoryStore, TokenRecord},
    },
    services::{package::Answer, token::Refusal},
    sync::SyncError,
};
use package_broker_drivers::{
    cache::memory::Memory,
    database::postgres::{Options, Postgres},
    source::{SourceFactory, SourceLimits},
    storage::filesystem::Filesystem,
};
use package_broker_e2e::postgres::Postgres as Server;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    artifact::build::package_zip,
    support::source::{loopback, repository},
};

/// What a change may take to be seen everywhere; tests allow for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One process of an installation. It follows the database until it is dropped.
struct Replica {
    broker: Arc<Broker>,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Replica {
    async fn start(options: &Options, cache: Arc<dyn Cache>) -> Self {
        let archives = tempfile::tempdir().unwrap();
        let storage = Filesystem::open(archives.path()).await.unwrap();
        Self::over(options, cache, storage, archives).await
    }

    /// One that may share its storage.
    async fn over(
        options: &Options,
        cache: Arc<dyn Cache>,
        storage: Filesystem,
        folder: TempDir,
    ) -> Self {
        let sources = SourceFactory::new(
            Arc::new(loopback()),
            SourceLimits::default(),
            folder.path().join("git"),
        );
        let ports = Ports {
            database: Arc::new(Postgres::open(options).await.unwrap()),
            storage: Arc::new(storage),
            cache,
            sources: Arc::new(sources),
        };
        let broker = Broker::open(ports, nothing(), 1 << 20).await.unwrap();
        let replica = Self {
            broker: Arc::new(broker),
            stop: CancellationToken::new(),
            _folder: folder,
        };
        let (broker, stop) = (Arc::clone(&replica.broker), replica.stop.clone());
        tokio::spawn(async move { broker.follower.run(stop).await });
        replica
    }

    /// What a token is answered for a name, once that can be told: a replica that has not heard yet says so.
    async fn answer(&self, token: &SecretString, name: &str) -> Result<Answer, Refusal> {
        let grant = self.broker.tokens.authenticate(token.expose_secret())?;
        let packages = &self.broker.packages;
        let began = Instant::now();
        loop {
            let document = packages.document(&grant, name, Channel::Stable, Encoding::Gzip, None);
            match document.await {
                Ok(answer) => return Ok(answer),
                Err(error) => assert!(began.elapsed() < PATIENCE, "{name}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The date and bytes that a token is served, once there are any.
    async fn served(&self, token: &SecretString, name: &str) -> (String, Vec<u8>) {
        let began = Instant::now();
        loop {
            if let Ok(Answer::Document { dated, bytes, .. }) = self.answer(token, name).await {
                return (
                    String::from_utf8(dated.date.to_vec()).unwrap(),
                    bytes.to_vec(),
                );
            }
            assert!(began.elapsed() < PATIENCE, "{name} is never served");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a token is answered as expected.
    async fn until(
        &self,
        token: &SecretString,
        name: &str,
        expected: impl Fn(&Result<Answer, Refusal>) -> bool,
    ) {
        let began = Instant::now();
        loop {
            let answer = self.answer(token, name).await;
            if expected(&answer) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{name}: it stays {answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn nothing() -> Installation {
    Installation::new(
        "https://packages.example.com",
        vec![],
        vec![],
        Limits::default(),
    )
}

/// A folder of archives as a repository.
fn source(folder: &Path, name: &str, priority: i32) -> Repository {
    Repository {
        name: RepositoryName::new(name),
        kind: SourceKind::Artifact,
        priority,
        filter: NameFilter::default(),
        ..repository(folder.to_str().unwrap())
    }
}

fn installation(repositories: &[Repository]) -> Installation {
    Installation::new(
        "https://packages.example.com",
        repositories.to_vec(),
        vec![],
        Limits::default(),
    )
}

fn record(name: &str, token: &SecretString, scope: &Scope) -> (TokenRecord, Permissions) {
    let record = TokenRecord {
        name: name.to_owned(),
        hash: TokenHash::of(token.expose_secret()),
        grant: serde_json::to_string(scope).unwrap(),
        expires_at: None,
    };
    (record, scope.clone().into())
}

fn empty_database() -> (Options, Arc<Server>) {
    let server = Server::shared().unwrap();
    let options = Options::parse(&server.database().unwrap(), None).unwrap();
    (options, server)
}

/// Two replicas that hear nothing of each other: what they know comes from the database alone.
async fn deaf(options: &Options) -> [Replica; 2] {
    Postgres::migrate(options).await.unwrap();
    let cache = || Arc::new(Memory::new(1 << 20));
    [
        Replica::start(options, cache()).await,
        Replica::start(options, cache()).await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_syncs_all_serve_with_the_same_dates() {
    let (options, _server) = empty_database();
    let [one, other] = deaf(&options).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.zip"), package_zip("acme/lib", "1.0")).unwrap();
    let team = source(folder.path(), "team", 0);
    let mut installed = Vec::new();
    for replica in [&one, &other] {
        let whole = installation(std::slice::from_ref(&team));
        installed.push(replica.broker.repositories.install(whole).await.unwrap());
    }
    let token = token::generate().unwrap();
    let everything = record("ci", &token, &Scope::default());
    one.broker.tokens.replace(vec![everything]).await.unwrap();

    let sync = async |version: &str| {
        std::fs::write(
            folder.path().join("a.zip"),
            package_zip("acme/lib", version),
        )
        .unwrap();
        let team = &installed[0].repositories()[0];
        one.broker.syncs.sync(team).await.unwrap();
        one.served(&token, "acme/lib").await
    };
    let first = sync("1.0").await;
    assert_eq!(other.served(&token, "acme/lib").await, first);
    let second = sync("2.0").await;
    assert_ne!(second, first);
    other
        .until(&token, "acme/lib", |answer| {
            matches!(answer, Ok(Answer::Document { bytes, .. }) if bytes[..] == second.1[..])
        })
        .await;
    assert_eq!(other.served(&token, "acme/lib").await, second);

    std::fs::remove_file(folder.path().join("a.zip")).unwrap();
    std::fs::write(
        folder.path().join("b.zip"),
        package_zip("acme/other", "1.0"),
    )
    .unwrap();
    let team = &installed[0].repositories()[0];
    one.broker.syncs.sync(team).await.unwrap();
    other
        .until(&token, "acme/other", |answer| {
            matches!(answer, Ok(Answer::Document { .. }))
        })
        .await;
    assert_eq!(one.broker.catalog.absent(), other.broker.catalog.absent());
    assert_eq!(other.broker.catalog.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_come_change_and_go_everywhere() {
    let (options, _server) = empty_database();
    let [one, other] = deaf(&options).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.zip"), package_zip("acme/lib", "1.0")).unwrap();
    let team = source(folder.path(), "team", 0);
    let installed = one
        .broker
        .repositories
        .install(installation(&[team]))
        .await
        .unwrap();
    one.broker
        .syncs
        .sync(&installed.repositories()[0])
        .await
        .unwrap();

    let token = token::generate().unwrap();
    assert_eq!(
        other.answer(&token, "acme/lib").await.unwrap_err(),
        Refusal::Unknown
    );
    let wide = record("ci", &token, &Scope::default());
    one.broker.tokens.replace(vec![wide]).await.unwrap();
    other.served(&token, "acme/lib").await;

    let scope = Scope {
        packages: vec![NamePattern::new("globex/*")],
        ..Scope::default()
    };
    one.broker
        .tokens
        .replace(vec![record("ci", &token, &scope)])
        .await
        .unwrap();
    other
        .until(&token, "acme/lib", |answer| {
            matches!(answer, Ok(Answer::Missing))
        })
        .await;
    one.broker.tokens.replace(vec![]).await.unwrap();
    other
        .until(&token, "acme/lib", |answer| {
            matches!(answer, Err(Refusal::Unknown))
        })
        .await;
}

/// Both repositories have the same names, and both syncs run at once, again and again: whatever the order of their
/// writes, each name ends with its rightful owner on both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syncs_of_two_replicas_agree_on_owners() {
    const NAMES: usize = 40;
    let (options, _server) = empty_database();
    let [one, other] = deaf(&options).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let high = source(folders[0].path(), "high", 10);
    let low = source(folders[1].path(), "low", 0);
    let mut installed = Vec::new();
    for replica in [&one, &other] {
        let both = installation(&[high.clone(), low.clone()]);
        installed.push(replica.broker.repositories.install(both).await.unwrap());
    }
    for round in 0..4 {
        for (folder, every) in folders.iter().zip([2, 1]) {
            for number in (0..NAMES).step_by(every) {
                let zip = package_zip(&format!("acme/p{number}"), &format!("1.{round}"));
                std::fs::write(folder.path().join(format!("{number}.zip")), zip).unwrap();
            }
        }
        let (first, second) = tokio::join!(
            one.broker.syncs.sync(&installed[0].repositories()[0]),
            other.broker.syncs.sync(&installed[1].repositories()[1]),
        );
        first.unwrap();
        second.unwrap();
    }
    for replica in [&one, &other] {
        replica.broker.follower.look().await.unwrap();
        for number in 0..NAMES {
            let name = format!("acme/p{number}");
            let entry = replica.broker.catalog.find(&name).unwrap();
            let owner = if number % 2 == 0 { "high" } else { "low" };
            assert_eq!(entry.published.owner.as_str(), owner, "{name}");
        }
    }
}

/// Told by the cache, a replica need not wait for its next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_makes_it_faster() {
    let (options, _server) = empty_database();
    Postgres::migrate(&options).await.unwrap();
    let cache = Arc::new(Memory::new(1 << 20));
    let one = Replica::start(&options, Arc::clone(&cache) as _).await;
    let other = Replica::start(&options, cache).await;
    let mut times = Vec::new();
    for _ in 0..21 {
        let token = token::generate().unwrap();
        let all = record("ci", &token, &Scope::default());
        one.broker.tokens.replace(vec![all]).await.unwrap();
        let began = Instant::now();
        while other
            .broker
            .tokens
            .authenticate(token.expose_secret())
            .is_err()
        {
            assert!(began.elapsed() < PATIENCE, "the token never comes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(began.elapsed());
    }
    times.sort();
    // Without word it would be half of the time between two looks.
    assert!(
        times[10] < package_broker_core::services::follow::LOOK / 4,
        "{times:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_synced_by_one_process_at_a_time() {
    let (options, _server) = empty_database();
    let [one, _other] = deaf(&options).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.zip"), package_zip("acme/lib", "1.0")).unwrap();
    let team = source(folder.path(), "team", 0);
    let installed = one
        .broker
        .repositories
        .install(installation(&[team]))
        .await
        .unwrap();
    let team = &installed.repositories()[0];

    // Another process, which ends without a word.
    let database = Postgres::open(&options).await.unwrap();
    let lease = Duration::from_millis(500);
    database.claim("sync team", lease).await.unwrap().unwrap();
    let refused = one.broker.syncs.sync(team).await.unwrap_err();
    assert!(matches!(refused, SyncError::Elsewhere), "{refused}");
    let record = &database.repositories().await.unwrap()[0];
    assert_eq!((&record.failure, record.changed_at), (&None, None));

    let began = Instant::now();
    while one.broker.syncs.sync(team).await.is_err() {
        assert!(
            began.elapsed() < PATIENCE,
            "the claim of a dead process never ends"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(one.broker.catalog.find("acme/lib").is_some());
}

/// However many ask whichever replica for a cold archive, it is fetched once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_archive_is_fetched_once_by_all_replicas() {
    let (options, _server) = empty_database();
    Postgres::migrate(&options).await.unwrap();
    let archives = tempfile::tempdir().unwrap();
    let storage = Filesystem::open(archives.path()).await.unwrap();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let own = tempfile::tempdir().unwrap();
        let cache = Arc::new(Memory::new(1 << 20));
        replicas.push(Replica::over(&options, cache, storage.clone(), own).await);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.zip"), package_zip("acme/lib", "1.0")).unwrap();
    let team = source(folder.path(), "team", 0);
    for replica in &replicas {
        let whole = installation(std::slice::from_ref(&team));
        replica.broker.repositories.install(whole).await.unwrap();
    }
    let first = &replicas[0].broker;
    let team = Arc::clone(&first.catalog.installation().repositories()[0]);
    first.syncs.sync(&team).await.unwrap();
    let token = token::generate().unwrap();
    let all = record("ci", &token, &Scope::default());
    first.tokens.replace(vec![all]).await.unwrap();
    for replica in &replicas {
        replica.served(&token, "acme/lib").await;
    }

    let package = crate::support::source::name("acme/lib");
    let content = Postgres::open(&options).await.unwrap();
    let content = content
        .versions(&team.name, &package)
        .await
        .unwrap()
        .unwrap();
    let version = &content.versions[0];
    let key = ArchiveKey {
        package,
        version: version.normalized().as_str().to_owned(),
        reference: version.dist().unwrap().segment(),
    };
    let asks = replicas
        .iter()
        .flat_map(|replica| [replica; 8])
        .map(|replica| async {
            let grant = replica
                .broker
                .tokens
                .authenticate(token.expose_secret())
                .unwrap();
            let opened = replica
                .broker
                .dists
                .open(&grant, &key, ArchiveFormat::Zip)
                .await;
            opened.unwrap().0.blob
        });
    let blobs = futures::future::join_all(asks).await;
    assert!(blobs.iter().all(|blob| *blob == blobs[0]));
    let fetched: u64 = replicas
        .iter()
        .map(|replica| replica.broker.telemetry.archive_fetches.get())
        .sum();
    assert_eq!(fetched, 1);
}
