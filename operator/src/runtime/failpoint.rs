//! Places where a test ends the process: in programs that are built for tests, and in no other.
//!
//! Between any two calls that wait for something, the machine may go. Each such place has a name; a process that is told
//! a name in `FAILPOINT` ends there, as if it were killed. `FAILPOINT=list` has it print all names.

/// Every place, in the order in which a registry comes about. The suites go through all of them.
#[cfg(debug_assertions)]
const ALL: &[&str] = &[
    "token.dereferenced",
    "token.applied",
    "token.status-written",
    "token.told",
    "broker.dereferenced",
    "broker.service-applied",
    "broker.state-applied",
    "broker.volume-applied",
    "broker.keys-made",
    "broker.settings-applied",
    "broker.migration-begun",
    "broker.migrated-again",
    "broker.rows-declared",
    "broker.deployment-applied",
    "broker.pods-marked",
    "broker.asked",
    "broker.status-written",
    "broker.told",
    "syncs.dereferenced",
    "syncs.begun",
    "syncs.request-met",
    "syncs.superseded",
    "repository.dereferenced",
    "repository.status-written",
    "repository.told",
];

/// Prints the list, if that is what was asked for.
#[cfg(debug_assertions)]
pub(crate) fn list() {
    if std::env::var("FAILPOINT").is_ok_and(|wanted| wanted == "list") {
        println!("{}", ALL.join("\n"));
        std::process::exit(0);
    }
}

/// Ends the process if it was told to end here.
#[cfg(debug_assertions)]
pub(crate) fn reach(name: &'static str) {
    assert!(ALL.contains(&name), "{name} is not in the list");
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
