//! S3 cut off, silent, failing, and losing an object: archives wait, everything else goes on.

use std::fs;

use serde_json::json;

use super::super::gateway::{Gateway, Way};
use super::super::installation::Installation;
use super::super::serving::{URL, ask, ready, with_upstream};
use super::load::under_load;
use crate::support::registry::{archive_in, expanded};
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, eventually, json as json_of};

#[test]
fn archives_wait_for_the_bucket_and_nothing_else_does() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.release("acme/kit", "1.0.0");
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let own = installation.s3.endpoint();
    let port = own
        .rsplit_once(':')
        .unwrap()
        .1
        .trim_end_matches('/')
        .parse()
        .unwrap();
    let gateway = Gateway::to(port);
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

    let metadata = ["/packages.json", "/p2/acme/lib.json", "/list.json"];
    under_load(&replicas, &metadata, &[], || {
        gateway.set(Way::Cut);
        for archive in [&warm, &cold] {
            let answer = ask(&replicas[1], "all", archive);
            assert_problem(&answer, 503, archive);
            assert!(answer.header("retry-after").is_some());
        }
        gateway.set(Way::Open);
        for archive in [&warm, &cold] {
            eventually("the archive", || {
                (ask(&replicas[1], "all", archive).status == 200).then_some(())
            });
        }
        // An object that is lost is fetched again, as its checksum can be met.
        for object in installation.objects() {
            fs::remove_file(object).unwrap();
        }
        let again = ask(&replicas[0], "all", &warm);
        assert_eq!(again.status, 200, "{}", again.text());
        assert!(again.body == whole.body);
        // One that the source has no more is gone for good, and that is said.
        for object in installation.objects() {
            fs::remove_file(object).unwrap();
        }
        upstream.replace_archive("acme/lib", "1.0.0", b"other bytes");
        let gone = ask(&replicas[1], "all", &warm);
        assert_problem(&gone, 410, "an archive that cannot be had again");
    });
}
