//! Keys from a token of the cluster, over TLS with a CA of one's own.

use package_broker_core::ports::storage::Storage;
use package_broker_drivers::storage::s3::{S3, S3Credentials, S3Options};
use tempfile::TempDir;

use super::{id_of, refusal, shows_no_secret, store};
use crate::support::{
    bucket::{hasty, options},
    http::{Answer, Request, Server},
    tls::Authority,
};

const KEYS: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
    <AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>\
    <SessionToken>session-hush</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

fn with_identity(server: &Server, authority: &Authority, folder: &TempDir) -> S3Options {
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "token-hush").unwrap();
    S3Options {
        credentials: S3Credentials::WebIdentity {
            role_arn: "arn:aws:iam::123456789012:role/packages".to_owned(),
            token_file,
            sts_endpoint: Some(server.url("/sts")),
        },
        ca_certificate: Some(authority.pem()),
        ..hasty(&server.url(""))
    }
}

fn is_exchange(request: &Request) -> bool {
    request.target.starts_with("/sts")
}

#[tokio::test]
async fn a_token_is_exchanged_once_and_requests_are_signed_with_what_it_gave() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(), |request| {
        if is_exchange(request) {
            Answer::ok(KEYS)
        } else {
            Answer::ok("").header("ETag", "\"t\"")
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let storage = S3::open(&with_identity(&server, &authority, &folder), folder.path()).unwrap();
    store(&storage, b"one").await.unwrap();
    store(&storage, b"two").await.unwrap();
    let requests = server.take_requests();
    let (exchanges, puts): (Vec<_>, Vec<_>) = requests.iter().partition(|seen| is_exchange(seen));
    assert_eq!((exchanges.len(), puts.len()), (1, 2));
    assert!(exchanges[0].target.contains("WebIdentityToken=token-hush"));
    assert!(exchanges[0].target.contains("RoleArn=arn"));
    for put in puts {
        assert_eq!(put.header("x-amz-security-token"), Some("session-hush"));
        let signed = put.header("authorization").unwrap();
        assert!(signed.contains("Credential=ASIATEST/"), "{signed}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_or_missing_is_told() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(), |_| {
        Answer::ok(refusal("InvalidIdentityToken")).with_status(400)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let storage = S3::open(&with_identity(&server, &authority, &folder), folder.path()).unwrap();
    let said = storage.check().await.unwrap_err().to_string();
    assert!(said.contains("check `tokenFile`"), "{said}");
    shows_no_secret(&said);
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let error = storage.open(&id_of(b"one")).await.err().unwrap();
    let said = error.to_string();
    assert!(said.contains("token"), "{said}");
    assert!(said.contains("No such file"), "{said}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_told() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(), |_| Answer::ok("")).await;
    let storage = S3::open(&hasty(&server.url("")), &std::env::temp_dir()).unwrap();
    let said = storage.check().await.unwrap_err().to_string();
    assert!(said.contains("certificate"), "{said}");
    let trusting = S3Options {
        ca_certificate: Some(authority.pem()),
        ..options(&server.url(""))
    };
    let storage = S3::open(&trusting, &std::env::temp_dir()).unwrap();
    let said = storage.check().await.unwrap_err().to_string();
    assert!(said.contains("check `endpoint`"), "{said}");
}
