//! What a source needs around it: a repository, a network, a place for archives, and what is known already.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use package_broker_core::{
    domain::{
        archive::{ArchiveFormat, BlobId},
        cadence::Cadence,
        metadata::{Channel, PackageVersions, Version},
        names::{PackageName, RepositoryName},
        patterns::NameFilter,
        repository::{BucketAccess, Credentials, Repository, SourceKind},
        selection::VersionFilter,
        stamp::Stamp,
    },
    ports::{
        database::{
            Applied, Changes, DatabaseError, Delta, Encoding, Index, PackageStore, Revision,
            Revisions, StoredDocument,
        },
        source::{ArchiveSink, Known, Source, WantedArchive},
        storage::{Staged, StorageError},
    },
};
use package_broker_drivers::source::{
    SourceLimits, composer::ComposerSource, egress::EgressPolicy, http::Network,
};
use secrecy::SecretSlice;

pub(crate) fn name(text: &str) -> PackageName {
    PackageName::parse(text).unwrap()
}

/// A policy that lets tests reach loopback.
pub(crate) fn loopback() -> EgressPolicy {
    EgressPolicy {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        allow_http: true,
        allow_file: true,
    }
}

pub(crate) fn network(limits: SourceLimits) -> Arc<Network> {
    Arc::new(Network::new(Arc::new(loopback()), limits))
}

pub(crate) fn credentials(pairs: &[(&str, &str)]) -> Credentials {
    let secret = |value: &str| SecretSlice::from(value.as_bytes().to_vec());
    Credentials::new(
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), secret(value)))
            .collect::<BTreeMap<_, _>>(),
    )
}

pub(crate) fn repository(url: &str) -> Repository {
    Repository {
        name: RepositoryName::new("upstream"),
        kind: SourceKind::Composer,
        url: url.to_owned(),
        priority: 0,
        filter: NameFilter::default(),
        versions: VersionFilter::default(),
        mode: None,
        cadence: Cadence::Every(Duration::from_hours(1)),
        timeout: Duration::from_mins(10),
        path: None,
        refs: Vec::new(),
        bucket: BucketAccess::default(),
        credentials: Credentials::default(),
        webhook: None,
        public: false,
        suspended: false,
        retained: false,
    }
}

pub(crate) fn composer(url: &str) -> ComposerSource {
    ComposerSource::open(&repository(url), &network(SourceLimits::default())).unwrap()
}

/// What is known of a package that was read with this validator.
pub(crate) fn known(validator: Option<&str>) -> Known {
    Known {
        validator: validator.map(str::to_owned),
        packages: Arc::new(NoPackages),
        repository: RepositoryName::new("upstream"),
    }
}

/// Archives in memory.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Vec<u8>>>);

impl Shelf {
    pub(crate) fn sink(&self, limit: u64) -> ArchiveSink {
        self.0.lock().unwrap().clear();
        ArchiveSink::new(Box::new(self.clone()), limit)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Staged for Shelf {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.0.lock().unwrap().extend_from_slice(&chunk);
        Ok(())
    }

    async fn commit(self: Box<Self>, _: &BlobId) -> Result<(), StorageError> {
        Ok(())
    }
}

/// The archive of version 1.0 of acme/lib with this `dist`.
pub(crate) fn wanted(dist: &str, reference: Option<&str>) -> WantedArchive {
    let text = format!(r#"{{"name":"acme/lib","version":"1.0","dist":{dist}}}"#);
    let version = Version::check(&name("acme/lib"), serde_json::from_str(&text).unwrap()).unwrap();
    let reference = reference.map(str::to_owned);
    WantedArchive {
        package: name("acme/lib"),
        version,
        reference,
        format: ArchiveFormat::Zip,
    }
}

/// Fetches an archive whole.
pub(crate) async fn fetch_archive(
    source: &dyn Source,
    wanted: &WantedArchive,
) -> Result<Vec<u8>, package_broker_core::ports::source::SourceError> {
    let shelf = Shelf::default();
    let mut sink = shelf.sink(1 << 20);
    source.archive(wanted, &mut sink).await?;
    assert_eq!(sink.finish().unwrap().size, shelf.bytes().len() as u64);
    Ok(shelf.bytes())
}

/// A database that is empty and stays so.
struct NoPackages;

#[async_trait]
impl PackageStore for NoPackages {
    async fn index(&self) -> Result<Index, DatabaseError> {
        Ok(Index::default())
    }

    async fn versions(
        &self,
        _: &RepositoryName,
        _: &PackageName,
    ) -> Result<Option<PackageVersions>, DatabaseError> {
        Ok(None)
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
        Err(read_only())
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
        Err(read_only())
    }
}

fn read_only() -> DatabaseError {
    DatabaseError::Unavailable {
        action: "write",
        problem: "it is empty and stays so".to_owned(),
    }
}
