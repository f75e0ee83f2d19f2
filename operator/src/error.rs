//! What can go wrong in a reconcile: all of it is tried again.

use thiserror::Error;

use crate::package_broker::build::BuildError;

/// A reconcile did not come to its end.
#[derive(Debug, Error)]
pub(crate) enum ReconcileError {
    /// The API server refused something, or did not answer.
    #[error("the API server: {0}")]
    Kube(#[from] Box<kube::Error>),
    /// What should exist cannot be written down.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The database of a broker did not do what it should.
    #[error(transparent)]
    Database(#[from] package_broker_core::ports::database::DatabaseError),
    /// A repository cannot be written down.
    #[error(transparent)]
    Settings(#[from] package_broker_core::domain::declared::SettingsError),
    /// No random numbers, for instance.
    #[error("a token cannot be made: {0}")]
    Token(#[from] package_broker_core::domain::token::TokenError),
}

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        Self::Kube(Box::new(error))
    }
}
