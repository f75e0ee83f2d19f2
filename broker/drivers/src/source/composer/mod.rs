//! Other Composer repositories as sources, in every format that clients read (protocol A.1 to A.4).
//!
//! A survey reads the root file and what it includes, under conditions; a [`reader::Reader`] then reads packages by
//! the one scheme the root file is written in. What the next survey needs of files that did not change is in the
//! survey's state, so that a sync with nothing new costs one conditional request a document.

mod address;
mod contents;
mod dist;
mod document;
mod fetch;
mod files;
mod lenient;
mod listing;
mod reader;
mod root;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use package_broker_core::{
    domain::{names::RepositoryName, repository::Repository, skipped::Skipped},
    ports::source::{ArchiveSink, Source, SourceError, Survey, WantedArchive},
};
use serde::{Deserialize, Serialize};
use url::Url;

use self::{
    address::Address,
    files::{File, FileState, Files, Loader},
    listing::{ListState, fetch_list, listing, needs_list},
    reader::Reader,
    root::{Keys, Mirror},
    tally::Tally,
};
use super::{
    SourceLimits,
    http::{Fetcher, Network, copy_archive},
    progress,
};

/// The form of [`State`]; one of another form is ignored.
const STATE_FORMAT: u32 = 1;

/// A Composer repository.
pub struct ComposerSource {
    name: RepositoryName,
    limits: SourceLimits,
    fetcher: Arc<Fetcher>,
    address: Address,
    /// The public mirror's list of all names is never asked for: it is long, and nobody lists from it.
    ask_for_list: bool,
    /// The mirrors of archives of the last root file seen; `None` before the first.
    mirrors: Mutex<Option<Vec<Mirror>>>,
}

/// What one survey tells the next.
#[derive(Default, Serialize, Deserialize)]
struct State {
    format: u32,
    url: String,
    keys: Keys,
    files: Vec<FileState>,
    #[serde(default)]
    list: Option<ListState>,
}

/// The same, borrowed.
#[derive(Serialize)]
struct StateRef<'a> {
    format: u32,
    url: &'a str,
    keys: &'a Keys,
    files: Vec<&'a FileState>,
    list: Option<&'a ListState>,
}

impl ComposerSource {
    /// Opens the repository; does no I/O.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if the URL or the credentials cannot work, [`SourceError::Forbidden`] if the
    /// policy refuses the URL.
    pub fn open(repository: &Repository, network: &Arc<Network>) -> Result<Self, SourceError> {
        let address = Address::new(&repository.url)?;
        let fetcher = Fetcher::new(network, address.root(), &repository.credentials)?;
        Ok(Self {
            name: repository.name.clone(),
            limits: *network.limits(),
            fetcher: Arc::new(fetcher),
            address,
            ask_for_list: !repository.public,
            mirrors: Mutex::new(None),
        })
    }

    /// Loads the root file and its includes. A long load says where it is.
    async fn load(&self, previous: Option<&State>) -> Result<Files, SourceError> {
        let tally = Arc::new(Tally::new(&self.limits));
        let known = previous
            .map(|state| state.files.as_slice())
            .unwrap_or_default();
        let loader = Loader {
            fetcher: &self.fetcher,
            address: &self.address,
            known,
            tally: &tally,
        };
        let loading = loader.load_all(previous.map(|state| &state.keys));
        let tell = || tally.log(&self.name);
        let files = progress::telling(progress::EVERY, tell, loading).await?;
        let mirrors = files
            .keys
            .mirrors
            .iter()
            .map(|mirror| self.complete(mirror))
            .collect();
        *self.mirrors.lock().unwrap_or_else(PoisonError::into_inner) = Some(mirrors);
        Ok(files)
    }

    fn complete(&self, mirror: &Mirror) -> Mirror {
        let dist_url = mirror
            .dist_url
            .as_deref()
            .map(|url| self.address.complete(url));
        Mirror {
            dist_url,
            ..mirror.clone()
        }
    }

