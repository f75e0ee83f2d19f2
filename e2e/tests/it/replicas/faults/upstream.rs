//! An upstream that goes, and one that sends other bytes: what is there goes on, nothing bad is kept.

use std::time::Duration;

use package_broker_e2e::http::{Delivery, Request, Response};

use super::super::installation::{Installation, report};
use super::super::serving::{URL, ask, ready, with_upstream};
use super::load::under_load;
use crate::support::json as json_of;
use crate::support::registry::{archive_in, expanded};
use crate::support::upstream::{Upstream, archive, archive_path};

/// What an upstream sends in place of an archive, and what a client is told then.
type Delivered = (&'static str, fn(&Request, Response) -> Response, u16);

const DELIVERIES: [Delivered; 6] = [
    (
        "other bytes",
        |_, _| {
            let other = archive("acme/kit", "6.6.6", 100_000);
            Response::new(200, "application/zip", other)
        },
        424,
    ),
    (
        "fewer bytes than it says",
        |_, right| right.delivered(Delivery::Cut(1_000)),
        503,
    ),
    (
        "fewer bytes than there are",
        |_, right| Response::new(200, "application/zip", &right.body[..1_000]),
        424,
    ),
    (
        "fewer bytes, and does not say how many",
        |_, right| {
            let part = Response::new(200, "application/zip", &right.body[..1_000]);
            part.delivered(Delivery::Unannounced)
        },
        424,
    ),
    (
        "back to where it was asked",
        |request, _| redirect(&request.path),
        503,
    ),
    (
        "ever further",
        |request, _| redirect(&format!("{}x", request.path)),
        503,
    ),
];

fn redirect(to: &str) -> Response {
    Response::new(302, "text/plain", "over there").with_header("Location", to)
}

#[test]
fn what_is_there_goes_on_without_its_source() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    for name in ["acme/lib", "acme/kit"] {
        upstream.publish(name, "1.0.0", &archive(name, "1.0.0", 100_000), true);
    }
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let replicas = ["one", "two"].map(|name| installation.serve(name));
    replicas.iter().for_each(ready);
    let archive_of = |name: &str| {
        let document = json_of(&ask(&replicas[0], "all", &format!("/p2/{name}.json")));
        archive_in(&expanded(&document, name)[0])
    };
    let (warm, bad) = (archive_of("acme/lib"), archive_of("acme/kit"));
    assert_eq!(ask(&replicas[0], "all", &warm).status, 200);
    let kept = installation.objects();
    let paths = [
        "/packages.json",
        "/p2/acme/lib.json",
        "/p2/acme/kit.json",
        &warm,
    ];
    let place = archive_path("acme/kit", "1.0.0");
    under_load(&replicas, &paths, &[], || {
        for (what, delivered, status) in DELIVERIES {
            upstream.disturb(&place, delivered);
            for replica in &replicas {
                let answer = ask(replica, "all", &bad);
                assert_eq!(answer.status, status, "{what}: {}", answer.text());
            }
        }
        upstream.mend(&place);
        upstream.fail("/", 500);
        upstream.delay(Duration::from_millis(300));
        let failed = installation.run(&["sync", "team"]);
        assert_eq!(report(&failed)["result"], "failed");
        assert_eq!(failed.code(), 1);
        for replica in &replicas {
            let answer = ask(replica, "all", &bad);
            assert_eq!(answer.status, 503, "{}", answer.text());
        }
    });
    assert_eq!(installation.objects(), kept, "nothing was stored");
    upstream.mend("/");
    upstream.delay(Duration::ZERO);
    assert_eq!(installation.sync("team")["result"], "succeeded");
}
