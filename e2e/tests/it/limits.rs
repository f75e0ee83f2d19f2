//! Limits of requests: what clients are told on the way to them, beyond them and after them.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use package_broker_e2e::http::{Answer, Connection, get};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::support::metrics::Metrics;
use crate::support::registry::{Registry, basic, manifests, with_token};
use crate::support::{assert_problem, json as json_of};

/// Every route of the public port.
const ROUTES: [(&str, &str); 6] = [
    ("GET", "/packages.json"),
    ("HEAD", "/p2/acme/lib.json"),
    ("GET", "/dist/acme/lib/1.0.0.0/0123.zip"),
    ("GET", "/list.json"),
    ("GET", "/search.json?q=acme"),
    ("POST", "/notify-batch"),
];

fn registry(limits: &Value, tokens: &[(&str, u32)]) -> Registry {
    let mut all = manifests(limits);
    for (name, per_hour) in tokens {
        all = with_token(
            all,
            name,
            &json!({"rateLimit": {"requestsPerHour": per_hour}}),
        );
    }
    Registry::start(&all)
}

fn per_address(per_hour: u32) -> Value {
    json!({
        "trustedProxies": ["127.0.0.1/32"],
        "limits": {"requestsPerHourPerAddress": per_hour},
    })
}

fn number(answer: &Answer, header: &str) -> u64 {
    let value = answer.header(header);
    let value = value.unwrap_or_else(|| panic!("no {header} in {:?}", answer.headers()));
    value.parse().unwrap()
}

/// The limit and what remains of it.
fn told(answer: &Answer) -> (u64, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let reset = number(answer, "x-ratelimit-reset");
    assert!(
        reset >= now.as_secs() && reset <= now.as_secs() + 3_602,
        "{reset}"
    );
    let remaining = number(answer, "x-ratelimit-remaining");
    (number(answer, "x-ratelimit-limit"), remaining)
}

fn assert_unlimited(answer: &Answer) {
    let names = answer.headers().iter().map(|(name, _)| name.to_lowercase());
    let limits: Vec<String> = names.filter(|name| name.contains("ratelimit")).collect();
    assert_eq!(limits, Vec::<String>::new());
}

fn assert_over_limit(answer: &Answer, whose: &str) {
    assert_problem(answer, 429, whose);
    let warning = json_of(answer)["warning"].to_string();
    assert!(warning.contains(whose), "{warning}");
    assert!((1..=60).contains(&number(answer, "retry-after")));
    assert_eq!(told(answer).1, 0);
}

#[test]
fn a_token_counts_down_is_refused_and_recovers_as_told() {
    const LIMIT: u64 = 3_600;
    let registry = registry(&json!({}), &[("few", 3_600)]);
    let mut connection = Connection::open(registry.broker.url()).unwrap();
    let call = registry.call("few", "GET", "/packages.json");
    let mut before = LIMIT;
    let mut allowed = 0;
    let refused = loop {
        let answer = connection.send(&call).unwrap();
        let (limit, remaining) = told(&answer);
        assert_eq!(limit, LIMIT);
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        // One a second comes back meanwhile.
        assert!(
            (before - 1..before + 30).contains(&remaining),
            "{before}, then {remaining}"
        );
        assert!(remaining < LIMIT);
        (before, allowed) = (remaining, allowed + 1);
    };
    assert!(allowed >= LIMIT, "{allowed} of {LIMIT}");
    assert_over_limit(&refused, "this token has made its 3600 requests");
    let wait = number(&refused, "retry-after");
    assert_eq!(wait, 1);
    sleep(Duration::from_secs(wait));
    assert_eq!(connection.send(&call).unwrap().status, 200);
    assert_eq!(Metrics::read(&registry).of("requests_over_limit_total"), 1);
    assert_eq!(Metrics::read(&registry).of("limits_kept_alone_total"), 0);
}

#[test]
fn tokens_do_not_share_and_every_route_is_limited() {
    let registry = registry(&json!({}), &[("one", 60), ("two", 90)]);
    for number in 0..60 {
        let (method, path) = ROUTES[number % ROUTES.len()];
        let answer = registry.call("one", method, path).send().unwrap();
        assert_ne!(answer.status, 429, "{method} {path} after {number}");
        assert_eq!(told(&answer), (60, 59 - number as u64), "{method} {path}");
    }
    for (method, path) in ROUTES {
        let answer = registry.call("one", method, path).send().unwrap();
        assert_eq!(answer.status, 429, "{method} {path}");
        if method != "HEAD" {
            assert_over_limit(&answer, "this token has made its 60 requests");
        }
    }
    assert_eq!(told(&registry.get("two", "/packages.json")), (90, 89));
    assert_unlimited(&registry.get("all", "/packages.json"));
    for probe in ["/livez", "/readyz", "/metrics"] {
        let url = format!("{}{probe}", registry.broker.metrics_url());
        let answer = get(&url, &[("Authorization", "Bearer none")]).unwrap();
        assert_eq!(answer.status, 200, "{probe}");
        assert_unlimited(&answer);
    }
    // What is no route counts for nobody.
    let lost = registry.get("two", "/nothing");
    assert_eq!(lost.status, 404);
    assert_unlimited(&lost);
    assert_eq!(told(&registry.get("two", "/packages.json")), (90, 88));
}

