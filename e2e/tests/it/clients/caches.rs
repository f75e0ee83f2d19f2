//! Clients that know nothing yet, and those that know it all.

use package_broker_e2e::composer::ComposerVersion;
use serde_json::json;

use super::{assert_clean_lock, installed_versions, succeed};
use crate::support::metrics::Metrics;
use crate::world::World;

pub(super) fn a_warm_cache_works_without_network(version: ComposerVersion) {
    let world = World::start();
    let project = world.project(version, &json!({"acme/kit": "^1.0"}));
    succeed(&project, &["update"]);
    project.remove_vendor().unwrap();
    let offline = [("COMPOSER_DISABLE_NETWORK", "1")];
    project
        .composer_with(&["update"], &offline)
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(installed_versions(&project), "1.0.0 1.1.0 1.1.0");
}

pub(super) fn require_with_a_cold_and_a_warm_cache(version: ComposerVersion) {
    let world = World::start();
    let project = world.project(version, &json!({}));
    // Answers with metadata of the package, those that it did not change, and archives.
    let answers = || {
        let metrics = Metrics::read_of(&world.broker);
        let of = |route: &str, status: u16| {
            metrics.of(&format!(
                "http_requests_total{{route=\"{route}\",status=\"{status}\"}}"
            ))
        };
        let metadata = "/p2/{vendor}/{file}";
        [
            of(metadata, 200),
            of(metadata, 304),
            of("/dist/{vendor}/{package}/{version}/{file}", 200),
        ]
    };
    let mut before = answers();
    for is_cold in [true, false, true] {
        if is_cold {
            project.remove_cache().unwrap();
        }
        succeed(&project, &["require", "acme/log:1.0.0"]);
        assert_clean_lock(&world, &project);
        let script = "echo Acme\\log\\Info::VERSION;";
        let said = project.php(script).unwrap().success().unwrap();
        assert_eq!(said.stdout, "1.0.0");
        let after = answers();
        let [read, unchanged, archives] = [0, 1, 2].map(|kind| after[kind] - before[kind]);
        if is_cold {
            assert!(read > 0, "{before:?} {after:?}");
            assert_eq!((unchanged, archives), (0, 1), "{before:?} {after:?}");
        } else {
            assert!(unchanged > 0, "{before:?} {after:?}");
            assert_eq!((read, archives), (0, 0), "{before:?} {after:?}");
        }
        succeed(&project, &["remove", "acme/log"]);
        before = answers();
    }
}
