//! The stored form of a package's versions: JSON, compressed with zstd.

use std::io::{self, Read};

use package_broker_core::{
    domain::{
        metadata::PackageVersions,
        names::{PackageName, RepositoryName},
    },
    ports::database::PutPackage,
};
use thiserror::Error;

/// The level that costs the least time; the next ones save a few percent of space only.
const ZSTD_LEVEL: i32 = 1;

/// The most bytes a package's versions unpack to: no package comes near, only damage does.
const MAX_CONTENT: u64 = 1 << 30;

/// Why content could not be packed or unpacked.
#[derive(Debug, Error)]
pub(super) enum ContentError {
    #[error("{what}: {problem}")]
    Damaged { what: String, problem: String },
    #[error("it could not be compressed: {0}")]
    Compress(io::Error),
    #[error("the work was stopped: the program is shutting down")]
    Stopped,
}

/// The stored form of packages' versions, made off the async runtime.
pub(super) async fn compress(packages: &[PutPackage]) -> Result<Vec<Vec<u8>>, ContentError> {
    let contents: Vec<_> = packages.iter().map(|put| put.content.clone()).collect();
    let compress = move || {
        let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        contents
            .iter()
            .map(|content| compressor.compress(content))
            .collect()
    };
    let compressed: io::Result<_> = tokio::task::spawn_blocking(compress)
        .await
        .map_err(|_| ContentError::Stopped)?;
    compressed.map_err(ContentError::Compress)
}

/// The versions in their stored form, read off the async runtime.
pub(super) async fn decode(
    repository: &RepositoryName,
    package: &PackageName,
    content: Vec<u8>,
) -> Result<PackageVersions, ContentError> {
    let what = format!("{package} of repository {repository}");
    let package = package.clone();
    let decode = move || {
        let mut text = Vec::with_capacity(content.len().saturating_mul(4));
        zstd::Decoder::new(content.as_slice())
            .and_then(|decoder| decoder.take(MAX_CONTENT).read_to_end(&mut text))
            .map_err(|error| error.to_string())?;
        PackageVersions::decode(&package, &text)
    };
    let decoded = tokio::task::spawn_blocking(decode)
        .await
        .map_err(|_| ContentError::Stopped)?;
    decoded.map_err(|problem| ContentError::Damaged { what, problem })
}
