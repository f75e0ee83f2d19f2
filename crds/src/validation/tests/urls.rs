//! URLs: what is admitted is read in the same way by every parser, and what is not says why.

use std::ops::Range;

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;
use url::Url;

use super::*;

const HOST: &str = "the host or the port cannot be used; write a host name, an IPv4 address or an IPv6 address in brackets, and if need be : and a port from 1 to 65535";
const PATH: &str = "the path has characters that a URL cannot have; percent-encode them, for instance a blank as %20";

/// What follows the scheme of URLs that can be used.
const USABLE: [&str; 16] = [
    "h/x",
    "h:1/x",
    "h:65535/x",
    "localhost:8080/x",
    "git.example.com./x",
    "a_b.example.com/x",
    "xn--bcher-kva.example/x",
    "4f3c2a1b:8080/x",
    "1.example/x",
    "127.0.0.1:443/x",
    "255.255.255.255/x",
    "[::1]/x",
    "[2001:db8::1.2.3.4]:8443/x",
    "h/~a/b%20c/(d)'e;f=g,h@i:j",
    "h/%C3%A4/%f0%9f%9a%80",
    "h/a/../b//c/",
];

/// What follows the scheme, and what is said about it.
const UNUSABLE: [(&str, &str); 28] = [
    ("h:80a/x", HOST),
    ("h:/x", HOST),
    ("h:0/x", HOST),
    ("h:080/x", HOST),
    ("h:65536/x", HOST),
    ("h:99999/x", HOST),
    ("h:123456/x", HOST),
    ("h:-1/x", HOST),
    (":80/x", HOST),
    ("./x", HOST),
    ("a..b/x", HOST),
    ("-a.example/x", HOST),
    ("a b/x", HOST),
    ("h\\x/y", HOST),
    ("b\u{fc}cher.example/x", HOST),
    ("h%41/x", HOST),
    ("256.1.1.1/x", HOST),
    ("1.2.3/x", HOST),
    ("01.2.3.4/x", HOST),
    ("0x7f000001/x", HOST),
    ("2130706433/x", HOST),
    ("[::1/x", HOST),
    ("[1::2::3]/x", HOST),
    ("[fe80::1%25eth0]/x", HOST),
    ("h/a b", PATH),
    ("h/%zz", PATH),
    ("h/\u{e4}", PATH),
    ("h/a%00b", PATH),
];

/// Each field that takes an http(s) URL, with this one.
fn everywhere(url: &str) -> [(&'static str, Value); 4] {
    [
        ("spec.externalUrl", broker(json!({"externalUrl": url}))),
        (
            "spec.packagist.url",
            broker(json!({"packagist": {"enabled": true, "url": url}})),
        ),
        ("spec.url", repository("composer", url, json!({}))),
        ("spec.url", git(url)),
    ]
}

#[test]
fn hosts_ports_and_paths_of_http_urls() {
    for rest in USABLE {
        for (_, document) in everywhere(&format!("https://{rest}")) {
            assert_eq!(verdict(&document), "", "{document}");
        }
    }
    for (rest, said) in UNUSABLE {
        for (field, document) in everywhere(&format!("https://{rest}")) {
            assert_eq!(verdict(&document), format!("{field}: {said}"), "{document}");
        }
    }
}

#[test]
fn hosts_ports_and_paths_of_ssh_urls() {
    const GIT: &str = "not a git URL; write https://host/path, ssh://git@host/path, git@host:path or file:///path";
    for rest in USABLE {
        for user in ["", "git@", "deploy.bot+x@"] {
            let document = git(&format!("ssh://{user}{rest}"));
            assert_eq!(verdict(&document), "", "{document}");
        }
    }
    for (rest, said) in UNUSABLE {
        let document = git(&format!("ssh://git@{rest}"));
        assert_eq!(
            verdict(&document),
            format!("spec.url: {said}"),
            "{document}"
        );
    }
    for usable in [
        "git@h:x",
        "git@h:/srv/x",
        "a.b+c@127.0.0.1:x",
        "git@h:~me/a:b",
        "git@h:b\u{fc}ro/x",
    ] {
        assert_eq!(verdict(&git(usable)), "", "{usable}");
    }
    for unusable in [
        "git@h:",
        "git@h:-x",
        "git@h::x",
        "git@h:a b",
        "git@h://x",
        "git@h:a://b",
        "git@h:a\u{7f}b",
        "-o@h:x",
        "git@-h:x",
        "git@1.2.3:x",
        "git@h/x:y",
        "git@:x",
        "ssh://-oProxyCommand=x@h/x",
        "ssh://-l@h/x",
        "ssh://a b@h/x",
        "file:///a?b",
    ] {
        let document = git(unusable);
        assert_eq!(verdict(&document), format!("spec.url: {GIT}"), "{document}");
    }
}

#[test]
fn folders() {
    let artifact = |url: &str| verdict(&repository("artifact", url, json!({})));
    for usable in ["/srv/a?b#c", "a b", "file:///srv/a b", "./b\u{fc}ro"] {
        assert_eq!(artifact(usable), "", "{usable}");
    }
    for unusable in [
        "a\0b",
        "a\nb",
        "C:/x",
        "file:///srv/a?b",
        "file:///srv/a#b",
        "file:///",
    ] {
        let said = "spec.url: not a folder or bucket; write a path, a file:///path URL or s3://bucket/prefix";
        assert_eq!(artifact(unusable), said, "{unusable:?}");
    }
}

/// Texts of a few of these pieces.
fn text(pieces: &'static [&'static str], count: Range<usize>) -> impl Strategy<Value = String> {
    vec(select(pieces), count).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the rules admit has, to the parser that the broker uses, the host that is written there, and neither
    /// user nor query. Broken `xn--` parts are the exception: no regular expression knows them.
    #[test]
    fn what_is_admitted_means_what_it_says(
        host in text(&["a", "X", "x", "0", "1", "255", "256", "-", "_", ".", ".1", "[::1]", "[", "::", "%41", "\u{fc}", "\u{2024}", " "], 1..4),
        written in text(&["", "", ":", ":8", "0", "65536", "x"], 0..3),
        path in text(&["/", "/a", "..", "%20", "%", "@", "?", "#", "\t", "\\", "|", "\u{e4}"], 0..3),
    ) {
        let text = format!("https://{host}{written}{path}");
        for (field, document) in [("externalUrl", broker(json!({"externalUrl": text}))), ("url", git(&text))] {
            if !verdict(&document).is_empty() {
                continue;
            }
            let url = Url::parse(&text).map_err(|error| TestCaseError::fail(format!("{field}: {text}: {error}")))?;
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            let understood = format!("{}{port}", url.host_str().unwrap_or_default());
            prop_assert_eq!(understood, format!("{host}{written}").to_lowercase(), "{}: {}", field, &text);
            prop_assert!(url.username().is_empty() && url.query().is_none() && url.fragment().is_none());
        }
    }
}
