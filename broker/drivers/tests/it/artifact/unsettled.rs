//! What stays although it cannot be read for now: nothing is withdrawn because of a hiccup.

use std::{
    fs::{self, Permissions},
    future::Future,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use package_broker_core::ports::source::{Reading, Source, SourceError, Survey};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::{
    build::{Artifacts, package_zip},
    by_file, names, open, read, versions,
};
use crate::support::source::{known, name};

/// Runs a test without root's right to read everything, which tests often have.
fn as_a_plain_user(test: impl Future<Output = ()>) {
    let give_up = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective
            .remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
    };
    // All file access is on threads of the runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(give_up)
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

async fn again(source: &dyn Source, before: &Survey) -> Result<Survey, SourceError> {
    source.survey(before.state.as_deref()).await
}

fn unavailable(result: Result<Survey, SourceError>, expected: &str) {
    let error = result.err().unwrap();
    assert!(
        matches!(error, SourceError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn a_half_written_file_does_not_withdraw_its_version() {
    let folder = Artifacts::new();
    folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    let source = open(folder.path());
    let first = source.survey(None).await.unwrap();
    let validator = read(&first, "acme/lib").await.validator;
    let whole = package_zip("acme/lib", "2.0");
    for half in [&whole[..whole.len() / 2], &[]] {
        folder.put("lib.zip", half);
        let survey = again(&source, &first).await.unwrap();
        assert_eq!(names(&survey), ["acme/lib"]);
        let reading = survey
            .reader
            .read(&name("acme/lib"), &known(validator.as_deref()))
            .await;
        assert!(matches!(reading, Ok(Reading::Unchanged)));
        let [(file, reason)] = by_file(&survey.skipped)[..] else {
            panic!("{:?}", survey.skipped)
        };
        assert_eq!(file, "lib.zip");
        assert!(
            reason.ends_with("less than a minute ago; what it held before stays"),
            "{reason}"
        );
    }
    folder.put("lib.zip", &whole);
    let survey = again(&source, &first).await.unwrap();
    assert_eq!(by_file(&survey.skipped), []);
    assert_eq!(versions(&survey, "acme/lib").await, ["2.0"]);
}

#[tokio::test]
async fn a_file_that_never_was_a_package_is_refused_at_once() {
    let folder = Artifacts::new();
    folder.put("lib.zip", b"PK");
    let survey = open(folder.path()).survey(None).await.unwrap();
    assert_eq!(names(&survey), <[&str; 0]>::default());
    assert!(!survey.skipped[0].reason.contains("minute"));
}

#[test]
fn a_file_that_may_not_be_read_does_not_withdraw_its_version() {
    as_a_plain_user(async {
        let folder = Artifacts::new();
        let file = folder.put("a.zip", &package_zip("acme/lib", "1.0"));
        folder.put("b.zip", &package_zip("acme/lib", "2.0"));
        let source = open(folder.path());
        let first = source.survey(None).await.unwrap();
        assert_eq!(by_file(&first.skipped), []);
        chmod(&file, 0);
        let closed = again(&source, &first).await.unwrap();
        assert_eq!(names(&closed), ["acme/lib"]);
        assert!(
            closed.skipped[0].reason.contains("Permission denied"),
            "{:?}",
            closed.skipped
        );
        let still = again(&source, &closed).await.unwrap();
        assert!(still.unchanged);
        chmod(&file, 0o600);
        let open = again(&source, &closed).await.unwrap();
        assert_eq!(by_file(&open.skipped), []);
        assert_eq!(versions(&open, "acme/lib").await, ["2.0", "1.0"]);
    });
}

#[test]
fn a_closed_subfolder_matters_only_if_it_held_packages() {
    as_a_plain_user(async {
        let folder = Artifacts::new();
        folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
        folder.put("team/kit.zip", &package_zip("acme/kit", "1.0"));
        folder.put("team/sub/log.zip", &package_zip("acme/log", "1.0"));
        folder.put("lost+found/.inode", b"");
        let (team, lost) = (folder.path().join("team"), folder.path().join("lost+found"));
        chmod(&lost, 0);
        let source = open(folder.path());
        let first = source.survey(None).await.unwrap();
        assert_eq!(names(&first), ["acme/kit", "acme/lib", "acme/log"]);
        assert_eq!(by_file(&first.skipped)[0].0, "lost+found");
        for closed in [&team, &team.join("sub")] {
            chmod(closed, 0);
            unavailable(again(&source, &first).await, "may not be read, and held");
            chmod(closed, 0o700);
        }
        assert!(again(&source, &first).await.unwrap().unchanged);
        fs::remove_dir_all(&team).unwrap();
        assert_eq!(names(&again(&source, &first).await.unwrap()), ["acme/lib"]);
        chmod(&lost, 0o700);
    });
}

#[test]
fn what_a_link_leads_to_may_be_closed_too() {
    as_a_plain_user(async {
        let folder = Artifacts::new();
        folder.put(".volume/team/kit.zip", &package_zip("acme/kit", "1.0"));
        symlink(".volume/team", folder.path().join("team")).unwrap();
        let source = open(folder.path());
        let first = source.survey(None).await.unwrap();
        assert_eq!(names(&first), ["acme/kit"]);
        let volume = folder.path().join(".volume");
        chmod(&volume, 0);
        unavailable(
            again(&source, &first).await,
            "team may not be read, and held 1 archives",
        );
        chmod(&volume, 0o700);
        assert!(again(&source, &first).await.unwrap().unchanged);
    });
}

#[tokio::test]
async fn a_folder_that_was_emptied_is_empty() {
    let folder = Artifacts::new();
    let file = folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    let source = open(folder.path());
    let first = source.survey(None).await.unwrap();
    fs::remove_file(file).unwrap();
    let emptied = again(&source, &first).await.unwrap();
    assert_eq!(
        (names(&emptied), emptied.unchanged),
        (<Vec<&str>>::new(), false)
    );
}

#[tokio::test]
async fn another_empty_folder_in_its_place_is_a_volume_that_is_not_mounted() {
    let parent = Artifacts::new();
    let (mount, volume) = (parent.path().join("mount"), parent.path().join("volume"));
    parent.put("mount/lib.zip", &package_zip("acme/lib", "1.0"));
    let source = open(&mount);
    let first = source.survey(None).await.unwrap();
    fs::rename(&mount, &volume).unwrap();
    for unmounted in ["mount", "mount/lost+found"] {
        fs::create_dir(parent.path().join(unmounted)).unwrap();
        for _ in 0..3 {
            unavailable(
                again(&source, &first).await,
                "it is empty, and not the folder that held 1 archives before; mount its volume",
            );
        }
    }
    parent.put("mount/.keep", b"");
    let emptied = again(&source, &first).await.unwrap();
    assert_eq!(names(&emptied), <[&str; 0]>::default());
    fs::remove_dir_all(&mount).unwrap();
    fs::rename(&volume, &mount).unwrap();
    assert!(again(&source, &first).await.unwrap().unchanged);
}
