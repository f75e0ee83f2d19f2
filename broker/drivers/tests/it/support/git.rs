//! Repositories made with the real `git`, and a source that reads them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    io::{Cursor, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use package_broker_core::{
    domain::{
        archive::ArchiveFormat,
        metadata::{Channel, PackageVersions, Version},
        names::{PackageName, RepositoryName},
        repository::{Repository, SourceKind},
        skipped::Skipped,
        stamp::Stamp,
    },
    ports::{
        database::{
            Applied, Changes, DatabaseError, Delta, Encoding, Index, PackageStore, Revision,
            Revisions, StoredDocument,
        },
        source::{Known, Reading, Source as _, SourceError, Survey, WantedArchive},
    },
};
use package_broker_drivers::source::{SourceLimits, git::GitSource, http::Network};
use tempfile::TempDir;

use super::source::{Shelf, name, network, repository};

/// Runs a program of the test's environment, without the user's own configuration.
pub(crate) fn run(
    program: &str,
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("COMPOSER_ALLOW_SUPERUSER", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} did not start ({error}): apt-get install git composer openssh-server")
        });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {complaint}"
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Text of so many words that compresses badly.
pub(crate) fn noise(words: u32) -> String {
    let mut text = String::new();
    for word in 0..words {
        write!(text, "{:x} ", word.wrapping_mul(2_654_435_761)).unwrap();
    }
    text
}

/// A work tree with its repository.
pub(crate) struct Origin {
    directory: TempDir,
    clock: AtomicU64,
}

impl Origin {
    /// An empty repository whose default branch is `main`.
    pub(crate) fn empty() -> Self {
        let origin = Self {
            directory: TempDir::new().unwrap(),
            clock: AtomicU64::new(1_700_000_000),
        };
        origin.git(&["init", "-q", "-b", "main"]);
        origin.git(&["config", "gc.auto", "0"]);
        origin
    }

    /// A repository with `composer.json` of `acme/lib` in one commit.
    pub(crate) fn new() -> Self {
        let origin = Self::empty();
        origin.write(
            "composer.json",
            r#"{"name":"acme/lib","require":{"php":">=8.1"}}"#,
        );
        origin.commit("first");
        origin
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let date = format!("{} +0200", self.clock.load(Ordering::Relaxed));
        let who = [
            ("GIT_AUTHOR_NAME", "A"),
            ("GIT_AUTHOR_EMAIL", "a@example.com"),
            ("GIT_COMMITTER_NAME", "C"),
            ("GIT_COMMITTER_EMAIL", "c@example.com"),
            ("GIT_AUTHOR_DATE", &date),
            ("GIT_COMMITTER_DATE", &date),
        ];
        run("git", self.path(), arguments, &who)
    }

    pub(crate) fn write(&self, file: &str, content: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Commits all there is, a minute after the last commit; gives the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.clock.fetch_add(60, Ordering::Relaxed);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits this `composer.json` and tags it.
    pub(crate) fn release(&self, tag: &str, manifest: &str) -> String {
        self.write("composer.json", manifest);
        let commit = self.commit(tag);
        self.git(&["tag", tag]);
        commit
    }
}

/// A source under test with the folder of its mirrors.
pub(crate) struct Reader {
    pub(crate) source: GitSource,
    pub(crate) mirrors: Arc<TempDir>,
}

/// What a sync gave.
pub(crate) struct Synced {
    pub(crate) name: PackageName,
    pub(crate) unchanged: bool,
    pub(crate) state: Option<String>,
    pub(crate) validator: Option<String>,
    pub(crate) versions: PackageVersions,
}

pub(crate) fn git_repository(url: &str) -> Repository {
    Repository {
        kind: SourceKind::Git,
        ..repository(url)
    }
}

impl Reader {
    pub(crate) fn new(url: &str) -> Self {
        Self::of(&git_repository(url))
    }

    pub(crate) fn of(repository: &Repository) -> Self {
        Self::at(repository, Arc::new(TempDir::new().unwrap()))
    }

    pub(crate) fn at(repository: &Repository, mirrors: Arc<TempDir>) -> Self {
        Self::within(&network(SourceLimits::default()), repository, mirrors)
    }

    pub(crate) fn within(
        network: &Arc<Network>,
        repository: &Repository,
        mirrors: Arc<TempDir>,
    ) -> Self {
        let source = GitSource::open(repository, network, mirrors.path()).unwrap();
        Self { source, mirrors }
    }

    /// The folder of the only mirror. There is nothing beside it but keys of conversations.
    pub(crate) fn mirror(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.mirrors.path()).unwrap();
        let mut mirrors = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with(".keys"));
        let mirror = mirrors.next().unwrap();
        assert_eq!(mirrors.next(), None);
        mirror
    }

    /// How many packs the mirror has.
    pub(crate) fn packs(&self) -> usize {
        let packs = std::fs::read_dir(self.mirror().join("objects/pack")).unwrap();
        packs
            .filter(|file| {
                file.as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|end| end == "pack")
            })
            .count()
    }

    /// A first sync.
    pub(crate) async fn sync(&self) -> Synced {
        self.sync_after(None).await.unwrap()
    }

    /// A sync that knows what another gave.
    pub(crate) async fn sync_after(&self, before: Option<&Synced>) -> Result<Synced, SourceError> {
        let previous = before.and_then(|before| before.state.as_deref());
        let survey = self.source.survey(previous).await?;
        let (validator, versions) = before
            .map(|before| (before.validator.clone(), before.versions.clone()))
            .unwrap_or_default();
        read(survey, validator, versions).await
    }

    /// The archive of a commit.
    pub(crate) async fn archive(&self, commit: &str) -> Result<Vec<u8>, SourceError> {
        self.archive_within(commit, 64 << 20).await
    }

    pub(crate) async fn archive_within(
        &self,
        commit: &str,
        limit: u64,
    ) -> Result<Vec<u8>, SourceError> {
        let stored = Shelf::default();
        let mut sink = stored.sink(limit);
        self.source
            .archive(&wanted_commit(commit), &mut sink)
            .await?;
        Ok(stored.bytes())
    }
}