#[test]
fn addresses_behind_a_trusted_proxy_count_each_for_itself() {
    let registry = registry(&per_address(60), &[("own", 600)]);
    let from = |client: &str, token: &str| {
        let call = registry.call(token, "GET", "/packages.json");
        call.header("X-Forwarded-For", client).send().unwrap()
    };
    for remaining in (0..60).rev() {
        let answer = from("192.0.2.1", "all");
        assert_eq!((answer.status, told(&answer)), (200, (60, remaining)));
    }
    let refused = from("192.0.2.1", "all");
    assert_over_limit(&refused, "this address has made its 60 requests");
    // Whatever the token, and whatever a client writes before the proxy does.
    for (client, token) in [("192.0.2.1", "own"), ("192.0.2.9, 192.0.2.1", "all")] {
        assert_eq!(from(client, token).status, 429, "{client}");
    }
    assert_eq!(told(&from("192.0.2.2", "all")), (60, 59));
    assert_eq!(told(&from("2001:db8::1", "all")), (60, 59));
    assert_eq!(told(&from("2001:db8::2", "all")), (60, 58));
    // The request that was refused for its address cost its token nothing; of both, the nearest is told.
    assert_eq!(told(&from("192.0.2.3", "own")), (60, 59));
    let unproxied = registry.call("all", "GET", "/packages.json");
    let unproxied = unproxied.from(Ipv4Addr::new(127, 0, 0, 9));
    for (client, remaining) in [("192.0.2.4", 59), ("192.0.2.5", 58)] {
        let answer = unproxied.clone().header("X-Forwarded-For", client).send();
        assert_eq!(
            told(&answer.unwrap()),
            (60, remaining),
            "the header of anybody"
        );
    }
}

#[test]
fn wrong_tokens_count_against_their_address() {
    let registry = registry(&per_address(60), &[]);
    let guess = |secret: &str| {
        let call = registry.anonymous("GET", "/packages.json");
        let call = call.header("Authorization", &basic("token", secret));
        call.header("X-Forwarded-For", "192.0.2.1").send().unwrap()
    };
    for number in 0..5 {
        let answer = guess(&format!("wrong-{number}"));
        assert_problem(&answer, 401, "a wrong token");
        assert_eq!(told(&answer), (60, 59 - number));
    }
    let anonymous = registry.anonymous("GET", "/packages.json");
    let anonymous = anonymous.header("X-Forwarded-For", "192.0.2.1");
    assert_eq!(told(&anonymous.send().unwrap()), (60, 54));
    let right = registry.call("all", "GET", "/packages.json");
    let right = right.header("X-Forwarded-For", "192.0.2.1");
    for remaining in (0..54).rev() {
        assert_eq!(told(&right.send().unwrap()), (60, remaining));
    }
    assert_over_limit(&guess("wrong"), "this address");
    assert_over_limit(&right.send().unwrap(), "this address");
}

#[test]
fn limits_change_with_the_manifests() {
    let mut registry = registry(&json!({}), &[("ci", 60)]);
    for _ in 0..60 {
        registry.get("ci", "/packages.json");
    }
    assert_eq!(registry.get("ci", "/packages.json").status, 429);
    // The share of the hour that was taken stays taken.
    registry.patch(
        "AccessToken",
        "ci",
        &json!({"rateLimit": {"requestsPerHour": 3_600}}),
    );
    let (limit, remaining) = told(&registry.get("ci", "/packages.json"));
    assert!(limit == 3_600 && remaining < 60, "{remaining}");
    registry.patch("AccessToken", "ci", &json!({"rateLimit": null}));
    let answer = registry.get("ci", "/packages.json");
    assert_eq!(answer.status, 200);
    assert_unlimited(&answer);
    registry.patch("PackageBroker", Manifests::BROKER, &per_address(100));
    assert_eq!(told(&registry.get("ci", "/packages.json")), (100, 99));
}
