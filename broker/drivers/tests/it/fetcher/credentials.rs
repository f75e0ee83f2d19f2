//! What a server gets to see of a repository's Secret.

use package_broker_core::ports::source::SourceError;
use package_broker_drivers::source::{SourceLimits, http::Fetcher};

use super::{body, fetcher, fetcher_with, url};
use crate::support::{
    http::{Answer, Server},
    source::{credentials, network},
    tls::Authority,
};

#[tokio::test]
async fn each_kind_of_credential_is_sent_at_once() {
    for (pairs, header, expected) in [
        (
            vec![("username", "me"), ("password", "hush")],
            "authorization",
            "Basic bWU6aHVzaA==",
        ),
        (vec![("username", "tok")], "authorization", "Basic dG9rOg=="),
        (vec![("token", "hush\n")], "authorization", "Bearer hush"),
        (
            vec![("header", "X-Key: hush\nX-Other: 2\n")],
            "x-key",
            "hush",
        ),
        (
            vec![("header", "X-Key: hush\nX-Other: 2\n")],
            "x-other",
            "2",
        ),
        (
            vec![("header", "Private-Token: hush")],
            "private-token",
            "hush",
        ),
    ] {
        let server = Server::start(|_| Answer::ok("{}")).await;
        let fetcher = fetcher_with(&server.url("/"), &credentials(&pairs));
        body(&fetcher, &server.url("/x")).await.unwrap();
        assert_eq!(server.take_requests()[0].header(header), Some(expected));
    }
}

#[test]
fn credentials_that_cannot_work_are_refused_without_showing_them() {
    let (certificate, key) = Authority::new().client();
    for (pairs, expected) in [
        (
            vec![("token", "hush"), ("username", "me")],
            "both a token and a user name",
        ),
        (vec![("password", "hush")], "no user name"),
        (vec![("username", "me:hush"), ("password", "x")], "colon"),
        (vec![("token", "hu\nsh")], "no header can carry"),
        (vec![("header", "hush")], "no colon"),
        (vec![("header", "hush hush: x")], "illegal name"),
        (vec![("header", "Host: hush")], "belongs to the connection"),
        (
            vec![("header", "Content-Length: 3")],
            "belongs to the connection",
        ),
        (
            vec![("token", "hush"), ("header", "Authorization: hush")],
            "beside another credential",
        ),
        (vec![("ca.crt", "hush")], "no PEM certificate"),
        (
            vec![("tls.crt", certificate.as_str())],
            "one of tls.crt and tls.key",
        ),
        (
            vec![("tls.crt", "hush"), ("tls.key", key.as_str())],
            "no PEM pair",
        ),
        (
            vec![("tls.crt", certificate.as_str()), ("tls.key", "hush")],
            "no PEM pair",
        ),
    ] {
        let made = Fetcher::new(
            &network(SourceLimits::default()),
            &url("https://h.example/"),
            &credentials(&pairs),
        );
        let error = made.err().unwrap_or_else(|| panic!("{expected}: accepted"));
        assert!(matches!(error, SourceError::Misconfigured { .. }));
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn credentials_stay_on_their_origin() {
    let other = Server::start(|_| Answer::ok("other")).await;
    let away = other.url("/away");
    let home = Server::start(move |request| match request.target.as_str() {
        "/port" => Answer::redirect(302, &away),
        "/relative" => Answer::redirect(307, "end"),
        _ => Answer::ok("home"),
    })
    .await;
    let secret = [("token", "hush"), ("header", "X-Key: hush")];
    let fetcher = fetcher_with(&home.url("/"), &credentials(&secret));
    for target in [
        home.url("/port"),
        other.url("/direct"),
        home.named_url("/by-name"),
    ] {
        body(&fetcher, &target).await.unwrap();
    }
    assert_eq!(
        body(&fetcher, &home.url("/relative")).await.unwrap(),
        b"home"
    );
    for request in other.take_requests() {
        assert_eq!(request.header("authorization"), None, "{}", request.target);
        assert_eq!(request.header("x-key"), None, "{}", request.target);
    }
    for request in home.take_requests() {
        let at_home = request.target != "/by-name";
        assert_eq!(
            request.header("authorization").is_some(),
            at_home,
            "{}",
            request.target
        );
        assert_eq!(
            request.header("x-key").is_some(),
            at_home,
            "{}",
            request.target
        );
    }
}

#[tokio::test]
async fn tls_trusts_the_given_ca_and_shows_the_client_certificate() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.strict_acceptor(), |_| Answer::ok("in")).await;
    let (certificate, key) = authority.client();
    let ca = authority.pem();
    let full = credentials(&[
        ("ca.crt", &ca),
        ("tls.crt", &certificate),
        ("tls.key", &key),
    ]);
    assert_eq!(
        body(&fetcher_with(&server.url("/"), &full), &server.url("/x"))
            .await
            .unwrap(),
        b"in"
    );

    let stranger = fetcher(&server.url("/"));
    let error = body(&stranger, &server.url("/x")).await.unwrap_err();
    assert!(error.to_string().contains("ca.crt"), "{error}");

    // The certificate is for the repository's own origin only.
    let elsewhere = Server::start_tls(authority.acceptor(), |_| Answer::ok("elsewhere")).await;
    let away = fetcher_with(&elsewhere.url("/"), &full);
    assert_eq!(
        body(&away, &elsewhere.url("/x")).await.unwrap(),
        b"elsewhere"
    );
    assert!(body(&away, &server.url("/x")).await.is_err());
}