pub(crate) fn wanted_commit(commit: &str) -> WantedArchive {
    let text = r#"{"name":"acme/lib","version":"dev-main"}"#;
    let version = Version::check(&name("acme/lib"), serde_json::from_str(text).unwrap()).unwrap();
    let reference = Some(commit.to_owned());
    WantedArchive {
        package: name("acme/lib"),
        version,
        reference,
        format: ArchiveFormat::Zip,
    }
}

async fn read(
    survey: Survey,
    validator: Option<String>,
    versions: PackageVersions,
) -> Result<Synced, SourceError> {
    let package_broker_core::ports::source::Listing::Names(names) = &survey.listing else {
        panic!("no names")
    };
    let [name] = names.as_slice() else {
        panic!("{names:?}")
    };
    let store = Arc::new(Store(versions.clone()));
    let known = Known {
        validator: validator.clone(),
        packages: store,
        repository: RepositoryName::new("upstream"),
    };
    let (validator, versions) = match survey.reader.read(name, &known).await? {
        Reading::Unchanged => (validator, versions),
        Reading::Found(found) => (
            found.validator,
            PackageVersions::check(name, found.versions, found.skipped),
        ),
        Reading::Absent => panic!("{name} is listed but absent"),
    };
    Ok(Synced {
        name: name.clone(),
        unchanged: survey.unchanged,
        state: survey.state.clone(),
        validator,
        versions,
    })
}

impl Synced {
    /// Version to commit.
    pub(crate) fn references(&self) -> BTreeMap<String, String> {
        let versions = self.versions.versions.iter();
        versions
            .map(|version| (version.pretty(), version.reference().unwrap().to_owned()))
            .collect()
    }

    pub(crate) fn pretty(&self) -> Vec<String> {
        self.versions.versions.iter().map(Version::pretty).collect()
    }

    pub(crate) fn version(&self, pretty: &str) -> &Version {
        let mut versions = self.versions.versions.iter();
        versions
            .find(|version| version.pretty() == pretty)
            .unwrap_or_else(|| panic!("{pretty} in {:?}", self.pretty()))
    }

    pub(crate) fn skipped(&self, version: &str) -> &Skipped {
        let mut skipped = self.versions.skipped.iter();
        skipped
            .find(|skipped| skipped.version == version)
            .unwrap_or_else(|| panic!("{version} in {:?}", self.versions.skipped))
    }
}

/// A file of an archive: mode and content.
pub(crate) type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// The files of a zip archive without its top folder, whose name is checked.
pub(crate) fn unzip(bytes: &[u8], top: &str) -> Files {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = Files::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let name = file.name().unwrap().into_owned();
        let path = name
            .strip_prefix(top)
            .unwrap_or_else(|| panic!("{name} is not below {top}"))
            .to_owned();
        if file.is_dir() {
            continue;
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        files.insert(path, (file.unix_mode().unwrap_or_default(), content));
    }
    files
}

/// A database that knows one package.
struct Store(PackageVersions);

#[async_trait]
impl PackageStore for Store {
    async fn index(&self) -> Result<Index, DatabaseError> {
        Ok(Index::default())
    }

    async fn versions(
        &self,
        _: &RepositoryName,
        _: &PackageName,
    ) -> Result<Option<PackageVersions>, DatabaseError> {
        Ok(Some(self.0.clone()))
    }

    async fn document(
        &self,
        _: &PackageName,
        _: Channel,
        _: Encoding,
    ) -> Result<Option<StoredDocument>, DatabaseError> {
        Ok(None)
    }

    async fn apply(&self, _: &Changes, _: Stamp) -> Result<Applied, DatabaseError> {
        Err(DatabaseError::Unavailable {
            action: "write",
            problem: "it is read only".to_owned(),
        })
    }

    async fn validators(
        &self,
        _: &RepositoryName,
    ) -> Result<HashMap<PackageName, String>, DatabaseError> {
        Ok(HashMap::new())
    }

    async fn revisions(&self) -> Result<Revisions, DatabaseError> {
        Ok(Revisions::default())
    }

    async fn changed_since(&self, _: Revision) -> Result<Delta, DatabaseError> {
        Ok(Delta::default())
    }

    async fn root_stamp(
        &self,
        _: &[u8; 32],
        _: &[u8; 32],
        _: Stamp,
    ) -> Result<Stamp, DatabaseError> {
        Err(DatabaseError::Unavailable {
            action: "write",
            problem: "it is read only".to_owned(),
        })
    }
}
