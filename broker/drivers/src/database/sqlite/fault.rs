//! What can go wrong inside the driver, and how it is told.

use std::{fmt, path::Path};

use package_broker_core::ports::database::DatabaseError;
use thiserror::Error;

use super::super::content::ContentError;

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>) that call for advice.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

/// A failure before it is known to the caller.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// SQLite or the way to it failed.
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

    /// The port's error: names the file and what to do.
    pub(super) fn explain(self, action: &'static str, path: &Path) -> DatabaseError {
        match self {
            Self::Outdated => DatabaseError::Outdated,
            Self::Fenced => DatabaseError::Fenced,
            Self::Corrupt { what, problem } => DatabaseError::Corrupt { what, problem },
            Self::Stopped => DatabaseError::Unavailable {
                action,
                problem: self.to_string(),
            },
            Self::Sql(error) => explain_sql(&error, action, path),
        }
    }
}

fn explain_sql(error: &sqlx::Error, action: &'static str, path: &Path) -> DatabaseError {
    let file = path.display();
    match (result_code(error), error) {
        (Some(code::CORRUPT | code::NOTADB), _) => damaged(path, error),
        (_, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => DatabaseError::Corrupt {
            what: format!("a value in {file}"),
            problem: error.to_string(),
        },
        (code, _) => {
            let advice = code
                .and_then(advice)
                .map(|advice| format!("; {advice}"))
                .unwrap_or_default();
            DatabaseError::Unavailable {
                action,
                problem: format!("{file}: {error}{advice}"),
            }
        }
    }
}

/// The error for a file that is no longer, or never was, a whole database.
fn damaged(path: &Path, error: &sqlx::Error) -> DatabaseError {
    let file = path.display();
    DatabaseError::Corrupt {
        what: format!("pages in {file}"),
        problem: format!(
            "{error}; stop the broker and put back a backup of the file, or move it away together with {file}-wal \
             and {file}-shm and let every repository be synced again"
        ),
    }
}

/// The primary code: the low byte of the extended one.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

fn advice(code: i32) -> Option<&'static str> {
    Some(match code {
        code::BUSY => "another process keeps it locked; only one broker may use it",
        code::READONLY => "make the file and its folder writable for the user the broker runs as",
        code::IOERR => "check the disk and its mount",
        code::FULL => "free some space on its disk",
        code::CANTOPEN => {
            "check that its folder exists and that the user the broker runs as may write there"
        }
        _ => return None,
    })
}
