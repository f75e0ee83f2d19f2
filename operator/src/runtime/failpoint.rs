//! Places where a test ends the process: in programs that are built for tests, and in no other.
//!
//! Between any two calls that wait for something, the machine may go. Each such place has a name; a process that is told
//! a name in `FAILPOINT` ends there, as if it were killed. `FAILPOINT=list` has it print all names, and `FAILPOINT=trace`
//! those that it passes. With `FAILPOINT_ARMED`, a path, all this begins when there is a file.

/// Every place, in the order in which a registry comes about, with the installations that it is reached in; `change` has
/// those that are only reached when one changes. The suites go through all of them.
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
    ("change", "broker.migration-removed"),
    ("change", "broker.policy-settled"),
    ("servers", "broker.budget-settled"),
    ("change", "broker.autoscaler-settled"),
    ("change", "broker.ingress-settled"),
    ("change", "broker.route-settled"),
    ("change", "broker.monitor-settled"),
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
    let Ok(wanted) = std::env::var("FAILPOINT") else {
        return;
    };
    let armed = std::env::var_os("FAILPOINT_ARMED");
    if armed.is_some_and(|file| !std::path::Path::new(&file).exists()) {
        return;
    }
    if wanted == name || wanted == "trace" {
        eprintln!("failpoint {name}");
    }
    if wanted == name {
        std::process::exit(137);
    }
}

/// Nothing, in a program that people run.
#[cfg(not(debug_assertions))]
pub(crate) fn list() {}

/// Nothing, in a program that people run.
#[cfg(not(debug_assertions))]
pub(crate) fn reach(_: &'static str) {}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Whether a literal is the name of a place.
    fn is_name(literal: &str) -> bool {
        let words = literal.split_once('.');
        words.is_some_and(|(of, place)| {
            ["token", "broker", "syncs", "repository"].contains(&of)
                && place.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        })
    }

    /// The names in the source of a folder.
    fn reached(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                reached(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs")
                && !path.ends_with("failpoint.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let literals = text.split('"').filter(|literal| is_name(literal));
                found.extend(literals.map(str::to_owned));
            }
        }
    }

    #[test]
    fn the_list_has_the_places_of_the_source_and_no_other() {
        let mut found = BTreeSet::new();
        reached(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        let listed: BTreeSet<String> = ALL.iter().map(|(_, name)| (*name).to_owned()).collect();
        assert_eq!(found, listed);
        assert_eq!(listed.len(), ALL.len(), "a name is there twice");
    }
}
