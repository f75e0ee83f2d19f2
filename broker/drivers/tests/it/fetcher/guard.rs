//! Redirects and names do not lead past the policy.

use std::sync::Arc;

use package_broker_core::{domain::repository::Credentials, ports::source::SourceError};
use package_broker_drivers::source::{
    SourceLimits,
    egress::EgressPolicy,
    http::{Fetcher, Network},
};

use super::{body, fetcher, fetcher_with, url};
use crate::support::{
    http::{Answer, Server},
    source::credentials,
    tls::Authority,
};

#[tokio::test]
async fn redirects_are_bounded_and_guarded_at_every_hop() {
    let server = Server::start(|request| match request.target.as_str() {
        "/loop" => Answer::redirect(301, "/loop"),
        "/nowhere" => Answer::status(302),
        "/garbage" => Answer::redirect(302, "http://["),
        "/metadata" => Answer::redirect(302, "http://169.254.169.254/latest"),
        "/file" => Answer::redirect(302, "file:///etc/passwd"),
        "/mapped" => Answer::redirect(302, "http://[::ffff:169.254.169.254]/"),
        "/password" => Answer::redirect(302, "http://a:hush@127.0.0.1/"),
        path => match path
            .strip_prefix("/chain/")
            .map(|left| left.parse::<u32>().unwrap())
        {
            Some(left) if left > 0 => Answer::redirect(303, &format!("/chain/{}", left - 1)),
            _ => Answer::ok("end"),
        },
    })
    .await;
    let fetcher = fetcher(&server.url("/"));
    assert_eq!(
        body(&fetcher, &server.url("/chain/10")).await.unwrap(),
        b"end"
    );
    for (target, expected) in [
        ("/chain/11", "more than 10 redirects"),
        ("/loop", "more than 10 redirects"),
        ("/nowhere", "without a readable Location"),
        ("/garbage", "no URL"),
        ("/metadata", "metadata"),
        ("/file", "only http and https"),
        ("/mapped", "metadata"),
        ("/password", "password"),
    ] {
        let error = body(&fetcher, &server.url(target)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{target}: {error}");
        assert!(!error.to_string().contains("hush"));
    }
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = Server::start(|_| Answer::ok("plain")).await;
    let target = plain.url("/x");
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(), move |_| {
        Answer::redirect(302, &target)
    })
    .await;
    let fetcher = fetcher_with(
        &server.url("/"),
        &credentials(&[("ca.crt", &authority.pem())]),
    );
    let error = body(&fetcher, &server.url("/x")).await.unwrap_err();
    assert!(matches!(error, SourceError::Forbidden { .. }), "{error}");
    assert!(plain.take_requests().is_empty());
}

#[tokio::test]
async fn names_that_resolve_to_loopback_are_never_connected_to() {
    let server = Server::start(|_| Answer::ok("inside")).await;
    let policy = EgressPolicy {
        allow_http: true,
        ..EgressPolicy::default()
    };
    let network = Arc::new(Network::new(Arc::new(policy), SourceLimits::default()));
    let target = url(&server.named_url("/x"));
    let fetcher = Fetcher::new(&network, &target, &Credentials::default()).unwrap();
    let error = fetcher.get_document(&target, None).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Forbidden { reason, .. } if reason.contains("loopback")),
        "{error}"
    );
    assert!(Fetcher::new(&network, &url(&server.url("/x")), &Credentials::default()).is_err());
    assert_eq!(server.connections(), 0);
}
