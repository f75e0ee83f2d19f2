//! Places where a test ends the process: in programs that are built for tests, and in no other.
//!
//! Between any two calls that wait for something, the machine may go. Each such place has a name; a process that is told
//! a name in `FAILPOINT` ends there, as if it were killed. `FAILPOINT=list` has it print all names.

/// Every place, in the order in which a registry comes about, with the installations that it is reached in. The suites go
/// through all of them.
#[cfg(debug_assertions)]
const ALL: &[(&str, &str)] = &[
    ("both", "token.dereferenced"),
    ("both", "token.applied"),
    ("both", "token.status-written"),
    ("both", "token.told"),
    ("both", "broker.dereferenced"),
    ("both", "broker.service-applied"),
    ("volume", "broker.administrator-made"),
    ("volume", "broker.state-applied"),
    ("volume", "broker.volume-applied"),
    ("servers", "broker.keys-made"),
    ("servers", "broker.settings-applied"),
    ("servers", "broker.migration-begun"),
    ("database-lost", "broker.migrated-again"),
    ("servers", "broker.rows-declared"),
    ("both", "broker.deployment-applied"),
    ("volume", "broker.pods-marked"),
    ("both", "broker.surroundings-applied"),
    ("volume", "broker.asked"),
    ("both", "broker.status-written"),
    ("both", "broker.told"),
    ("servers", "syncs.dereferenced"),
    ("servers", "syncs.begun"),
    ("sync-requested", "syncs.request-met"),
    ("sync-requested", "syncs.superseded"),
    ("both", "repository.dereferenced"),
    ("both", "repository.status-written"),
    ("both", "repository.told"),
];

/// Prints the list, if that is what was asked for.
#[cfg(debug_assertions)]
pub(crate) fn list() {
    if std::env::var("FAILPOINT").is_ok_and(|wanted| wanted == "list") {
        for (installation, name) in ALL {
            println!("{installation} {name}");
        }
        std::process::exit(0);
    }
}

/// Ends the process if it was told to end here.
#[cfg(debug_assertions)]
pub(crate) fn reach(name: &'static str) {
    let is_known = ALL.iter().any(|(_, known)| *known == name);
    assert!(is_known, "{name} is not in the list");
    if std::env::var("FAILPOINT").is_ok_and(|wanted| wanted == name) {
        eprintln!("failpoint {name}");
        std::process::exit(137);
    }
}

/// Nothing, in a program that people run.
#[cfg(not(debug_assertions))]
pub(crate) fn list() {}

/// Nothing, in a program that people run.
#[cfg(not(debug_assertions))]
pub(crate) fn reach(_: &'static str) {}