    fn known_mirrors(&self) -> Option<Vec<Mirror>> {
        self.mirrors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn list(
        &self,
        keys: &Keys,
        previous: Option<&State>,
    ) -> Result<Option<ListState>, SourceError> {
        match &keys.list {
            Some(list) if self.ask_for_list && needs_list(keys) => {
                let known = previous.and_then(|state| state.list.as_ref());
                fetch_list(&self.fetcher, &self.address, list, known).await
            }
            _ => Ok(None),
        }
    }

    /// Tries places until one answers; its bytes then are the archive.
    async fn try_places(
        &self,
        places: &[Url],
        sink: &mut ArchiveSink,
    ) -> Result<Tried, SourceError> {
        let mut failure = None;
        for place in places {
            match self.fetcher.open_archive(place, sink.limit()).await {
                Ok(reply) => return copy_archive(reply, sink).await.map(|()| Tried::Done),
                Err(error @ SourceError::Defective(_)) => return Err(error),
                // One that may be there later says more than one that is gone.
                Err(error) => match failure {
                    Some(SourceError::Gone { .. }) | None => failure = Some(error),
                    Some(_) => {}
                },
            }
        }
        Ok(Tried::Failed(failure))
    }
}

/// How trying places ended without a byte written.
enum Tried {
    Done,
    Failed(Option<SourceError>),
}

#[async_trait]
impl Source for ComposerSource {
    async fn survey(&self, previous: Option<&str>) -> Result<Survey, SourceError> {
        let previous = previous.and_then(|text| State::read(text, self.address.root().as_str()));
        let mut files = self.load(previous.as_ref()).await?;
        let list = self.list(&files.keys, previous.as_ref()).await?;
        let mut skipped = std::mem::take(&mut files.skipped);
        let listing = listing(&files, list.as_ref(), &mut skipped);
        skipped.truncate(Skipped::MAX_KEPT);
        let by_name = files.keys.metadata_url.is_some() || files.keys.lazy_url.is_some();
        let unchanged = files.unchanged && !by_name;
        let state = State::write(self.address.root().as_str(), &files, list.as_ref());
        let reader = Reader::new(Arc::clone(&self.fetcher), self.address.clone(), files)?;
        Ok(Survey {
            listing,
            state,
            unchanged,
            skipped,
            revision: None,
            reader: Arc::new(reader),
        })
    }

    async fn archive(
        &self,
        wanted: &WantedArchive,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError> {
        let known = self.known_mirrors();
        let places = dist::places(wanted, known.as_deref().unwrap_or_default());
        let failure = match &places {
            Ok(places) => match self.try_places(places, sink).await? {
                Tried::Done => return Ok(()),
                Tried::Failed(failure) => failure,
            },
            Err(_) => None,
        };
        if known.is_none() && self.load(None).await.is_ok() {
            // Only the root file knows the mirrors, and no survey has read it yet.
            let mirrors = self.known_mirrors().unwrap_or_default();
            let others: Vec<Url> = match (dist::places(wanted, &mirrors), &places) {
                (Ok(all), Ok(tried)) => {
                    all.into_iter().filter(|url| !tried.contains(url)).collect()
                }
                (Ok(all), Err(_)) => all,
                (Err(_), _) => Vec::new(),
            };
            if let Tried::Done = self.try_places(&others, sink).await? {
                return Ok(());
            }
        }
        places?;
        Err(failure.unwrap_or_else(|| SourceError::Gone {
            what: format!(
                "the archive of {} {}",
                wanted.package,
                wanted.version.pretty()
            ),
            problem: "no place for it is known".to_owned(),
        }))
    }
}

impl State {
    /// Reads what the last survey wrote, if it is of this form and for this URL.
    fn read(text: &str, url: &str) -> Option<Self> {
        let state: Self = serde_json::from_str(text).ok()?;
        (state.format == STATE_FORMAT && state.url == url).then_some(state)
    }

    fn write(url: &str, files: &Files, list: Option<&ListState>) -> Option<String> {
        let states = files.list.iter().map(|file: &File| &file.state).collect();
        let state = StateRef {
            format: STATE_FORMAT,
            url,
            keys: &files.keys,
            files: states,
            list,
        };
        serde_json::to_string(&state).ok()
    }
}
