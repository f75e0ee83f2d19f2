//! Every route, for every kind of token and every scope.

mod kinds;

use std::net::Ipv4Addr;
use std::thread;

use package_broker_e2e::http::{Answer, Call};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::support::registry::{Registry, URL, basic, manifests, secret, with_token};
use crate::support::upstream::Upstream;
use crate::support::{assert_problem, decoded, json as json_of};

/// Served names, each with a name of the same length that is not there; `acme/*` is claimed.
const PACKAGES: [(&str, &str); 3] = [
    ("acme/lib", "acme/nil"),
    ("acme/log", "acme/lag"),
    ("globex/tool", "globex/none"),
];

/// Tokens by scope, with what each may read.
fn scopes() -> [(&'static str, Value, &'static [&'static str]); 7] {
    [
        ("all", json!({}), &["acme/lib", "acme/log", "globex/tool"]),
        (
            "vendor",
            json!({"packages": ["acme/*"]}),
            &["acme/lib", "acme/log"],
        ),
        ("exact", json!({"packages": ["acme/lib"]}), &["acme/lib"]),
        (
            "one-repository",
            json!({"repositories": ["other"]}),
            &["globex/tool"],
        ),
        (
            "both",
            json!({"packages": ["acme/log", "globex/*"], "repositories": ["team"]}),
            &["acme/log"],
        ),
        (
            "apart",
            json!({"packages": ["acme/*"], "repositories": ["other"]}),
            &[],
        ),
        ("nothing", json!({"packages": ["initech/*"]}), &[]),
    ]
}

struct World {
    registry: Registry,
    _upstreams: [Upstream; 2],
}

impl World {
    /// With these packages, those of `acme` in the repository `team`, the rest in `other`.
    fn of(packages: &[&str]) -> Self {
        Self::with(packages, |all| all)
    }

    /// The same, with more in the manifests.
    fn with(packages: &[&str], more: impl FnOnce(Manifests) -> Manifests) -> Self {
        let upstreams = [Upstream::listed(), Upstream::listed()];
        for package in packages {
            let upstream = usize::from(!package.starts_with("acme/"));
            upstreams[upstream].release(package, "1.0.0");
        }
        let mut all = manifests(&json!({}))
            .repository(
                "team",
                "composer",
                &upstreams[0].url(),
                &json!({"packages": {"include": ["acme/*"]}}),
            )
            .repository("other", "composer", &upstreams[1].url(), &json!({}));
        for (name, scope, _) in scopes() {
            all = with_token(all, name, &json!({"scopes": scope}));
        }
        let old = json!({"expiresAt": "2020-01-01T00:00:00Z"});
        Self {
            registry: Registry::start(&more(with_token(all, "expired", &old))),
            _upstreams: upstreams,
        }
    }

    fn full() -> Self {
        Self::of(&PACKAGES.map(|(package, _)| package))
    }

    fn archive(&self, package: &str) -> String {
        self.registry.archive_of("all", package, "1.0.0")
    }
}

/// Status, headers that mean something, body.
fn whole(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let told = |(name, _): &&(String, String)| name != "date" && name != "x-request-id";
    let mut headers: Vec<_> = answer.headers().iter().filter(told).cloned().collect();
    // Their order means nothing (RFC 9110, 5.3).
    headers.sort();
    (answer.status, headers, answer.text())
}

/// Every route, with names that are there and names that are not. No more than an address may fail within a minute.
fn routes(archive: &str) -> [(&'static str, &str); 10] {
    [
        ("GET", "/packages.json"),
        ("GET", "/p2/acme/lib.json"),
        ("GET", "/p2/acme/lib~dev.json"),
        ("GET", "/p2/acme/none.json"),
        ("HEAD", "/p2/acme/lib.json"),
        ("GET", archive),
        ("GET", "/dist/acme/lib/9.0.0.0/abc.zip"),
        ("GET", "/list.json"),
        ("GET", "/search.json?q=lib"),
        ("POST", "/notify-batch"),
    ]
}

#[test]
fn without_a_valid_token_nothing_is_shown() {
    let world = World::full();
    let archive = world.archive("acme/lib");
    let (_, made) = world.registry.broker.credentials(Manifests::TOKEN).unwrap();
    let cut = made.get(..made.len() - 1).unwrap();
    let mistyped = format!("{cut}{}", if made.ends_with('A') { 'B' } else { 'A' });
    let credentials = [
        ("none", None, "needs a token"),
        ("not base64", Some("Basic !!!".to_owned()), "not valid"),
        ("no value", Some("Basic".to_owned()), "not valid"),
        (
            "another scheme",
            Some("Digest username=x".to_owned()),
            "not valid",
        ),
        ("mistyped", Some(basic("token", &mistyped)), "not valid"),
        ("cut", Some(basic("token", cut)), "not valid"),
        (
            "unknown",
            Some(basic("token", &secret("nobody"))),
            "not valid",
        ),
        ("a name only", Some(basic("all", "")), "not valid"),
        (
            "expired",
            Some(basic("token", &secret("expired"))),
            "expired",
        ),
    ];
    for (number, (kind, authorization, reason)) in (2..).zip(&credentials) {
        // Each kind from an address of its own: many failures of one are slowed down.
        let address = Ipv4Addr::new(127, 0, 0, number);
        for (method, path) in routes(&archive) {
            let mut call = world.registry.anonymous(method, path).from(address);
            if let Some(authorization) = authorization {
                call = call.header("Authorization", authorization);
            }
            let answer = call.send().unwrap();
            let what = format!("{method} {path}, token {kind}");
            assert!(answer.header("www-authenticate").is_some(), "{what}");
            assert_refused(&answer, method, reason, &what);
        }
    }
}

/// Fails unless the token was refused for that reason.
#[track_caller]
fn assert_refused(answer: &Answer, method: &str, reason: &str, what: &str) {
    if method == "HEAD" {
        assert_eq!(answer.status, 401, "{what}");
    } else {
        assert_problem(answer, 401, what);
        assert!(answer.text().contains(reason), "{what}: {}", answer.text());
    }
}

#[test]
fn every_scope_sees_its_packages_and_no_others() {
    let world = World::full();
    let archives = PACKAGES.map(|(package, _)| world.archive(package));
    for (token, _, readable) in scopes() {
        let listed = json_of(&world.registry.get(token, "/list.json"));
        assert_eq!(listed["packageNames"], json!(readable), "{token}");
        let found = json_of(&world.registry.get(token, "/search.json?q=package"));
        let found = found["results"].as_array().unwrap().iter();
        let found: Vec<&str> = found
            .map(|result| result["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, readable, "{token}");
        let root = json_of(&world.registry.get(token, "/packages.json"));
        let available = root.get("available-packages").cloned();
        // An empty list would mean that there is no list (protocol A.2).
        let expected = (!readable.is_empty()).then(|| json!(readable));
        assert_eq!(available, expected, "{token}: {root}");
        assert!(root.get("available-package-patterns").is_some(), "{token}");
        for ((package, _), archive) in PACKAGES.iter().zip(&archives) {
            let visible = readable.contains(package);
            let claimed = package.starts_with("acme/");
            for file in [
                format!("/p2/{package}.json"),
                format!("/p2/{package}~dev.json"),
            ] {
                let answer = world.registry.get(token, &file);
                let expected = if visible || claimed { 200 } else { 404 };
                assert_eq!(answer.status, expected, "{file} for {token}");
                if answer.status == 200 {
                    let versions = &json_of(&answer)["packages"][package];
                    let stable = !file.contains("~dev");
                    let count = usize::from(visible && stable);
                    assert_eq!(versions.as_array().unwrap().len(), count, "{file}, {token}");
                } else {
                    assert_problem(&answer, 404, &file);
                }
            }
            let answer = world.registry.get(token, archive);
            let expected = if visible { 200 } else { 404 };
            assert_eq!(answer.status, expected, "{archive} for {token}");
        }
    }
}

#[test]
fn what_is_out_of_scope_answers_as_what_is_not_there() {
    let world = World::full();
    for (package, absent) in PACKAGES {
        let archive = world.archive(package);
        let paths = [
            format!("/p2/{package}.json"),
            format!("/p2/{package}~dev.json"),
            archive.replace(".zip", ".tar"),
            archive,
        ];
        for (token, _, readable) in scopes() {
            if readable.contains(&package) {
                continue;
            }
            for (path, method) in paths
                .iter()
                .flat_map(|path| [(path, "GET"), (path, "HEAD")])
            {
                let ask = |path: &str| world.registry.call(token, method, path).send().unwrap();
                let (status, headers, body) = whole(&ask(path));
                let other = whole(&ask(&path.replace(package, absent)));
                let hidden = (status, headers, body.replace(package, absent));
                assert_eq!(hidden, other, "{method} {path} for {token}");
            }
        }
    }
}

#[test]
fn overviews_do_not_show_that_more_exists() {
    let (world, poorer) = (World::full(), World::of(&["acme/lib", "umbrella/rest"]));
    for path in [
        "/packages.json",
        "/list.json",
        "/search.json?q=",
        "/search.json?q=tool",
    ] {
        for token in ["exact", "apart", "nothing"] {
            let body = |world: &World| decoded(&world.registry.get(token, path));
            let (seen, without) = (body(&world), body(&poorer));
            assert_eq!(
                String::from_utf8_lossy(&seen),
                String::from_utf8_lossy(&without),
                "{path} for {token}"
            );
        }
    }
}

#[test]
fn routes_answer_a_valid_token() {
    let world = World::full();
    let archive = world.archive("acme/lib");
    let registry = &world.registry;
    let table = [
        ("GET", "/packages.json", 200),
        ("GET", "/p2/acme/lib.json", 200),
        ("GET", "/p2/Acme/Lib.json", 200),
        ("GET", "/p2/acme/lib~dev.json", 200),
        ("GET", "/p2/acme/none.json", 200),
        ("GET", "/p2/globex/none.json", 404),
        ("GET", "/p2/globex/none~dev.json", 404),
        ("GET", &archive, 200),
        ("GET", "/dist/acme/lib/9.0.0.0/abc.zip", 404),
        ("GET", "/list.json", 200),
        ("GET", "/list.json?filter=acme/*", 200),
        ("GET", "/search.json?q=lib&type=library", 200),
        ("GET", "/search.json", 200),
        ("GET", "/", 404),
        ("GET", "/nowhere", 404),
        ("POST", "/packages.json", 405),
        ("PUT", "/p2/acme/lib.json", 405),
        ("DELETE", &archive, 405),
        ("GET", "/notify-batch", 405),
        ("POST", "/list.json", 405),
    ];
    for (method, path, status) in table {
        let answer = registry.call("all", method, path).send().unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.header("x-request-id").is_some(), "{path}");
        if status >= 400 {
            assert_problem(&answer, status, path);
        }
        if status == 405 {
            assert!(answer.header("allow").is_some(), "{method} {path}");
        }
        if method == "GET" && status != 405 {
            let head = registry.call("all", "HEAD", path).send().unwrap();
            assert_eq!(head.body.len(), 0, "{path}");
            let (status, headers, _) = whole(&answer);
            assert_eq!(
                (whole(&head).0, whole(&head).1),
                (status, headers),
                "HEAD {path}"
            );
        }
    }
    let note = json!({"downloads": [{"name": "acme/lib", "version": "1.0.0.0"}, {"name": "x/y", "version": "1"}]});
    let post = |token| {
        let call = registry.call(token, "POST", "/notify-batch");
        let answer = call.body(note.to_string()).send().unwrap();
        (answer.status, answer.text())
    };
    assert_eq!(post("all"), (200, r#"{"status":"success"}"#.to_owned()));
    assert_eq!(post("nothing"), post("all"));
}

#[test]
fn urls_in_the_root_file_are_absolute() {
    let world = World::full();
    let root = json_of(&world.registry.get("exact", "/packages.json"));
    for key in ["metadata-url", "list", "search", "notify-batch"] {
        let url = root[key].as_str().unwrap();
        assert!(url.starts_with(&format!("{URL}/")), "{key}: {url}");
    }
    assert_eq!(root["packages"], json!([]));
    let patterns = &root["available-package-patterns"];
    assert_eq!(patterns, &json!(["acme/*"]), "claims are told: {root}");
}

#[test]
fn a_token_comes_as_password_as_user_or_as_bearer() {
    let world = World::of(&["acme/lib"]);
    let (_, made) = world.registry.broker.credentials(Manifests::TOKEN).unwrap();
    for token in [made, secret("all")] {
        for authorization in [
            basic("token", &token),
            basic("anybody@example.com", &token),
            basic("", &token),
            basic(&token, ""),
            format!("Bearer {token}"),
            format!("bearer   {token}"),
        ] {
            let call = world.registry.anonymous("GET", "/packages.json");
            let answer = call.header("Authorization", &authorization).send().unwrap();
            assert_eq!(answer.status, 200, "{authorization}");
        }
    }
    let (_, made) = world.registry.broker.credentials(Manifests::TOKEN).unwrap();
    let call = world.registry.anonymous("GET", "/packages.json");
    let answer = call.header("Authorization", &basic(&made, "x-oauth-basic"));
    assert_eq!(answer.send().unwrap().status, 200);
}

#[test]
fn guessing_is_slowed_down_for_the_guesser_only() {
    let world = World::of(&["acme/lib"]);
    let registry = &world.registry;
    let guesser = Ipv4Addr::new(127, 0, 0, 66);
    let guess = |number: usize| -> Call {
        let authorization = basic("token", &secret(&format!("guess{number}")));
        registry
            .anonymous("GET", "/packages.json")
            .header("Authorization", &authorization)
            .from(guesser)
    };
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asking: Vec<_> = (0..80)
            .map(|number| scope.spawn(move || guess(number).send().unwrap()))
            .collect();
        asking
            .into_iter()
            .map(|guess| guess.join().unwrap())
            .collect()
    });
    let refused: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(refused.len() >= 20, "{} of 80 were refused", refused.len());
    for answer in refused {
        assert_problem(answer, 429, "a guess");
        assert!(answer.header("retry-after").is_some());
    }
    let valid = registry.call("all", "GET", "/packages.json");
    assert_eq!(valid.clone().from(guesser).send().unwrap().status, 200);
    let stranger = guess(99).from(Ipv4Addr::new(127, 0, 0, 67)).send().unwrap();
    assert_eq!(stranger.status, 401);
}
