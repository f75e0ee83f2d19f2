//! Git over ssh: keys, known hosts, and how long a key lies on the disk.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use package_broker_core::{
    domain::repository::Repository,
    ports::source::{Source as _, SourceError},
};
use package_broker_drivers::source::{SourceFactory, SourceLimits, http::Network};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::refused;
use crate::support::{
    git::{Origin, Reader, git_repository},
    source::{credentials, loopback, network},
    sshd::Sshd,
};

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_with_a_key_and_a_known_host() {
    let origin = Origin::new();
    let server = Sshd::start();
    let with = |key: &str, host: &str| Repository {
        credentials: credentials(&[
            ("ssh-privatekey", &server.key(key)),
            ("known_hosts", &server.known_hosts(host)),
        ]),
        ..git_repository(&server.url(origin.path()))
    };
    // What means something in ssh's options means nothing in a folder's name.
    let mirrors = tempfile::Builder::new()
        .prefix("a b%h ${HOME} \"c\"")
        .tempdir()
        .unwrap();
    let reader = Reader::at(&with("client", "host"), Arc::new(mirrors));
    let first = reader.sync().await;
    assert_eq!(first.pretty(), ["dev-main"]);
    assert!(reader.sync_after(Some(&first)).await.unwrap().unchanged);
    assert!(
        reader
            .archive(&first.references()["dev-main"])
            .await
            .is_ok()
    );

    assert_eq!(keys(reader.mirrors.path()), Vec::<PathBuf>::new());

    let error = refused(&with("client", "stranger")).await;
    assert!(
        matches!(error, SourceError::Misconfigured { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("known_hosts"), "{error}");
    let error = refused(&with("stranger", "host")).await;
    assert!(matches!(error, SourceError::Denied { .. }), "{error}");

    let bare = git_repository(&server.url(origin.path()));
    let error = refused(&bare).await;
    assert!(error.to_string().contains("ssh-privatekey"), "{error}");
    let missing = Repository {
        url: server.url(&origin.path().join("none")),
        ..with("client", "host")
    };
    let error = refused(&missing).await;
    assert!(
        error.to_string().contains("there is no git repository"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_unavailable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let keys = credentials(&[("ssh-privatekey", "none"), ("known_hosts", "none")]);
    let repository = Repository {
        credentials: keys,
        ..git_repository(&format!("ssh://git@127.0.0.1:{port}/x.git"))
    };
    let error = refused(&repository).await;
    assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

/// Sources of repositories at a host that accepts connections and says nothing.
struct Silent {
    listener: TcpListener,
    network: Arc<Network>,
    mirrors: Arc<TempDir>,
}

impl Silent {
    async fn start(per_host: usize) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            network: network(SourceLimits {
                per_host,
                ..SourceLimits::default()
            }),
            mirrors: Arc::new(TempDir::new().unwrap()),
        }
    }

    /// A survey that goes on until it is aborted.
    fn survey(&self, path: &str) -> JoinHandle<()> {
        let port = self.listener.local_addr().unwrap().port();
        let repository = Repository {
            credentials: credentials(&[("ssh-privatekey", "none"), ("known_hosts", "none")]),
            ..git_repository(&format!("ssh://git@127.0.0.1:{port}/{path}"))
        };
        let reader = Reader::within(&self.network, &repository, Arc::clone(&self.mirrors));
        tokio::spawn(async move {
            let survey = reader.source.survey(None).await;
            panic!("{:?}", survey.err());
        })
    }

    /// The next connection, if there is one soon.
    async fn accept(&self, within: Duration) -> Option<TcpStream> {
        let accepted = tokio::time::timeout(within, self.listener.accept()).await;
        accepted.ok().map(|accepted| accepted.unwrap().0)
    }
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gets_so_many_conversations_at_once() {
    let host = Silent::start(2).await;
    let first = host.survey("a");
    let _first = host.accept(SOON).await.unwrap();
    let second = host.survey("b");
    let _second = host.accept(SOON).await.unwrap();
    let third = host.survey("c");
    assert!(host.accept(Duration::from_millis(700)).await.is_none());
    // A conversation that ends makes room, whichever way it ends.
    first.abort();
    assert!(host.accept(SOON).await.is_some(), "nobody followed");
    second.abort();
    third.abort();
}

/// The files in the folders of keys.
fn keys(git_dir: &Path) -> Vec<PathBuf> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut found: Vec<PathBuf> = below(&git_dir.join(".keys"))
        .iter()
        .flat_map(|room| below(room))
        .collect();
    found.sort();
    found
}

fn factory(git_dir: &Path) -> SourceFactory {
    SourceFactory::new(
        Arc::new(loopback()),
        SourceLimits::default(),
        git_dir.to_owned(),
    )
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_lie_below_the_mirrors_for_one_conversation() {
    let host = Silent::start(8).await;
    let git_dir = host.mirrors.path();
    let survey = host.survey("a");
    let _connection = host.accept(SOON).await.unwrap();
    let files = keys(git_dir);
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names, ["key", "known_hosts"]);
    for file in &files {
        assert_eq!(mode(file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
    assert_eq!(mode(&git_dir.join(".keys")), 0o700);

    // New settings open the folder anew, and leave what is in use.
    drop(factory(git_dir));
    assert_eq!(keys(git_dir).len(), 2);

    survey.abort();
    let deadline = Instant::now() + SOON;
    while !keys(git_dir).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", keys(git_dir));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn keys_of_a_killed_process_are_removed_at_the_start() {
    let git_dir = TempDir::new().unwrap();
    let left = git_dir.path().join(".keys/.tmpOld");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("key"), "secret").unwrap();
    let _factory = factory(git_dir.path());
    assert_eq!(keys(git_dir.path()), Vec::<PathBuf>::new());
}
