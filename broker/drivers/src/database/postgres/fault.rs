//! What can go wrong inside the driver, and how it is told.

use std::{fmt, time::Duration};

use package_broker_core::ports::database::DatabaseError;
use thiserror::Error;

use super::super::content::ContentError;

/// `undefined_table` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(super) const UNDEFINED_TABLE: &str = "42P01";

/// A failure before it is known to the caller.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// PostgreSQL or the way to it failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// Somebody else changed the same packages or declared repositories.
    #[error("the same was changed meanwhile")]
    Outdated,
    /// The claim to write under is over.
    #[error("the claim is over")]
    Fenced,
    /// A stored value makes no sense.
    #[error("{what}: {problem}")]
    Corrupt { what: String, problem: String },
    /// Nothing came back in time.
    #[error("it did not answer within {0:?}")]
    TooSlow(Duration),
    /// The program is shutting down, or a part of it panicked.
    #[error("the work was stopped: the program is shutting down")]
    Stopped,
}

impl From<ContentError> for Fault {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Damaged { what, problem } => Self::Corrupt { what, problem },
            ContentError::Compress(error) => Self::Sql(sqlx::Error::Io(error)),
            ContentError::Stopped => Self::Stopped,
        }
    }
}

impl Fault {
    /// A stored value that makes no sense.
    pub(super) fn corrupt(what: impl Into<String>, problem: &dyn fmt::Display) -> Self {
        Self::Corrupt {
            what: what.into(),
            problem: problem.to_string(),
        }
    }

    /// The port's error: names the server and what to do.
    pub(super) fn explain(self, action: &'static str, place: &str) -> DatabaseError {
        match self {
            Self::Outdated => DatabaseError::Outdated,
            Self::Fenced => DatabaseError::Fenced,
            Self::Corrupt { what, problem } => DatabaseError::Corrupt { what, problem },
            Self::Sql(error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))) => {
                DatabaseError::Corrupt {
                    what: format!("a value in {place}"),
                    problem: error.to_string(),
                }
            }
            Self::Sql(error) => DatabaseError::Unavailable {
                action,
                problem: format!("{place}: {error}{}", advice(&error)),
            },
            Self::TooSlow(_) | Self::Stopped => DatabaseError::Unavailable {
                action,
                problem: format!("{place}: {self}"),
            },
        }
    }
}

/// What to do about the conditions that users meet.
pub(crate) fn advice(error: &sqlx::Error) -> &'static str {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    match (code.as_deref(), error) {
        (Some(UNDEFINED_TABLE | "42703"), _) => "; run `package-broker migrate`",
        (Some("28P01" | "28000"), _) => {
            "; check the user and the password, and what pg_hba.conf allows"
        }
        (Some("3D000"), _) => "; create the database, or correct its name in the URL",
        (Some("42501"), _) => "; grant the user the right to it: the owner of the database has it",
        (Some("53300"), _) => "; raise the server's max_connections, or lower the broker's",
        (Some("53100"), _) => "; free some space on the server's disk",
        (Some("25006"), _) => {
            "; the server is a standby: name the primary, or add target_session_attrs=read-write"
        }
        (_, sqlx::Error::PoolTimedOut) => "; it does not answer, or every connection is in use",
        (_, error) if is_of_tls(error) => {
            "; check sslmode, the name in the URL, and that sslrootcert or caFile names the authority of its certificate"
        }
        _ => "",
    }
}

/// A certificate that is not believed comes as an error of the connection.
fn is_of_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>),
        _ => false,
    }
}
