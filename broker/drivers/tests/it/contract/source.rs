//! The promises of `ports::source`, for the three kinds of sources.

use std::{
    any::Any,
    io::{Cursor, Write as _},
    time::Duration,
};

use package_broker_core::{
    domain::{
        archive::ArchiveFormat,
        metadata::{PackageVersions, Version},
    },
    ports::source::{Found, Listing, Reading, Source, Survey, WantedArchive},
};

use crate::support::source::{fetch_archive, known, name};

/// A source of version 1.0.0 of acme/lib, and how to add version 1.1.0 to it.
struct Subject {
    source: Box<dyn Source>,
    release: Box<dyn Fn() + Send + Sync>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Subject {
    async fn survey(&self, previous: Option<&str>) -> Survey {
        self.source.survey(previous).await.unwrap()
    }
}

async fn read(survey: &Survey) -> Found {
    let reading = survey.reader.read(&name("acme/lib"), &known(None)).await;
    match reading.unwrap() {
        Reading::Found(found) => found,
        Reading::Unchanged => panic!("unchanged, though nothing is known"),
        Reading::Absent => panic!("it is listed but absent"),
    }
}

/// The versions of a survey without branches, oldest first.
async fn releases(survey: &Survey) -> Vec<Version> {
    let found = read(survey).await;
    let checked = PackageVersions::check(&name("acme/lib"), found.versions, found.skipped);
    let mut releases = checked.versions;
    releases.retain(|version| !version.normalized().is_dev());
    releases.reverse();
    releases
}

async fn pretty(survey: &Survey) -> Vec<String> {
    releases(survey).await.iter().map(Version::pretty).collect()
}

/// An archive of acme/lib.
fn package_zip(version: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("lib/composer.json", options).unwrap();
    write!(zip, r#"{{"name":"acme/lib","version":"{version}"}}"#).unwrap();
    zip.finish().unwrap().into_inner()
}

fn holds_the_package(survey: &Survey) -> bool {
    matches!(&survey.listing, Listing::Names(names) if *names == [name("acme/lib")])
}

mod surveys {
    use super::*;

    pub(crate) async fn nothing_new_is_unchanged_until_there_is(subject: &Subject) {
        let first = subject.survey(None).await;
        assert!(!first.unchanged);
        assert!(holds_the_package(&first));
        let mut state = first.state.clone();
        for _ in 0..3 {
            let again = subject.survey(state.as_deref()).await;
            assert!(again.unchanged);
            assert_eq!(again.listing, first.listing);
            state = again.state;
        }
        (subject.release)();
        let later = subject.survey(state.as_deref()).await;
        assert!(!later.unchanged);
        assert_eq!(pretty(&later).await, ["1.0.0", "1.1.0"]);
        assert!(subject.survey(later.state.as_deref()).await.unchanged);
    }

    pub(crate) async fn a_state_of_another_program_is_none(subject: &Subject) {
        let long = "x".repeat(100_000);
        for text in [
            "",
            "null",
            "{}",
            "[1]",
            "7",
            "garbage",
            "\u{0}\u{feff}",
            r#"{"format":99,"url":"x","validator":"x","name":7}"#,
            &long,
        ] {
            let survey = subject.survey(Some(text)).await;
            assert!(!survey.unchanged, "{text:.20}");
            assert!(holds_the_package(&survey), "{text:.20}");
            assert_eq!(pretty(&survey).await, ["1.0.0"], "{text:.20}");
        }
    }

    pub(crate) async fn one_that_is_dropped_midway_leaves_nothing_behind(subject: &Subject) {
        for pause in [0, 1, 2, 5, 10, 20, 40, 80] {
            let survey = subject.source.survey(None);
            let cut = tokio::time::timeout(Duration::from_millis(pause), survey);
            drop(cut.await);
        }
        let first = subject.survey(None).await;
        assert_eq!(pretty(&first).await, ["1.0.0"]);
        (subject.release)();
        for pause in [0, 1, 2, 5, 10, 20, 40, 80] {
            let survey = subject.source.survey(first.state.as_deref());
            let cut = tokio::time::timeout(Duration::from_millis(pause), survey);
            drop(cut.await);
        }
        let later = subject.survey(first.state.as_deref()).await;
        assert!(!later.unchanged);
        assert_eq!(pretty(&later).await, ["1.0.0", "1.1.0"]);
    }
}

mod packages {
    use super::*;

    pub(crate) async fn a_validator_stands_for_what_was_read(subject: &Subject) {
        let first = subject.survey(None).await;
        let validator = read(&first).await.validator.unwrap();
        let reading = async |survey: &Survey, package: &str, validator: &str| {
            let known = known(Some(validator));
            survey.reader.read(&name(package), &known).await.unwrap()
        };
        let again = subject.survey(first.state.as_deref()).await;
        let same = reading(&again, "acme/lib", &validator).await;
        assert!(matches!(same, Reading::Unchanged));
        let other = reading(&again, "acme/lib", "garbage").await;
        assert!(matches!(other, Reading::Found(_)));
        let absent = reading(&again, "acme/none", &validator).await;
        assert!(matches!(absent, Reading::Absent));
        (subject.release)();
        let later = subject.survey(first.state.as_deref()).await;
        let changed = reading(&later, "acme/lib", &validator).await;
        assert!(matches!(changed, Reading::Found(_)));
    }

    pub(crate) async fn an_archive_is_the_same_bytes_each_time(subject: &Subject) {
        let survey = subject.survey(None).await;
        let version = releases(&survey).await.remove(0);
        let reference = version.reference().map(str::to_owned);
        let wanted = WantedArchive {
            package: name("acme/lib"),
            version,
            reference,
            format: ArchiveFormat::Zip,
        };
        let first = fetch_archive(&*subject.source, &wanted).await.unwrap();
        assert!(first.starts_with(b"PK"));
        for pause in [0, 1, 3, 10] {
            let archive = fetch_archive(&*subject.source, &wanted);
            let cut = tokio::time::timeout(Duration::from_millis(pause), archive);
            drop(cut.await);
        }
        let again = fetch_archive(&*subject.source, &wanted).await.unwrap();
        assert_eq!(first, again);
    }
}

macro_rules! source_promises {
    ($open:expr) => {
        crate::contract::promises!(
            $open,
            surveys::nothing_new_is_unchanged_until_there_is,
            surveys::a_state_of_another_program_is_none,
            surveys::one_that_is_dropped_midway_leaves_nothing_behind,
            packages::a_validator_stands_for_what_was_read,
            packages::an_archive_is_the_same_bytes_each_time,
        );
    };
}

mod composer {
    use super::{Subject, package_zip};
    use crate::support::{
        http::{Answer, Site},
        source::composer,
    };

    async fn open() -> Subject {
        let site = Site::default();
        let server = site.serve().await;
        let base = server.url("");
        let root = move |versions: &[&str]| {
            let entry = |version: &&str| {
                format!(
                    r#"{{"name":"acme/lib","version":"{version}","dist":{{"type":"zip","url":"{base}/{version}.zip","reference":"{version}"}}}}"#
                )
            };
            let entries: Vec<String> = versions.iter().map(entry).collect();
            format!(r#"{{"packages":{{"acme/lib":[{}]}}}}"#, entries.join(","))
        };
        site.put("/packages.json", &root(&["1.0.0"]))
            .answer("/1.0.0.zip", Answer::ok(package_zip("1.0.0")));
        Subject {
            source: Box::new(composer(&server.url(""))),
            release: Box::new(move || {
                site.put("/packages.json", &root(&["1.0.0", "1.1.0"]));
            }),
            _keep: Box::new(server),
        }
    }

    source_promises!(open().await);
}

mod git {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::Subject;
    use crate::support::git::{Origin, Reader, git_repository};

    fn open() -> Subject {
        let origin = Arc::new(Origin::new());
        origin.release("1.0.0", r#"{"name":"acme/lib"}"#);
        let mirrors = Arc::new(TempDir::new().unwrap());
        let reader = Reader::at(&git_repository(&origin.url()), Arc::clone(&mirrors));
        Subject {
            source: Box::new(reader.source),
            release: Box::new(move || {
                drop(origin.release("1.1.0", r#"{"name":"acme/lib","type":"library"}"#));
            }),
            _keep: Box::new(mirrors),
        }
    }

    source_promises!(open());
}

mod artifact {
    use std::{fs, sync::Arc};

    use package_broker_core::domain::repository::{Repository, SourceKind};
    use package_broker_drivers::source::{SourceLimits, artifact::ArtifactSource, http::Network};
    use tempfile::TempDir;

    use super::{Subject, package_zip};
    use crate::support::source::{loopback, repository};

    fn open() -> Subject {
        let folder = Arc::new(TempDir::new().unwrap());
        fs::write(folder.path().join("1.0.0.zip"), package_zip("1.0.0")).unwrap();
        let repository = Repository {
            kind: SourceKind::Artifact,
            ..repository(folder.path().to_str().unwrap())
        };
        let network = Arc::new(Network::new(Arc::new(loopback()), SourceLimits::default()));
        let source = ArtifactSource::open(&repository, &network, &std::env::temp_dir()).unwrap();
        let added = folder.path().join("1.1.0.zip");
        Subject {
            source: Box::new(source),
            release: Box::new(move || fs::write(&added, package_zip("1.1.0")).unwrap()),
            _keep: Box::new(folder),
        }
    }

    source_promises!(open());
}
