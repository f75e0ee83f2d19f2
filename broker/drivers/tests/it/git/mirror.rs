//! The mirror: what is transferred when, and that nothing can break it for long.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use package_broker_core::{
    domain::repository::Repository,
    ports::source::{Reading, Source as _, SourceError},
};
use package_broker_drivers::source::{SourceLimits, git::GitSource};
use tempfile::TempDir;

use crate::support::{
    git::{Origin, Reader, git_repository, noise, run},
    git_http,
    http::{Request, Server},
    source::{known, network},
};

async fn serve(origin: &Origin) -> Server {
    Server::start(git_http::backend(origin.path().to_owned())).await
}

/// The ls-refs and fetch commands among the requests so far.
fn commands(server: &Server) -> Vec<&'static str> {
    let told = |request: &Request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if body.contains("command=ls-refs") {
            "ls-refs"
        } else if body.contains("command=fetch") {
            "fetch"
        } else {
            "greet"
        }
    };
    server.take_requests().iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_is_one_listing() {
    let origin = Origin::new();
    let server = serve(&origin).await;
    let reader = Reader::new(&server.url("/.git"));
    let first = reader.sync().await;
    assert_eq!(commands(&server), ["greet", "ls-refs", "fetch"]);

    let second = reader.sync_after(Some(&first)).await.unwrap();
    assert!(second.unchanged);
    assert_eq!(commands(&server), ["greet", "ls-refs"]);
    assert_eq!(second.state, first.state);

    // A state of an older program is no state.
    assert!(!reader.sync_after(None).await.unwrap().unchanged);
    assert_eq!(commands(&server), ["greet", "ls-refs"]);

    origin.commit("more");
    let third = reader.sync_after(Some(&second)).await.unwrap();
    assert!(!third.unchanged);
    let asked = commands(&server);
    assert!(
        asked.starts_with(&["greet", "ls-refs", "fetch"]),
        "{asked:?}"
    );
    assert_eq!(reader.packs(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_name_of_an_existing_commit_needs_no_pack() {
    let origin = Origin::new();
    let server = serve(&origin).await;
    let reader = Reader::new(&server.url("/.git"));
    let first = reader.sync().await;
    commands(&server);
    origin.git(&["tag", "1.0.0"]);
    let second = reader.sync_after(Some(&first)).await.unwrap();
    assert_eq!(commands(&server), ["greet", "ls-refs"]);
    assert_eq!(second.pretty(), ["1.0.0", "dev-main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_mirror_is_cloned_by_the_next_sync() {
    let origin = Origin::new();
    let server = serve(&origin).await;
    let reader = Reader::new(&server.url("/.git"));
    let first = reader.sync().await;
    fs::remove_dir_all(reader.mirror()).unwrap();
    let second = reader.sync_after(Some(&first)).await.unwrap();
    assert!(second.unchanged);
    // Archives need nobody else from then on.
    drop(server);
    let archive = reader.archive(&first.references()["dev-main"]).await;
    assert!(archive.is_ok(), "{:?}", archive.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_lost_after_the_survey_is_cloned_to_be_read() {
    let origin = Origin::new();
    let reader = Reader::new(&origin.url());
    let first = reader.sync().await;
    let survey = reader.source.survey(first.state.as_deref()).await.unwrap();
    fs::remove_dir_all(reader.mirror()).unwrap();
    let reading = survey.reader.read(&first.name, &known(None)).await.unwrap();
    let Reading::Found(found) = reading else {
        panic!("nothing was read")
    };
    assert_eq!(found.versions.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn litter_of_a_killed_process_is_swept() {
    let origin = Origin::new();
    let mirrors = Arc::new(TempDir::new().unwrap());
    let repository = git_repository(&origin.url());
    let mirror = {
        let reader = Reader::at(&repository, Arc::clone(&mirrors));
        reader.sync().await;
        reader.mirror()
    };
    let litter = [
        "packed-refs.lock",
        "HEAD.lock",
        "shallow.lock",
        "packed-refs.new",
        "objects/pack/tmp_pack_x",
        "objects/pack/pack-0000000000000000000000000000000000000000.pack",
    ];
    for file in litter {
        fs::write(mirror.join(file), "x").unwrap();
    }
    origin.release("1.0.0", r#"{"name":"acme/lib"}"#);
    let reader = Reader::at(&repository, Arc::clone(&mirrors));
    let synced = reader.sync().await;
    assert_eq!(synced.pretty(), ["1.0.0", "dev-main"]);
    for file in litter {
        assert!(!mirror.join(file).exists(), "{file}");
    }

    // A clone that was not whole goes though no ref has moved.
    drop(reader);
    let unfinished = mirror.with_extension("new");
    fs::create_dir(&unfinished).unwrap();
    let reader = Reader::at(&repository, mirrors);
    assert!(reader.sync_after(Some(&synced)).await.unwrap().unchanged);
    assert!(!unfinished.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_breaks_off_leaves_a_mirror_that_works() {
    let origin = Origin::new();
    let root = origin.path().to_owned();
    let cut = Arc::new(std::sync::atomic::AtomicUsize::new(usize::MAX));
    let at = Arc::clone(&cut);
    let server = Server::start(move |request| {
        let answer = git_http::answer(&root, request);
        match at.load(std::sync::atomic::Ordering::Relaxed) {
            bytes
                if bytes != usize::MAX
                    && request
                        .body
                        .windows(13)
                        .any(|part| part == b"command=fetch") =>
            {
                answer.cut_after(bytes)
            }
            _ => answer,
        }
    })
    .await;
    let reader = Reader::new(&server.url("/.git"));
    let first = reader.sync().await;
    origin.write("noise", &noise(200_000));
    let commit = origin.commit("noise");
    for bytes in [0, 10, 200, 5_000, 100_000] {
        cut.store(bytes, std::sync::atomic::Ordering::Relaxed);
        let error = reader.sync_after(Some(&first)).await.err().unwrap();
        assert!(
            matches!(error, SourceError::Unavailable { .. }),
            "{bytes}: {error}"
        );
        // What was there before is still served.
        assert!(
            reader
                .archive(&first.references()["dev-main"])
                .await
                .is_ok()
        );
    }
    cut.store(usize::MAX, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        reader.sync_after(Some(&first)).await.unwrap().references()["dev-main"],
        commit
    );
}

/// Whether a process of git has this path among its arguments.
fn is_served(path: &Path) -> bool {
    let commands = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("cmdline")).ok());
    commands
        .into_iter()
        .any(|command| command.contains("upload-pack") && command.contains(path.to_str().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_remote_is_given_up_and_its_child_ends() {
    let origin = Origin::new();
    let folder = TempDir::new().unwrap();
    run(
        "git",
        folder.path(),
        &["clone", "-q", "--bare", &origin.url(), "."],
        &[],
    );
    // Reading packed-refs from a pipe without a writer blocks forever.
    fs::remove_file(folder.path().join("packed-refs")).unwrap();
    run("mkfifo", folder.path(), &["packed-refs"], &[]);
    let url = format!("file://{}", folder.path().display());
    let repository = Repository {
        timeout: Duration::from_millis(500),
        ..git_repository(&url)
    };
    let reader = Reader::of(&repository);
    let error = reader.sync_after(None).await.err().unwrap();
    assert!(error.to_string().contains("spec.sync.timeout"), "{error}");
    assert!(!is_served(folder.path()), "git upload-pack still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_one_mirror() {
    let origin = Origin::new();
    let mirrors = Arc::new(TempDir::new().unwrap());
    let repository = git_repository(&origin.url());
    let syncs = (0..6).map(|_| {
        let reader = Reader::at(&repository, Arc::clone(&mirrors));
        tokio::spawn(async move { reader.sync().await.pretty() })
    });
    for sync in syncs.collect::<Vec<_>>() {
        assert_eq!(sync.await.unwrap(), ["dev-main"]);
    }
    assert_eq!(Reader::at(&repository, mirrors).packs(), 1);
}

/// Whoever waits for the mirror must not keep the host from who writes to it.
#[tokio::test(flavor = "multi_thread")]
async fn few_requests_at_a_time_are_enough_for_many_at_once() {
    let origin = Origin::new();
    let server = serve(&origin).await;
    for per_host in [1, 2, 3] {
        let mirrors = Arc::new(TempDir::new().unwrap());
        let network = network(SourceLimits {
            per_host,
            ..SourceLimits::default()
        });
        let repository = git_repository(&server.url("/.git"));
        let syncs = (0..8).map(|_| {
            let reader = Reader::within(&network, &repository, Arc::clone(&mirrors));
            tokio::spawn(async move { reader.sync().await.pretty() })
        });
        let syncs = futures::future::join_all(syncs.collect::<Vec<_>>());
        let ended = tokio::time::timeout(Duration::from_secs(30), syncs).await;
        for sync in ended.unwrap_or_else(|_| panic!("{per_host}: they wait for each other")) {
            assert_eq!(sync.unwrap(), ["dev-main"]);
        }
        assert!(server.most_active() <= per_host);
    }
}

/// Set for a child that is to sync until it is killed: the repository and the folder of mirrors.
const CHILD: &str = "PACKAGE_BROKER_TEST_GIT_CHILD";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_a_mirror_that_works() {
    if let Ok(role) = std::env::var(CHILD) {
        let (url, mirrors) = role.split_once(' ').unwrap();
        let network = network(SourceLimits::default());
        let source = GitSource::open(&git_repository(url), &network, Path::new(mirrors)).unwrap();
        while let Ok(survey) = source.survey(None).await {
            assert!(!survey.unchanged);
        }
        return;
    }
    let origin = Origin::new();
    let mirrors = Arc::new(TempDir::new().unwrap());
    for round in 0..12_u32 {
        origin.write("noise", &noise(100_000 + round));
        origin.release(&format!("1.{round}.0"), r#"{"name":"acme/lib"}"#);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "git::mirror::a_killed_process_leaves_a_mirror_that_works",
            ])
            .env(
                CHILD,
                format!("{} {}", origin.url(), mirrors.path().display()),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(30 + u64::from(round) * 25)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let synced = Reader::at(&git_repository(&origin.url()), mirrors)
        .sync()
        .await;
    assert_eq!(synced.versions.versions.len(), 13);
}
