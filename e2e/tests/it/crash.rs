//! SIGKILL at any moment: the next start is clean, nothing half-written is served, and nothing is
//! lost that was acknowledged.
//!
//! Moments are drawn from a seed, which a failing test prints; `CRASH_SEED` sets another.

mod campaign;
mod checks;
pub(crate) mod clients;
mod moments;
pub(crate) mod random;

use std::fs;
use std::time::Duration;

use package_broker_e2e::http::Delivery;
use serde_json::json;

use crate::support::eventually;
use crate::support::registry::{Registry, manifests};
use crate::support::upstream::{Upstream, archive, archive_path};
use campaign::Campaign;
use random::Random;

const KILLS: usize = 20;

#[test]
fn a_broker_killed_at_work_loses_nothing() {
    let mut campaign = Campaign::start(Random::from_environment());
    for number in 0..KILLS {
        campaign.work_until_killed(number);
        if number % 5 == 4 {
            campaign.kill_while_starting();
        }
        campaign.start_again();
    }
    campaign.converge();
}

#[test]
fn a_half_written_archive_is_cleared_away() {
    let upstream = Upstream::listed();
    let zip = archive("acme/lib", "1.0.0", 500_000);
    upstream.publish("acme/lib", "1.0.0", &zip, true);
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let mut registry = Registry::start(&all);
    let place = archive_path("acme/lib", "1.0.0");
    // After the first piece it comes to a stop.
    let stuck = Delivery::Paced(400_000, Duration::from_mins(1));
    upstream.disturb(&place, move |_, response| response.delivered(stuck));
    let path = registry.archive_of("all", "acme/lib", "1.0.0");
    let asking = registry.call("all", "GET", &path).begin().unwrap();
    eventually("a part on the disk", || {
        let staged = registry.staged().pop()?;
        (fs::metadata(staged).unwrap().len() > 0).then_some(())
    });
    registry.broker.kill();
    assert!(asking.answer().is_err(), "a part was served");
    assert_eq!(registry.staged().len(), 1, "the part is left behind");

    registry.start_again();
    assert_eq!(registry.staged().len(), 0);
    assert_eq!(registry.blobs().len(), 0);
    upstream.mend(&place);
    let answer = registry.get("all", &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == zip);
}
