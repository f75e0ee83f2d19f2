//! The suites of the protocol, again on servers: nothing of what one process does is another on several.

use std::process::Command;
use std::time::Duration;

use package_broker_e2e::process::run;

use crate::support::drivers::ON_SERVERS;

/// The suites.
const SUITES: [&str; 7] = [
    "archives::",
    "audit::",
    "clients::",
    "conditional::",
    "limits::",
    "malformed::",
    "routes::",
];
/// What of them counts the records of a single process, where here each command makes its own.
const EMBEDDED: [&str; 5] = [
    "audit::accesses::the_log_is_switched_off_and_on_by_manifests",
    "audit::changes::",
    "audit::lost::",
    "audit::options_choose_records",
    "audit::who_installed_what_is_told_while_it_runs",
];

const PATIENCE: Duration = Duration::from_mins(15);

#[test]
fn everything_holds_on_servers() {
    let mut suites = Command::new(std::env::current_exe().unwrap());
    suites.env(ON_SERVERS, "1").args(SUITES);
    for test in EMBEDDED {
        suites.args(["--skip", test]);
    }
    let finished = run(suites, PATIENCE).unwrap();
    let said = &finished.stdout;
    assert!(finished.status.success(), "{said}\n{}", finished.stderr);
    let summary = said
        .lines()
        .find(|line| line.starts_with("test result: ok."));
    println!("{}", summary.unwrap());
}
