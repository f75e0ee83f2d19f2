//! Archives: fetched once, verified, and the same bytes for ever (design rule 4).

mod answers;
mod credentials;
mod git;
mod kept;
mod refused;
mod shared;

use serde_json::json;

use crate::support::registry::{Registry, manifests};
use crate::support::upstream::{Upstream, archive};

/// The package that most of these tests are about.
const PACKAGE: &str = "acme/lib";

/// A registry over one upstream, synced.
fn registry_over(upstream: &Upstream) -> Registry {
    Registry::start(&manifests(&json!({})).repository(
        "team",
        "composer",
        &upstream.url(),
        &json!({}),
    ))
}

/// Publishes a version of [`PACKAGE`] whose archive has some hundred kilobytes, and returns them.
fn release_large(upstream: &Upstream, version: &str) -> Vec<u8> {
    let zip = archive(PACKAGE, version, 400_000);
    upstream.publish(PACKAGE, version, &zip, true);
    zip
}
