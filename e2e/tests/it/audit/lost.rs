//! What a killed process takes with it.

use std::thread;
use std::time::{Duration, Instant};

use super::{audit, fields};
use crate::support::registry::{Registry, manifests};
use serde_json::json;

/// What is stated in docs/audit.md, with time for the write itself on a busy machine.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn kill_loses_no_more_than_the_bound() {
    let mut registry = Registry::start(&manifests(&json!({})));
    // When each request had its answer, each for a name of its own.
    let begun = Instant::now();
    let clients = thread::scope(|scope| {
        let registry = &registry;
        let clients: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn(move || {
                    let mut answered = Vec::new();
                    while begun.elapsed() < BOUND + Duration::from_secs(6) {
                        let name = format!("acme/c{client}-{}", answered.len());
                        let answer = registry.get("all", &format!("/p2/{name}.json"));
                        assert_eq!(answer.status, 404);
                        answered.push((name, Instant::now()));
                    }
                    answered
                })
            })
            .collect();
        let ended = clients.into_iter().map(|client| client.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    registry.broker.kill();
    let killed = Instant::now();
    registry.start_again();
    let records = audit(&registry, &["--actor", "all"]);
    let mut recorded: Vec<&str> = records.iter().map(|r| fields(r, ["subject"])[0]).collect();
    recorded.sort_unstable();
    let mut due = 0;
    for (name, at) in clients.iter().flatten() {
        if killed.duration_since(*at) > BOUND {
            assert!(recorded.binary_search(&name.as_str()).is_ok(), "{name}");
            due += 1;
        }
    }
    assert!(due > 10, "only {due} were due");
    // No two of one start without an end in between: that is how a crash shows.
    let turns = audit(&registry, &["--actor", "broker"]);
    let turns: Vec<&str> = turns.iter().map(|r| fields(r, ["action"])[0]).collect();
    assert!(!turns.contains(&"audit.ended"), "{turns:?}");
}
