use super::*;

fn parse(url: &str) -> Result<Address, UrlError> {
    Address::parse(&url.into())
}

fn public(url: &str) -> String {
    parse(url).unwrap().public()
}

#[test]
fn all_forms_are_read() {
    let single = parse("redis://cache").unwrap();
    assert_eq!(single.hosts, [("cache".to_owned(), 6379)]);
    assert_eq!(
        (single.kind, single.tls, single.database),
        (Kind::Single, false, 0)
    );
    assert_eq!(public("rediss://cache:7000/3"), "rediss://cache:7000/3");
    assert_eq!(public("redis://[::1]/"), "redis://[::1]:6379/0");
    assert_eq!(
        public("redis+cluster://a,b:7,[::2]:8/"),
        "redis+cluster://a:6379,b:7,[::2]:8"
    );
    let sentinel = parse("rediss+sentinel://u:p@a,b:1/2?master=main&sentinel-user=s").unwrap();
    assert_eq!(
        sentinel.public(),
        "rediss+sentinel://a:26379,b:1/2?master=main"
    );
    let user = Some("s".to_owned());
    let master = "main".to_owned();
    assert_eq!(sentinel.kind, Kind::Sentinel { master, user });
}

#[test]
fn user_and_password_are_decoded() {
    for (url, user, password) in [
        ("redis://h", None, None),
        ("redis://:secret@h", None, Some("secret")),
        ("redis://u:s%2Fe%40c%3Ar%25@h", Some("u"), Some("s/e@c:r%")),
        ("redis://u%20v@h", Some("u v"), None),
        ("redis://:@h", None, None),
    ] {
        let address = parse(url).unwrap();
        assert_eq!(address.user.as_deref(), user, "{url}");
        let read = address.password.as_ref().map(ExposeSecret::expose_secret);
        assert_eq!(read, password, "{url}");
    }
}

#[test]
fn a_wrong_url_is_refused_with_what_is_wrong() {
    let text = |text: &str| text.to_owned();
    for (url, error) in [
        ("cache:6379", UrlError::Scheme),
        ("http://cache", UrlError::Scheme),
        ("redisx://cache", UrlError::Scheme),
        ("redis+nothing://cache", UrlError::Scheme),
        ("redis://", UrlError::NoHost),
        ("redis://:6379", UrlError::NoHost),
        ("redis+cluster://a,,b", UrlError::NoHost),
        ("redis://a b", UrlError::Host(text("a b"))),
        ("redis://::1", UrlError::Host(text(":"))),
        ("redis://a:0", UrlError::Port(text("0"))),
        ("redis://a:65536", UrlError::Port(text("65536"))),
        ("redis://a:x", UrlError::Port(text("x"))),
        ("redis://a,b", UrlError::SeveralHosts),
        ("redis://a/x", UrlError::Database(text("x"))),
        ("redis://a/+1", UrlError::Database(text("+1"))),
        ("redis+cluster://a/1", UrlError::ClusterDatabase(1)),
        ("redis+sentinel://a", UrlError::NoMaster),
        ("redis+sentinel://a?master=", UrlError::NoMaster),
        ("redis://a?db=1", UrlError::Parameter(text("db"))),
        (
            "redis+sentinel://a?master=m&master=n",
            UrlError::Parameter(text("master")),
        ),
        ("redis://a#b", UrlError::Fragment),
    ] {
        assert_eq!(parse(url).unwrap_err(), error, "{url}");
    }
    let many = vec!["h"; MAX_HOSTS + 1].join(",");
    let many = parse(&format!("redis+cluster://{many}")).unwrap_err();
    assert_eq!(many, UrlError::TooManyHosts);
}

#[test]
fn no_error_and_no_debug_shows_a_password() {
    for url in [
        "redis://u:hunter2/x@h",
        "redis://u:x?hunter2@h",
        "redis://u:x#hunter2@h",
        "redis://u:x@hunter2@h",
        "redis://u:x:hunter2@h",
        "redis://u:hunter2%@h",
        "redis://u:hunter2%zz@h",
        "redis://u:hunter2%ff@h",
    ] {
        assert_eq!(parse(url).unwrap_err(), UrlError::Unescaped, "{url}");
    }
    let read = parse("redis://u:hunter2@h").unwrap();
    assert!(!format!("{read:?}{}", read.public()).contains("hunter2"));
}
