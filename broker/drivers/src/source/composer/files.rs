//! The root file and its includes: what each holds, without keeping more than is needed for the next survey.
//!
//! A file is known by its promised hash, or by what the server says of it. One that did not change is not fetched;
//! its content comes only if a package in it has to be read.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use package_broker_core::{
    domain::{metadata::Raw, names::PackageName, skipped::Skipped},
    ports::source::SourceError,
};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::Url;

use super::{
    address::Address,
    contents::{Contents, Packages},
    fetch::{Fetched, Seen, fetch, parse, verify},
    root::Keys,
    tally::Tally,
};
use crate::source::{egress::shown, http::Fetcher};

/// Includes may include others, but only so deep.
const MAX_DEPTH: usize = 8;

/// And there may only be so many.
const MAX_FILES: usize = 2000;

/// So many includes are fetched at once; the host's own bound holds as well.
const PARALLEL: usize = 4;

/// What has to be known of a file that did not change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct FileState {
    /// Its path below the base URL; empty for the root file.
    pub(super) path: String,
    /// The hash it was promised with; empty if none was.
    #[serde(default)]
    pub(super) hash: String,
    #[serde(default)]
    pub(super) seen: Seen,
    /// Inline packages with digests of their text.
    #[serde(default)]
    pub(super) packages: BTreeMap<PackageName, String>,
    /// Packages with files of their own, and the hashes of those.
    #[serde(default)]
    pub(super) providers: BTreeMap<PackageName, String>,
    /// Path and hash of each file it includes.
    #[serde(default)]
    pub(super) includes: Vec<(String, String)>,
}

/// One file of a survey.
pub(super) struct File {
    pub(super) state: FileState,
    content: OnceCell<Packages>,
    tally: Arc<Tally>,
}

/// All files of a survey, the root file first.
pub(super) struct Files {
    pub(super) list: Vec<File>,
    /// The keys of the root file.
    pub(super) keys: Keys,
    /// Whether every file is as it was.
    pub(super) unchanged: bool,
    /// Names that are none.
    pub(super) skipped: Vec<Skipped>,
}

/// A file as it was found.
struct Loaded {
    file: File,
    keys: Option<Keys>,
    skipped: Vec<Skipped>,
    same: bool,
}

/// Fetches files and remembers which are known.
pub(super) struct Loader<'a> {
    pub(super) fetcher: &'a Fetcher,
    pub(super) address: &'a Address,
    pub(super) known: &'a [FileState],
    pub(super) tally: &'a Arc<Tally>,
}

