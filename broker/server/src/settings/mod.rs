//! Settings of processes that share their state with others: from one file, overridden by the environment.
//!
//! [`process`] is what a process is told, [`table`] lists it, and [`layers`] finds the values and remembers where each
//! came from. What holds for a whole installation is in none of them, but in the `PackageBroker` that was applied.

mod layers;
mod process;
mod show;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use thiserror::Error;

pub(crate) use layers::load;
pub(crate) use process::{Database, Process, Storage, Telemetry};
pub(crate) use show::{reference, shown};

/// Everything a process is told.
pub(crate) struct Settings {
    /// The values.
    pub(crate) process: Process,
    /// Every value with where it came from, in the order of keys.
    pub(crate) values: Vec<Sourced>,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced {
    /// Where it is in the file.
    pub(crate) key: String,
    /// The value as it may be shown; empty if there is none.
    pub(crate) shown: String,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said otherwise.
    Default,
    /// A line of the settings file.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// The content of a file, which the other origin names.
    SecretFile(PathBuf, Box<Origin>),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::SecretFile(file, named) => {
                write!(f, "the file {}, named in {named}", file.display())
            }
        }
    }
}

/// Settings cannot be used. None of these shows a secret.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// What is wrong with each value that is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Mistake>),
    /// The table itself.
    #[error("the table of settings is broken: {0}; report this as a defect of the program")]
    Defect(String),
}

/// One wrong value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The setting; empty if it is the file as a whole.
    pub(crate) key: String,
    /// Where it was given.
    pub(crate) origin: Origin,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) fix: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}
