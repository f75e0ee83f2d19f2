//! A mirror that is damaged, or only seems to be: what is there goes on serving until there is a new one.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use package_broker_core::ports::source::{Source as _, SourceError};
use package_broker_drivers::source::{SourceLimits, git::GitSource};
use tempfile::TempDir;

use crate::support::{
    git::{Origin, Reader, git_repository, noise, wanted_commit},
    git_http,
    http::{Answer, Server},
    source::{fetch_archive, network},
};

/// Every file of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_of_any_file_heals_by_itself() {
    let origin = Origin::new();
    origin.release("1.0.0", r#"{"name":"acme/lib","description":"one"}"#);
    let reader = Reader::new(&origin.url());
    reader.sync().await;
    let names: Vec<PathBuf> = files(&reader.mirror())
        .iter()
        .map(|path| path.strip_prefix(reader.mirror()).unwrap().to_owned())
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    for (at, name) in names.iter().enumerate() {
        let is_object = name
            .extension()
            .is_some_and(|end| end == "pack" || end == "idx");
        for truncate in [true, false] {
            origin.release(
                &format!("1.{}.{}", at + 1, u8::from(truncate)),
                r#"{"name":"acme/lib","description":"more"}"#,
            );
            let path = reader.mirror().join(name);
            // After a heal the packs have other names; then the first one will do.
            let path = if path.exists() || !is_object {
                path
            } else {
                files(&reader.mirror())
                    .into_iter()
                    .find(|path| path.extension() == name.extension())
                    .unwrap()
            };
            if path.exists() {
                make_writable(&path);
                let content = fs::read(&path).unwrap();
                let kept = if truncate {
                    content[..content.len() / 2].to_vec()
                } else {
                    vec![b'x'; content.len()]
                };
                fs::write(&path, kept).unwrap();
            }
            let synced = reader.sync().await;
            assert_eq!(
                synced.versions.versions.len(),
                2 * at + 2 + usize::from(!truncate) + 1,
                "{}",
                name.display()
            );
        }
    }
}

fn make_writable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// Overwrites the end of a pack that is there now and was not before.
fn damage_new_pack(reader: &Reader, before: &[PathBuf]) {
    let pack = files(&reader.mirror().join("objects/pack"))
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "pack") && !before.contains(path))
        .unwrap();
    make_writable(&pack);
    let mut content = fs::read(&pack).unwrap();
    content[12..].fill(b'x');
    fs::write(&pack, content).unwrap();
}

/// Which folder a mirror is, whatever its name.
fn inode(reader: &Reader) -> u64 {
    fs::metadata(reader.mirror()).unwrap().ino()
}

/// A server that can be switched off.
async fn switched(origin: &Origin) -> (Server, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(true));
    let (backend, is_on) = (git_http::backend(origin.path().to_owned()), Arc::clone(&on));
    let server = Server::start(move |request| {
        if is_on.load(Ordering::Relaxed) {
            backend(request)
        } else {
            Answer::status(403)
        }
    })
    .await;
    (server, on)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mirror_serves_what_it_has_until_there_is_a_new_one() {
    let origin = Origin::new();
    let (server, on) = switched(&origin).await;
    let reader = Reader::new(&server.url("/.git"));
    let first = reader.sync().await;
    let old = first.references()["dev-main"].clone();
    let packs = files(&reader.mirror().join("objects/pack"));
    origin.write("noise", &noise(10_000));
    let new = origin.commit("noise");
    let second = reader.sync_after(Some(&first)).await.unwrap();
    damage_new_pack(&reader, &packs);
    let damaged = inode(&reader);

    on.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        let error = reader.archive(&new).await.unwrap_err();
        assert!(!matches!(error, SourceError::Gone { .. }), "{error}");
        reader.archive(&old).await.unwrap();
    }
    assert_eq!(inode(&reader), damaged);

    // No ref moves, and the sync mends it all the same.
    on.store(true, Ordering::Relaxed);
    assert!(reader.sync_after(Some(&second)).await.unwrap().unchanged);
    assert_ne!(inode(&reader), damaged);
    assert_eq!(reader.packs(), 1);
    on.store(false, Ordering::Relaxed);
    reader.archive(&new).await.unwrap();
    reader.archive(&old).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_too_many_packs_serves_until_there_is_a_new_one() {
    let origin = Origin::new();
    let root = origin.path().to_owned();
    let cut = Arc::new(AtomicBool::new(false));
    let is_cut = Arc::clone(&cut);
    let server = Server::start(move |request| {
        let answer = git_http::answer(&root, request);
        let is_fetch = String::from_utf8_lossy(&request.body).contains("command=fetch");
        if is_fetch && is_cut.load(Ordering::Relaxed) {
            answer.cut_after(200)
        } else {
            answer
        }
    })
    .await;
    let reader = Reader::new(&server.url("/.git"));
    let first = reader.sync().await;
    let packs = reader.mirror().join("objects/pack");
    for file in files(&packs) {
        let end = file.extension().unwrap().to_str().unwrap();
        for number in 0..400 {
            fs::copy(&file, packs.join(format!("pack-{number:040x}.{end}"))).unwrap();
        }
    }
    let commit = origin.commit("more");
    cut.store(true, Ordering::Relaxed);
    let error = reader.sync_after(Some(&first)).await.err().unwrap();
    assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
    assert_eq!(reader.packs(), 401);
    reader
        .archive(&first.references()["dev-main"])
        .await
        .unwrap();

    cut.store(false, Ordering::Relaxed);
    let second = reader.sync_after(Some(&first)).await.unwrap();
    assert_eq!(second.references()["dev-main"], commit);
    assert_eq!(reader.packs(), 1);
}

/// Set for a child that runs out of files: the URL of the repository and the folder of mirrors.
const CHILD: &str = "PACKAGE_BROKER_TEST_GIT_FILES_CHILD";

#[tokio::test(flavor = "multi_thread")]
async fn too_many_open_files_are_not_held_against_the_mirror() {
    if let Ok(role) = std::env::var(CHILD) {
        return without_files(&role).await;
    }
    let origin = Origin::new();
    let mirrors = Arc::new(TempDir::new().unwrap());
    let reader = Reader::at(&git_repository(&origin.url()), Arc::clone(&mirrors));
    let commit = reader.sync().await.references()["dev-main"].clone();
    let before = inode(&reader);
    let name = "git::heal::too_many_open_files_are_not_held_against_the_mirror";
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 200 && exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(
            CHILD,
            format!("{} {} {commit}", origin.url(), mirrors.path().display()),
        )
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
    assert_eq!(inode(&reader), before);
}

/// The child's part. It keeps its folder: the parent removes it.
async fn without_files(role: &str) {
    let mut role = role.split(' ');
    let (url, mirrors, commit) = (
        role.next().unwrap(),
        role.next().unwrap(),
        role.next().unwrap(),
    );
    let source = GitSource::open(
        &git_repository(url),
        &network(SourceLimits::default()),
        Path::new(mirrors),
    )
    .unwrap();
    let mut all = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        all.push(file);
    }
    let wanted = wanted_commit(commit);
    for spare in 0..6 {
        // With a few files, it comes a little further.
        match fetch_archive(&source, &wanted).await {
            Ok(_) => assert!(spare > 0),
            Err(SourceError::Unavailable { .. }) => {}
            Err(error) => panic!("{spare}: {error:?}"),
        }
        all.pop();
    }
    drop(all);
    fetch_archive(&source, &wanted).await.unwrap();
    source.survey(None).await.unwrap();
    fetch_archive(&source, &wanted).await.unwrap();
}