impl Loader<'_> {
    /// Loads the root file and, level by level, what it includes. `known_keys` are those of the last survey.
    pub(super) async fn load_all(&self, known_keys: Option<&Keys>) -> Result<Files, SourceError> {
        self.tally.expect(1);
        let root = self.load(String::new(), String::new(), None).await?;
        let keys = root
            .keys
            .or_else(|| known_keys.cloned())
            .unwrap_or_default();
        let has_includes = keys.metadata_url.is_none() && keys.lazy_url.is_none();
        let hashed = keys.providers_url.is_some();
        let mut wave = if has_includes {
            root.file.state.includes.clone()
        } else {
            Vec::new()
        };
        let mut all = Files {
            list: vec![root.file],
            keys,
            unchanged: root.same,
            skipped: root.skipped,
        };
        let mut asked = HashSet::new();
        for _ in 0..MAX_DEPTH {
            wave.retain(|file| asked.insert(file.clone()));
            if all.list.len() + wave.len() > MAX_FILES {
                return Err(self.refuse(format!("it includes more than {MAX_FILES} files")));
            }
            if wave.is_empty() {
                return Ok(all);
            }
            self.tally.expect(wave.len());
            let loads = wave
                .into_iter()
                .map(|(path, hash)| self.load(path, hash, Some(hashed)).boxed());
            let loaded: Vec<Loaded> = stream::iter(loads).buffered(PARALLEL).try_collect().await?;
            wave = loaded
                .iter()
                .flat_map(|loaded| loaded.file.state.includes.clone())
                .collect();
            for loaded in loaded {
                all.unchanged &= loaded.same;
                all.skipped.extend(loaded.skipped);
                all.list.push(loaded.file);
            }
        }
        Err(self.refuse(format!("its includes nest deeper than {MAX_DEPTH} levels")))
    }

    async fn load(
        &self,
        path: String,
        hash: String,
        hashed: Option<bool>,
    ) -> Result<Loaded, SourceError> {
        let loaded = self.load_unless_known(path, hash, hashed).await;
        self.tally.done();
        loaded
    }

    /// Loads one file unless it is known. `hashed` says which includes count; the root file decides for itself.
    async fn load_unless_known(
        &self,
        path: String,
        hash: String,
        hashed: Option<bool>,
    ) -> Result<Loaded, SourceError> {
        let known = self
            .known
            .iter()
            .find(|known| known.path == path && known.hash == hash);
        if let Some(known) = known.filter(|_| !hash.is_empty()) {
            return Ok(self.same(known));
        }
        let url = file_url(self.address, &path)?;
        match fetch(self.fetcher, &url, known.map(|known| &known.seen)).await? {
            Fetched::Same => known
                .map(|known| self.same(known))
                .ok_or_else(|| self.refuse("HTTP 304 to a plain request".into())),
            Fetched::Missing => Err(missing(&url, &path)),
            Fetched::Body(bytes, seen) => {
                self.tally.take(self.address.root(), bytes.len())?;
                verify(&url, &bytes, &hash).await?;
                let contents = parse_file(&url, bytes, hashed).await?;
                let is_root = path.is_empty();
                if is_root && !contents.is_recognised {
                    let problem = "it is not the root file of a Composer repository: it has neither packages nor \
                                   metadata-url nor any other key that leads to packages";
                    return Err(self.refuse(problem.to_owned()));
                }
                let mut state = contents.state;
                (state.path, state.hash, state.seen) = (path, hash, seen);
                Ok(Loaded {
                    file: File {
                        state,
                        content: OnceCell::new_with(Some(contents.packages)),
                        tally: Arc::clone(self.tally),
                    },
                    keys: is_root.then_some(contents.keys),
                    skipped: contents.skipped,
                    same: false,
                })
            }
        }
    }

    fn same(&self, known: &FileState) -> Loaded {
        Loaded {
            file: File {
                state: known.clone(),
                content: OnceCell::new(),
                tally: Arc::clone(self.tally),
            },
            keys: None,
            skipped: Vec::new(),
            same: true,
        }
    }

    fn refuse(&self, problem: String) -> SourceError {
        SourceError::Invalid {
            what: shown(self.address.root()),
            problem,
        }
    }
}

impl File {
    /// The text of a package in this file, fetched again if this survey did not need the file. Nothing if it left.
    pub(super) async fn package(
        &self,
        name: &PackageName,
        fetcher: &Fetcher,
        address: &Address,
    ) -> Result<&[Raw], SourceError> {
        let content = self
            .content
            .get_or_try_init(|| self.fetch_content(fetcher, address))
            .await?;
        Ok(content.get(name).map(Vec::as_slice).unwrap_or_default())
    }

    async fn fetch_content(
        &self,
        fetcher: &Fetcher,
        address: &Address,
    ) -> Result<Packages, SourceError> {
        let url = file_url(address, &self.state.path)?;
        let Fetched::Body(bytes, _) = fetch(fetcher, &url, None).await? else {
            return Err(missing(&url, &self.state.path));
        };
        self.tally.take(address.root(), bytes.len())?;
        verify(&url, &bytes, &self.state.hash).await?;
        Ok(parse_file(&url, bytes, None).await?.packages)
    }

    /// Where it is, for errors.
    pub(super) fn shown(&self, address: &Address) -> String {
        // A path that makes no URL was never fetched.
        let url = file_url(address, &self.state.path);
        shown(url.as_ref().unwrap_or(address.root()))
    }

    /// Inline packages with digests of their text.
    pub(super) fn packages(&self) -> &BTreeMap<PackageName, String> {
        &self.state.packages
    }

    /// Packages with the hashes of their own files.
    pub(super) fn providers(&self) -> &BTreeMap<PackageName, String> {
        &self.state.providers
    }
}

async fn parse_file(
    url: &Url,
    bytes: Bytes,
    hashed: Option<bool>,
) -> Result<Contents, SourceError> {
    parse(url, bytes, move |bytes| {
        serde_json::from_slice(bytes).map(|root| Contents::of(root, hashed))
    })
    .await
}

fn file_url(address: &Address, path: &str) -> Result<Url, SourceError> {
    if path.is_empty() {
        Ok(address.root().clone())
    } else {
        address.file(path)
    }
}

fn missing(url: &Url, path: &str) -> SourceError {
    let problem = if path.is_empty() {
        "there is no Composer repository at this address (HTTP 404); check the URL".to_owned()
    } else {
        "the repository's index names this file, but it is not there".to_owned()
    };
    SourceError::Invalid {
        what: shown(url),
        problem,
    }
}
