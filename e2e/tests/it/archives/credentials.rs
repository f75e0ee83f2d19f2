//! An upstream's credentials go to the upstream and nowhere else (design rule 6).

use std::sync::{Arc, Mutex};

use package_broker_e2e::http::{HttpServer, Request, Response};
use serde_json::{Value, json};

use crate::support::registry::{Registry, basic, manifests};
use crate::support::upstream::{Upstream, archive, archive_path};

/// In each kind of credentials, and nowhere else.
const SECRET: &str = "hush-of-the-upstream";

const VERSION: &str = "1.0.0";

/// A kind of credentials: the package that is behind them, their Secret, and the header that they
/// are sent as.
struct Kind {
    package: &'static str,
    secret: Value,
    header: (&'static str, String),
}

fn kinds() -> [Kind; 3] {
    [
        Kind {
            package: "acme/basic",
            secret: json!({"username": "reader", "password": SECRET}),
            header: ("authorization", basic("reader", SECRET)),
        },
        Kind {
            package: "acme/bearer",
            secret: json!({"token": SECRET}),
            header: ("authorization", format!("Bearer {SECRET}")),
        },
        Kind {
            package: "acme/header",
            secret: json!({"header": format!("X-Key: {SECRET}")}),
            header: ("x-key", SECRET.to_owned()),
        },
    ]
}

/// Another host, which notes what it is shown.
struct Stranger {
    server: HttpServer,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Stranger {
    fn with(zip: Vec<u8>) -> Self {
        let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let server = HttpServer::start(move |request| {
            noted.lock().unwrap().extend(request.headers.clone());
            Response::new(200, "application/zip", zip.clone())
        });
        Self {
            server: server.unwrap(),
            seen,
        }
    }

    fn assert_saw_no_credentials(&self, kind: &Kind) {
        let asked = self.server.count(&archive_path(kind.package, VERSION));
        assert_eq!(asked, 1, "{}", kind.package);
        for (name, value) in self.seen.lock().unwrap().iter() {
            let secret = value.contains(SECRET) || *value == kind.header.1;
            assert!(!secret, "{name}: {value}");
        }
    }
}

/// An upstream that answers nothing without its credentials, and where `moved` is given, archives
/// by a redirect to that server.
fn closed_upstream(kind: &Kind, moved: Option<String>) -> Upstream {
    let upstream = Upstream::listed();
    let (name, value) = kind.header.clone();
    upstream.disturb("/", move |request: &Request, response| {
        if request.header(name) != Some(&value) {
            return Response::new(401, "text/plain", "who are you?");
        }
        match &moved {
            Some(server) if request.path.starts_with("/dist/") => {
                let target = format!("{server}{}", request.path);
                Response::new(302, "text/plain", "").with_header("Location", &target)
            }
            _ => response,
        }
    });
    upstream
}

/// A registry that reads each upstream with its kind of credentials.
fn registry_over(upstreams: &[(Kind, Upstream)]) -> Registry {
    let mut all = manifests(&json!({}));
    for (kind, upstream) in upstreams {
        let name = kind.package.replace('/', "-");
        let named = json!({"credentialsSecretRef": {"name": name}});
        all = all.secret(&name, &kind.secret);
        all = all.repository(&name, "composer", &upstream.url(), &named);
    }
    Registry::start(&all)
}

fn assert_serves(registry: &Registry, kind: &Kind) {
    let path = registry.archive_of("all", kind.package, VERSION);
    let answer = registry.get("all", &path);
    assert_eq!(answer.status, 200, "{}: {}", kind.package, answer.text());
    let expected = archive(kind.package, VERSION, 0);
    assert!(answer.body == expected, "{}: other bytes", kind.package);
}

#[test]
fn an_upstream_gets_its_own_for_archives_too() {
    let upstreams = kinds().map(|kind| {
        let upstream = closed_upstream(&kind, None);
        upstream.release(kind.package, VERSION);
        (kind, upstream)
    });
    let registry = registry_over(&upstreams);
    for (kind, upstream) in &upstreams {
        assert_serves(&registry, kind);
        let requests = upstream.server().requests();
        let refused = requests.iter().filter(|request| request.status == 401);
        assert_eq!(refused.count(), 0, "{}", kind.package);
    }
}

/// A stranger for each kind, and the upstream that `make` makes of both.
fn with_strangers(
    make: impl Fn(&Kind, &Stranger) -> Upstream,
) -> (Vec<(Kind, Upstream)>, Vec<Stranger>) {
    let pairs = kinds().into_iter().map(|kind| {
        let stranger = Stranger::with(archive(kind.package, VERSION, 0));
        let upstream = make(&kind, &stranger);
        ((kind, upstream), stranger)
    });
    pairs.unzip()
}

#[test]
fn another_host_that_metadata_names_gets_none() {
    let (upstreams, strangers) = with_strangers(|kind, stranger| {
        let upstream = closed_upstream(kind, None);
        let zip = archive(kind.package, VERSION, 0);
        upstream.publish_elsewhere(kind.package, VERSION, &zip, &stranger.server.url());
        upstream
    });
    let registry = registry_over(&upstreams);
    for ((kind, _), stranger) in upstreams.iter().zip(strangers) {
        assert_serves(&registry, kind);
        stranger.assert_saw_no_credentials(kind);
    }
}

#[test]
fn another_host_that_a_redirect_names_gets_none() {
    let (upstreams, strangers) = with_strangers(|kind, stranger| {
        let upstream = closed_upstream(kind, Some(stranger.server.url()));
        upstream.release(kind.package, VERSION);
        upstream
    });
    let registry = registry_over(&upstreams);
    for ((kind, upstream), stranger) in upstreams.iter().zip(strangers) {
        assert_serves(&registry, kind);
        let asked = upstream.asked(&archive_path(kind.package, VERSION));
        assert_eq!(asked, 1, "{}", kind.package);
        stranger.assert_saw_no_credentials(kind);
    }
}
