//! What an error means for the connections.

use sqlx::Error;

use crate::{cache::remote::Failure, database::postgres::advice};

impl Failure for Error {
    /// An answer breaks nothing, unless it says that this server cannot serve: it is shutting down, a standby by now,
    /// or its schema is not ours.
    fn breaks(&self) -> bool {
        let Self::Database(error) = self else {
            return true;
        };
        let code = error.code().unwrap_or_default();
        matches!(&*code, "25006" | "42P01" | "42703") || code.starts_with("57P")
    }

    fn text(&self) -> String {
        format!("{self}{}", advice(self))
    }
}
