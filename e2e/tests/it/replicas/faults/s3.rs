//! S3 cut off, failing, slow, and losing an object: archives wait, everything else goes on.

use std::fs;
use std::time::Instant;

use package_broker_e2e::broker::Broker;
use package_broker_e2e::http::Answer;
use serde_json::json;

use super::super::gateway::{Gateway, Way};
use super::super::installation::Installation;
use super::super::serving::{URL, ask, ready, with_upstream};
use super::load::under_load;
use crate::support::metrics::Metrics;
use crate::support::registry::{archive_in, expanded};
use crate::support::upstream::{Upstream, archive};
use crate::support::{assert_problem, eventually, json as json_of};

/// What does not need the bucket.
const METADATA: [&str; 3] = ["/packages.json", "/p2/acme/lib.json", "/list.json"];

/// Two replicas that reach their bucket through a gateway.
struct Far {
    installation: Installation,
    upstream: Upstream,
    gateway: Gateway,
    replicas: [Broker; 2],
    /// The path of an archive that is stored.
    warm: String,
    /// The path of one that is not.
    cold: String,
    /// The one that is stored.
    whole: Answer,
}

impl Far {
    /// With archives of this many bytes, and more.
    fn with_archives_of(size: usize) -> Self {
        let installation = Installation::new();
        let upstream = Upstream::listed();
        for name in ["acme/lib", "acme/kit"] {
            upstream.publish(name, "1.0.0", &archive(name, "1.0.0", size), true);
        }
        installation.apply(&with_upstream(&upstream), URL);
        installation.sync("team");
        let own = installation.s3.endpoint();
        let (_, port) = own.rsplit_once(':').unwrap();
        let gateway = Gateway::to(port.parse().unwrap());
        let endpoint = format!("http://127.0.0.1:{}", gateway.port());
        let patch = json!({"storage": {"endpoint": endpoint}});
        let replicas = ["one", "two"].map(|name| installation.serve_with(name, &patch));
        replicas.iter().for_each(ready);
        let archive_of = |name: &str| {
            let document = json_of(&ask(&replicas[0], "all", &format!("/p2/{name}.json")));
            archive_in(&expanded(&document, name)[0])
        };
        let (warm, cold) = (archive_of("acme/lib"), archive_of("acme/kit"));
        let whole = ask(&replicas[0], "all", &warm);
        assert_eq!(whole.status, 200);
        Self {
            installation,
            upstream,
            gateway,
            replicas,
            warm,
            cold,
            whole,
        }
    }

    /// Clients are told to come back.
    fn neither_can_be_had(&self) {
        for archive in [&self.warm, &self.cold] {
            let answer = ask(&self.replicas[1], "all", archive);
            assert_problem(&answer, 503, archive);
            assert!(answer.header("retry-after").is_some());
        }
    }

    fn both_can_be_had_again(&self) {
        for archive in [&self.warm, &self.cold] {
            eventually("the archive", || {
                (ask(&self.replicas[1], "all", archive).status == 200).then_some(())
            });
        }
    }

    fn lose_every_object(&self) {
        for object in self.installation.objects() {
            fs::remove_file(object).unwrap();
        }
    }
}

#[test]
fn archives_wait_for_the_bucket_and_nothing_else_does() {
    let far = Far::with_archives_of(1_000);
    under_load(&far.replicas, &METADATA, &[], || {
        far.gateway.set(Way::Cut);
        far.neither_can_be_had();
        far.gateway.set(Way::Open);
        far.both_can_be_had_again();
    });
}

#[test]
fn archives_wait_for_a_bucket_that_fails() {
    let far = Far::with_archives_of(1_000);
    under_load(&far.replicas, &METADATA, &[], || {
        let failures = || Metrics::read_of(&far.replicas[1]).of("storage_failures_total");
        assert_eq!(failures(), 0);
        far.installation.s3.fail(&["*"]);
        far.neither_can_be_had();
        assert_eq!(failures(), 2);
        far.installation.s3.fail(&[]);
        far.both_can_be_had_again();
    });
    assert_eq!(far.installation.objects().len(), 2);
}

#[test]
fn a_slow_bucket_makes_archives_slow_and_nothing_else() {
    let far = Far::with_archives_of(600_000);
    under_load(&far.replicas, &METADATA, &[], || {
        far.gateway.set(Way::Slow);
        let began = Instant::now();
        let stored = ask(&far.replicas[1], "all", &far.warm);
        assert!(stored.body == far.whole.body, "{}", stored.status);
        assert!(began.elapsed().as_secs() >= 2, "it was not slow");
        // Clients of one that is stored on the way wait for that as well.
        let fetched = ask(&far.replicas[1], "all", &far.cold);
        assert_eq!(fetched.status, 200, "{}", fetched.text());
    });
}

#[test]
fn an_object_that_is_lost_is_fetched_again_or_gone_for_good() {
    let far = Far::with_archives_of(1_000);
    under_load(&far.replicas, &METADATA, &[], || {
        far.lose_every_object();
        let again = ask(&far.replicas[0], "all", &far.warm);
        assert_eq!(again.status, 200, "{}", again.text());
        assert!(again.body == far.whole.body);
        // One that the source has no more is gone for good, and that is said.
        far.lose_every_object();
        far.upstream
            .replace_archive("acme/lib", "1.0.0", b"other bytes");
        let gone = ask(&far.replicas[1], "all", &far.warm);
        assert_problem(&gone, 410, "an archive that cannot be had again");
    });
}
