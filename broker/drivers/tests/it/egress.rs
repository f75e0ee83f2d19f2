//! The guard: which URLs, addresses and names the broker connects to.

use std::net::IpAddr;

use package_broker_core::ports::source::SourceError;
use package_broker_drivers::source::egress::{EgressPolicy, abridged, shown};
use url::Url;

fn strict() -> EgressPolicy {
    EgressPolicy {
        allow_http: true,
        ..EgressPolicy::default()
    }
}

fn refusal(policy: &EgressPolicy, url: &str) -> Option<String> {
    match policy.check_url(&Url::parse(url).unwrap()) {
        Ok(()) => None,
        Err(SourceError::Forbidden { reason, .. }) => Some(reason),
        Err(other) => panic!("{url}: {other}"),
    }
}

#[test]
fn urls_into_special_networks_are_refused() {
    for (url, class) in [
        ("http://127.0.0.1/", "loopback"),
        ("https://127.0.0.1:8443/x", "loopback"),
        ("http://127.1/", "loopback"),
        ("http://2130706433/", "loopback"),
        ("http://0x7f000001/", "loopback"),
        ("http://0x7f.1/", "loopback"),
        ("http://0177.0.0.1/", "loopback"),
        ("http://017700000001/", "loopback"),
        ("http://127.255.255.254/", "loopback"),
        ("http://①②⑦.0.0.1/", "loopback"),
        ("http://0/", "unspecified"),
        ("http://0.0.0.0/", "unspecified"),
        ("http://0.1.2.3/", "unspecified"),
        ("http://169.254.1.1/", "link-local"),
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("http://2852039166/", "metadata"),
        ("http://0xa9fea9fe/", "metadata"),
        ("http://100.100.100.200/", "metadata"),
        ("http://168.63.129.16/", "metadata"),
        ("http://192.0.0.192/", "metadata"),
        ("http://192.0.2.1/", "documentation"),
        ("http://198.51.100.7/", "documentation"),
        ("http://203.0.113.9/", "documentation"),
        ("http://198.18.0.1/", "reserved"),
        ("http://192.0.0.8/", "reserved"),
        ("http://192.88.99.1/", "reserved"),
        ("http://224.0.0.1/", "multicast"),
        ("http://239.255.255.250/", "multicast"),
        ("http://240.0.0.1/", "reserved"),
        ("http://255.255.255.255/", "broadcast"),
        ("http://[::]/", "unspecified"),
        ("http://[::1]/", "loopback"),
        ("http://[0:0:0:0:0:0:0:1]:80/", "loopback"),
        ("http://[::ffff:127.0.0.1]/", "loopback"),
        ("http://[::ffff:7f00:1]/", "loopback"),
        ("http://[::ffff:169.254.169.254]/", "metadata"),
        ("http://[::ffff:0:127.0.0.1]/", "loopback"),
        ("http://[::127.0.0.1]/", "loopback"),
        ("http://[64:ff9b::7f00:1]/", "loopback"),
        ("http://[64:ff9b::a9fe:a9fe]/", "metadata"),
        ("http://[64:ff9b:1::a00:1]/", "reserved"),
        ("http://[2002:7f00:1::]/", "loopback"),
        ("http://[2002:a9fe:a9fe::1]/", "metadata"),
        ("http://[2001:db8::5efe:127.0.0.1]/", "documentation"),
        ("http://[2a00::5efe:127.0.0.1]/", "loopback"),
        ("http://[2a00::200:5efe:169.254.169.254]/", "metadata"),
        ("http://[2001:0:1::1]/", "reserved"),
        ("http://[fe80::1]/", "link-local"),
        ("http://[febf::1]/", "link-local"),
        ("http://[fe80::5efe:8.8.8.8]/", "link-local"),
        ("http://[fec0::1]/", "site-local"),
        ("http://[fd00:ec2::254]/", "metadata"),
        ("http://[fd20:ce::254]/", "metadata"),
        ("http://[ff02::1]/", "multicast"),
        ("http://[2001:db8::1]/", "documentation"),
        ("http://[3fff::1]/", "documentation"),
        ("http://[100::1]/", "reserved"),
        ("ssh://git@[::1]/x.git", "loopback"),
    ] {
        let reason = refusal(&strict(), url).unwrap_or_else(|| panic!("{url} passed"));
        assert!(reason.contains(class), "{url}: {reason}");
        assert!(
            reason.contains("PackageBroker spec.egress.allowedNetworks"),
            "{url}: {reason}"
        );
    }
}

