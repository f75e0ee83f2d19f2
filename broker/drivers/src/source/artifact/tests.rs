//! How often files are opened, and what is never opened at all.

use std::{
    fs,
    io::{self, Write},
};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::{refusal::Refusal, state::Entry, *};

fn put(folder: &Path, file: &str, version: &str) {
    let mut writer = ZipWriter::new(std::fs::File::create(folder.join(file)).unwrap());
    writer
        .start_file("composer.json", SimpleFileOptions::default())
        .unwrap();
    write!(writer, r#"{{"name":"acme/lib","version":"{version}"}}"#).unwrap();
    writer.finish().unwrap();
}

fn local(folder: &Path) -> Place {
    let inspector = Inspector {
        max_composer_json: MAX_COMPOSER_JSON,
    };
    Place::Local(Local::new(folder.to_owned(), inspector))
}

fn source(folder: &Path) -> ArtifactSource {
    ArtifactSource::over(local(folder))
}

#[tokio::test]
async fn only_changed_files_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        put(
            folder.path(),
            &format!("{number:02}.zip"),
            &format!("1.{number}"),
        );
    }
    fs::write(folder.path().join("bad.zip"), "bad").unwrap();
    fs::write(folder.path().join("bad.tar.xz"), "bad").unwrap();
    let source = source(folder.path());
    let (first, opened) = source.refresh(&State::default()).await.unwrap();
    assert_eq!(opened, 21);
    let (second, opened) = source.refresh(&first).await.unwrap();
    assert_eq!((opened, &second), (0, &first));
    put(folder.path(), "20.zip", "1.20");
    put(folder.path(), "03.zip", "1.30");
    fs::remove_file(folder.path().join("04.zip")).unwrap();
    let (third, opened) = source
        .refresh(&State::decode(&second.encode()))
        .await
        .unwrap();
    assert_eq!((opened, third.files.len()), (2, 22));
}

#[tokio::test]
async fn a_file_that_could_not_be_read_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.zip", "1.0");
    let source = source(folder.path());
    let (mut state, _) = source.refresh(&State::default()).await.unwrap();
    let failed = Refusal::Unreadable(io::Error::from_raw_os_error(5));
    let stamp = state.files["a.zip"].stamp.clone();
    state
        .files
        .insert("a.zip".to_owned(), Entry::refused(None, stamp, &failed));
    let (after, opened) = source.refresh(&state).await.unwrap();
    assert_eq!((opened, after.packages().len()), (1, 1));
}

#[tokio::test]
async fn a_broken_file_is_given_up_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.zip", "1.0");
    let mut source = source(folder.path());
    let (first, _) = source.refresh(&State::default()).await.unwrap();
    fs::write(folder.path().join("a.zip"), "PK\x03\x04 and no more").unwrap();
    let (kept, opened) = source.refresh(&first).await.unwrap();
    assert_eq!((opened, kept.packages().len()), (1, 1));
    let (kept, opened) = source.refresh(&kept).await.unwrap();
    assert_eq!((opened, kept.packages().len()), (1, 1));
    source.patience = Duration::ZERO;
    let (given_up, opened) = source.refresh(&kept).await.unwrap();
    assert_eq!((opened, given_up.packages().len()), (1, 0));
    assert_eq!(source.refresh(&given_up).await.unwrap(), (given_up, 0));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_for_now_keeps_its_package() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.zip", "1.0");
    let source = source(folder.path());
    let (state, _) = source.refresh(&State::default()).await.unwrap();
    let known = &state.files["a.zip"];
    for (refusal, stays) in [
        (Refusal::Busy, true),
        (Refusal::Unreadable(io::Error::from_raw_os_error(5)), true),
        (Refusal::Unreadable(io::ErrorKind::NotFound.into()), false),
        (Refusal::NoName, false),
    ] {
        let entry = Entry::refused(Some(known), None, &refusal);
        assert_eq!(entry.is_package(), stays, "{refusal}");
        let files = [("a.zip".to_owned(), entry)].into();
        let skipped = State::of(None, files).skipped();
        assert!(
            skipped[0].reason.starts_with(&refusal.to_string()),
            "{skipped:?}"
        );
    }
}

#[test]
fn addresses_lead_back_to_their_files() {
    let place = local(Path::new("/srv"));
    for path in [
        "lib.zip",
        "a b/c.zip",
        "100%.zip",
        "%23.zip",
        "a#b?c.tar.gz",
        "%2523%3F.zip",
        "ü.zip",
    ] {
        let url = place.url_of_path(path);
        assert!(!url.contains(['#', '?']), "{url}");
        assert_eq!(place.path_of_url(&url).as_deref(), Some(path));
    }
}
