//! Places where a test ends the process: with the feature `failpoints`, and only then.
//!
//! Between any two calls that wait for something, the machine may go. Each such place has a name; a process that is told
//! a name in `FAILPOINT` ends there, as if it were killed.

/// Every place, in the order in which a registry comes about. The suites go through all of them.
#[cfg(feature = "failpoints")]
pub(crate) const ALL: &[&str] = &[
    "token.dereferenced",
    "token.applied",
    "token.status-written",
    "token.told",
    "broker.dereferenced",
    "broker.state-applied",
    "broker.volume-applied",
    "broker.service-applied",
    "broker.deployment-applied",
    "broker.pods-marked",
    "broker.asked",
    "broker.status-written",
    "broker.told",
    "repository.dereferenced",
    "repository.status-written",
    "repository.told",
];

/// Ends the process if it was told to end here.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(name: &'static str) {
    debug_assert!(ALL.contains(&name), "{name} is not in the list");
    if std::env::var("FAILPOINT").is_ok_and(|wanted| wanted == name) {
        eprintln!("failpoint {name}");
        std::process::exit(137);
    }
}

/// Nothing, in a program that people run.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn reach(_: &'static str) {}