#[test]
fn hosts_of_companies_and_the_internet_pass() {
    for url in [
        "https://packages.example.com/x",
        "http://10.1.2.3/",
        "http://172.16.0.1:8080/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://8.8.8.8/",
        "http://[fd12:3456::1]/",
        "http://[2606:4700::1111]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::808:808]/",
        "http://[2002:808:808::]/",
        "ssh://git@git.example.com/x.git",
        "https://user@packages.example.com/x",
    ] {
        assert_eq!(refusal(&strict(), url), None, "{url}");
    }
}

#[test]
fn schemes_and_userinfo_are_judged() {
    let closed = EgressPolicy::default();
    for (url, expected) in [
        ("http://h.example/", "spec.egress.allowHttp"),
        ("file:///srv/repo", "spec.egress.allowFileUrls"),
        ("ftp://h.example/", "only https"),
        ("gopher://h.example/", "only https"),
        ("git://h.example/", "only https"),
        ("data:text/plain,x", "only https"),
        ("javascript:alert(1)", "only https"),
        ("ssh:///x", "no host"),
        ("https://user:hush@h.example/", "credentialsSecretRef"),
        ("https://:hush@h.example/", "credentialsSecretRef"),
    ] {
        let reason = refusal(&closed, url).unwrap_or_else(|| panic!("{url} passed"));
        assert!(reason.contains(expected), "{url}: {reason}");
        assert!(!reason.contains("hush"));
    }
    let open = EgressPolicy {
        allow_http: true,
        allow_file: true,
        ..EgressPolicy::default()
    };
    assert_eq!(refusal(&open, "http://h.example/"), None);
    assert_eq!(refusal(&open, "file:///srv/repo"), None);
    assert!(refusal(&open, "file://server/share").is_some());
}

#[test]
fn allowed_networks_open_just_themselves() {
    let policy = EgressPolicy {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap(), "fe80::/64".parse().unwrap()],
        ..strict()
    };
    for (ip, passes) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("::ffff:127.0.0.1", true),
        ("64:ff9b::7f00:1", true),
        ("fe80::1", true),
        ("fe80:0:0:1::1", false),
        ("::1", false),
        ("169.254.169.254", false),
    ] {
        assert_eq!(
            policy.check_ip(ip.parse::<IpAddr>().unwrap()).is_ok(),
            passes,
            "{ip}"
        );
    }
}

#[tokio::test]
async fn names_are_judged_by_what_they_resolve_to() {
    for host in [
        "localhost",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "::1",
    ] {
        match strict().resolve(host, 22).await {
            Err(SourceError::Forbidden { url, reason }) => {
                assert_eq!(url, host);
                assert!(reason.contains("loopback"), "{host}: {reason}");
            }
            other => panic!("{host}: {other:?}"),
        }
    }
    let open = EgressPolicy {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..strict()
    };
    let addresses = open.resolve("127.0.0.1", 22).await.unwrap();
    assert_eq!(addresses, ["127.0.0.1:22".parse().unwrap()]);
    let literal = strict().resolve("10.0.0.1", 443).await.unwrap();
    assert_eq!(literal, ["10.0.0.1:443".parse().unwrap()]);
}

#[test]
fn urls_are_shown_without_secrets() {
    let url = Url::parse("https://user:hush@h.example/a/b?token=hush#hush").unwrap();
    assert_eq!(shown(&url), "https://h.example/a/b");
}

#[test]
fn what_is_no_url_is_shown_without_secrets_too() {
    for (text, expected) in [
        (
            "https://u:hush@h.example:99999/x?t=hush#hush",
            "https://h.example:99999/x",
        ),
        (
            "https://u:hu/sh@h.example:99999/x",
            "https://h.example:99999/x",
        ),
        ("//u:hush@h.example/x.zip", "//h.example/x.zip"),
        ("hush@h.example/x", "h.example/x"),
        ("dist/x.zip", "dist/x.zip"),
        ("", ""),
    ] {
        assert_eq!(abridged(text), expected, "{text}");
    }
    assert_eq!(abridged(&"ä".repeat(300)).chars().count(), 200);
}
