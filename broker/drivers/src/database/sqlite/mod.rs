//! The embedded database: one SQLite file, written by one process.
//!
//! One connection writes, a few read; with the write-ahead log neither waits for the other. A commit returns once
//! the log is on the disk (`synchronous=FULL`), so what was acknowledged survives a loss of power.
//!
//! Each statement crosses to the connection's own thread and back, which costs more than SQLite takes for a row:
//! `apply` therefore writes many rows with one statement.

mod apply;
mod archive;
mod audit;
mod claim;
mod clock;
mod declared;
mod fault;
mod index;
mod open;
mod package;
mod publish;
mod repository;
mod request;
mod root;
mod rows;
mod token;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use package_broker_core::ports::database::{Connections, DatabaseError, Pooled};
use sqlx::{SqlitePool, Transaction};

use self::fault::Fault;
use super::connections;

/// A SQLite database file. Cheap to clone; all clones share its connections.
#[derive(Clone, Debug)]
pub struct Sqlite {
    path: Arc<Path>,
    writer: SqlitePool,
    readers: SqlitePool,
    claims: Arc<claim::Claims>,
    requests: Arc<request::Requests>,
}

impl Sqlite {
    /// Writes the log back into the file and closes every connection, once those in use are given back. Not needed
    /// for safety: it only spares the next start the work.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Starts a transaction that takes the write lock now: a later change of mind from reading to writing could fail.
    async fn write(&self) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Makes a failure the caller's, with what was being done.
    fn explain(&self, action: &'static str) -> impl FnOnce(Fault) -> DatabaseError {
        move |fault| fault.explain(action, &self.path)
    }
}

impl Pooled for Sqlite {
    fn connections(&self) -> Connections {
        let (writer, readers) = (connections(&self.writer), connections(&self.readers));
        Connections {
            open: writer.open + readers.open,
            idle: writer.idle + readers.idle,
            most: writer.most + readers.most,
        }
    }
}
