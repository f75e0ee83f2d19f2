//! Git repositories, made by the real `git` and read by the source.

mod archive;
mod heal;
mod limits;
mod mirror;
mod reach;
mod ssh;
mod versions;

use package_broker_core::{
    domain::repository::Repository,
    ports::source::{Source as _, SourceError},
};

use crate::support::git::Reader;

/// Why a survey of this repository fails.
async fn refused(repository: &Repository) -> SourceError {
    Reader::of(repository)
        .source
        .survey(None)
        .await
        .err()
        .unwrap()
}
