//! A part of a bucket of an S3 service.
//!
//! Requests are signed here, in the query of the URL, and made by our [`Fetcher`]: guard, politeness and bounds are
//! those of every other source. The keys of the Secret never leave the process. A signed URL does, to the endpoint;
//! it is good for one kind of request on one object for some minutes, and is never shown: messages leave out queries.

mod address;
mod listing;
mod memo;
mod object;
mod stamp;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use package_broker_core::{
    domain::{
        archive::ArchiveFormat,
        metadata::Fields,
        names::PackageName,
        repository::{Credentials, Repository},
    },
    ports::source::{ArchiveSink, SourceError},
};
use secrecy::SecretSlice;
use tokio::sync::Semaphore;

use self::{address::Address, memo::Memo};
pub(super) use self::{address::is_bucket, stamp::ObjectStamp};
use super::{
    inspect::{self, Digest, Inspector},
    place::{Candidate, MAX_FILE, PARALLEL, Stamp},
    refusal::Refusal,
    state::{Identity, PackageFile},
};
use crate::source::http::{Fetcher, Network};

/// How long a signed URL is good for. Longer than a request may wait for its turn at the host.
const SIGNED_FOR: Duration = Duration::from_mins(10);

/// A prefix of a bucket, with what is needed to read it.
pub(super) struct Bucket {
    address: Address,
    keys: Option<rusty_s3::Credentials>,
    fetcher: Fetcher,
    inspector: Inspector,
    scratch: PathBuf,
    turns: Arc<Semaphore>,
    memo: Memo,
}

impl Bucket {
    /// The bucket of a repository whose URL is `s3://bucket/prefix`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if URL, `bucket` or credentials cannot work, [`SourceError::Forbidden`] if the
    /// policy refuses the endpoint.
    pub(super) fn open(
        repository: &Repository,
        network: &Arc<Network>,
        inspector: Inspector,
        scratch: &Path,
    ) -> Result<Self, SourceError> {
        let address = Address::read(&repository.url, &repository.bucket)?;
        let keys = keys(&repository.credentials)?;
        let tls = tls_only(&repository.credentials);
        Ok(Self {
            fetcher: Fetcher::new(network, address.bucket.base_url(), &tls)?,
            address,
            keys,
            inspector,
            scratch: scratch.to_owned(),
            turns: Arc::new(Semaphore::new(PARALLEL)),
            memo: Memo::default(),
        })
    }

    pub(super) fn shown(&self) -> &str {
        &self.address.shown
    }

    /// Fetches a whole object and says what it is. What it said before of the same object, it says again.
    pub(super) async fn identify(&self, candidate: &Candidate) -> Result<Identity, Refusal> {
        let Stamp::Object(stamp) = &candidate.stamp else {
            return Err(Refusal::Busy);
        };
        if let Some(identity) = self.memo.identity(&candidate.path, stamp) {
            return Ok(identity);
        }
        if stamp.size() > MAX_FILE {
            return Err(Refusal::TooLarge);
        }
        let (inspector, format) = (self.inspector, candidate.format);
        let judged = self.look_into(&candidate.path, stamp, move |file, digest| {
            let (identity, text) = inspector.judge(file, format, digest)?;
            Ok((identity, memo::compress(&text)))
        });
        let (identity, text) = judged.await?;
        self.memo.keep(&candidate.path, stamp, &identity, text);
        Ok(identity)
    }

    /// The metadata of an object: from when it was identified, else fetched once more.
    pub(super) async fn fields(&self, file: &PackageFile) -> Result<Fields, Refusal> {
        let Some(Stamp::Object(stamp)) = &file.stamp else {
            return Err(Refusal::Busy);
        };
        if let Some(text) = self.memo.take_text(&file.path, stamp) {
            return inspect::parse(&text);
        }
        let format = ArchiveFormat::of_file(&file.path).ok_or(Refusal::NoComposerJson)?;
        let (inspector, sha1) = (self.inspector, file.sha1.clone());
        self.look_into(&file.path, stamp, move |open, digest| {
            if digest.sha1() != sha1 {
                return Err(Refusal::Busy);
            }
            inspect::parse(&inspector.composer_json(open, format)?)
        })
        .await
    }

    /// Fetches an object and works on it off the runtime. The turn is held until that ends, also when nobody waits
    /// for it any more.
    async fn look_into<T: Send + 'static>(
        &self,
        path: &str,
        stamp: &ObjectStamp,
        work: impl FnOnce(&mut File, Digest) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| self.stopped())?;
        let (mut file, digest) = self.download(path, stamp).await?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&mut file, digest)
        });
        done.await.map_err(|_| self.stopped())?
    }

    /// Copies an object, if it still is what the last survey saw; without a survey, as it is now.
    ///
    /// # Errors
    /// [`SourceError::Gone`] if it was removed or replaced, and those of [`Fetcher::send`].
    pub(super) async fn copy(
        &self,
        path: &str,
        known: Option<&PackageFile>,
        package: &PackageName,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError> {
        let stamp = known.and_then(|file| match &file.stamp {
            Some(Stamp::Object(stamp)) => Some(stamp),
            _ => None,
        });
        match self.copy_object(path, stamp, sink).await {
            Err(Refusal::Unfetched(error) | Refusal::Stopped(error)) => Err(error),
            Err(_) => Err(SourceError::Gone {
                what: format!("{path}, an archive of {package},"),
                problem: "the bucket has another object or none in its place since the last sync"
                    .to_owned(),
            }),
            Ok(()) => Ok(()),
        }
    }

    fn stopped(&self) -> Refusal {
        Refusal::Stopped(self.unavailable("reading it was stopped"))
    }

    fn unavailable(&self, problem: impl Into<String>) -> SourceError {
        SourceError::Unavailable {
            what: self.shown().to_owned(),
            problem: problem.into(),
            retry_after: None,
        }
    }
}

/// The access key of a Secret, if it has one; without, requests are anonymous.
fn keys(credentials: &Credentials) -> Result<Option<rusty_s3::Credentials>, SourceError> {
    let [key, secret, token] = ["accessKeyId", "secretAccessKey", "sessionToken"]
        .map(|name| credentials.text(name).filter(|text| !text.is_empty()));
    let missing = |name: &str| SourceError::Misconfigured {
        problem: format!("the Secret lacks {name}"),
        fix: "give it accessKeyId and secretAccessKey, or neither for a public bucket".to_owned(),
    };
    match (key, secret, token) {
        (None, None, None) => Ok(None),
        (None, ..) => Err(missing("accessKeyId")),
        (_, None, _) => Err(missing("secretAccessKey")),
        (Some(key), Some(secret), None) => Ok(Some(rusty_s3::Credentials::new(key, secret))),
        (Some(key), Some(secret), Some(token)) => Ok(Some(rusty_s3::Credentials::new_with_token(
            key, secret, token,
        ))),
    }
}

/// What the fetcher may have of the Secret: all but what it would send as a login.
fn tls_only(credentials: &Credentials) -> Credentials {
    let keys = ["ca.crt", "tls.crt", "tls.key"].into_iter();
    let data = keys.filter_map(|key| {
        let value = SecretSlice::from(credentials.bytes(key)?.to_vec());
        Some((key.to_owned(), value))
    });
    Credentials::new(data.collect())
}
