//! What needs no service: options, the bounds of memory, the addresses of keys.

use std::{os::unix::fs::MetadataExt, path::Path, time::Duration};

use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Linked, Links},
};
use secrecy::SecretString;

use super::{
    InvalidOption, Patience, S3, S3Credentials, S3Options,
    spool::{Content, MEMORY, Spool},
};

fn options() -> S3Options {
    S3Options {
        bucket: "acme-packages".to_owned(),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        path_style: false,
        prefix: String::new(),
        credentials: keys("AKIATEST", "hush"),
        ca_certificate: None,
        patience: Patience::default(),
    }
}

fn keys(id: &str, secret: &str) -> S3Credentials {
    S3Credentials::Static {
        access_key_id: id.to_owned(),
        secret_access_key: SecretString::from(secret),
        session_token: None,
    }
}

fn identity(role: &str, file: &str, sts: Option<&str>) -> S3Credentials {
    S3Credentials::WebIdentity {
        role_arn: role.to_owned(),
        token_file: file.into(),
        sts_endpoint: sts.map(str::to_owned),
    }
}

fn open(change: impl FnOnce(&mut S3Options)) -> Result<S3, InvalidOption> {
    let mut options = options();
    change(&mut options);
    S3::open(&options, Path::new("/nowhere"))
}

type Change = fn(&mut S3Options);

const ROLE: &str = "arn:aws:iam::123456789012:role/packages";

const WRONG_PLACES: [(&str, Change); 15] = [
    ("bucket", |options| options.bucket = String::new()),
    ("bucket", |options| options.bucket = "acme/php".to_owned()),
    ("bucket", |options| options.bucket = "..".to_owned()),
    ("region", |options| options.region = String::new()),
    ("region", |options| options.region = "eu.evil/".to_owned()),
    ("endpoint", |options| {
        options.endpoint = Some("hush".to_owned());
    }),
    ("endpoint", |options| {
        options.endpoint = Some("ftp://host".to_owned());
    }),
    ("endpoint", |options| {
        options.endpoint = Some("https://me:hush@host".to_owned());
    }),
    ("endpoint", |options| {
        options.endpoint = Some("https://host/?hush".to_owned());
    }),
    ("pathStyle", |options| {
        options.endpoint = Some("http://127.0.0.1:9000".to_owned());
    }),
    ("pathStyle", |options| {
        options.bucket = "acme.packages".to_owned();
    }),
    ("prefix", |options| options.prefix = "/team".to_owned()),
    ("prefix", |options| options.prefix = "team//php".to_owned()),
    ("prefix", |options| {
        options.prefix = "team/../php".to_owned();
    }),
    ("prefix", |options| options.prefix = "te\nam".to_owned()),
];

const WRONG_LOGINS: [(&str, Change); 9] = [
    ("accessKeyId", |options| {
        options.credentials = keys("", "hush");
    }),
    ("accessKeyId", |options| {
        options.credentials = keys("a\r\nb", "hush");
    }),
    ("secretAccessKey", |options| {
        options.credentials = keys("a", "hush\n");
    }),
    ("sessionToken", |options| {
        options.credentials = S3Credentials::Static {
            access_key_id: "a".to_owned(),
            secret_access_key: "b".into(),
            session_token: Some("hush hush".into()),
        };
    }),
    ("roleArn", |options| {
        options.credentials = identity("packages", "/token", None);
    }),
    ("tokenFile", |options| {
        options.credentials = identity(ROLE, "token", None);
    }),
    ("stsEndpoint", |options| {
        options.credentials = identity(ROLE, "/token", Some("http://sts.test"));
    }),
    ("stsEndpoint", |options| {
        options.credentials = identity(ROLE, "/token", Some("sts.test"));
    }),
    ("caCertificate", |options| {
        options.ca_certificate = Some("hush".to_owned());
    }),
];

#[test]
fn an_option_that_cannot_be_used_is_named_with_the_fix() {
    for (option, change) in WRONG_PLACES.into_iter().chain(WRONG_LOGINS) {
        let error = open(change).unwrap_err();
        let said = error.to_string();
        assert_eq!(error.option, option, "{said}");
        assert!(!error.fix.is_empty() && said.contains(option), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn nothing_secret_is_in_what_is_shown() {
    let mut options = options();
    options.endpoint = Some("https://me:hush@host".to_owned());
    options.ca_certificate = Some("-----BEGIN PRIVATE KEY----- hush".to_owned());
    assert!(!format!("{options:?}").contains("hush"));
    let storage = open(|_| {}).unwrap();
    assert_eq!(
        format!("{storage:?}"),
        "S3(\"the bucket `acme-packages` at https://s3.eu-central-1.amazonaws.com\")"
    );
}

#[tokio::test]
async fn keys_have_the_addresses_that_services_expect() {
    let hex = "01".repeat(32);
    let cases: [(&str, Change); 6] = [
        (
            "https://acme-packages.s3.eu-central-1.amazonaws.com/blobs/01/",
            |_| {},
        ),
        (
            "https://s3.eu-central-1.amazonaws.com/acme-packages/blobs/01/",
            |options| {
                options.path_style = true;
            },
        ),
        ("https://acme-packages.s3.test:9000/blobs/01/", |options| {
            options.endpoint = Some("https://s3.test:9000".to_owned());
        }),
        ("http://s3.test/acme-packages/team/blobs/01/", |options| {
            options.endpoint = Some("http://s3.test/".to_owned());
            options.path_style = true;
            options.prefix = "team/".to_owned();
        }),
        (
            "https://s3.test/storage/v1/acme-packages/blobs/01/",
            |options| {
                options.endpoint = Some("https://s3.test/storage/v1".to_owned());
                options.path_style = true;
            },
        ),
        ("http://[::1]:9000/acme-packages/blobs/01/", |options| {
            options.endpoint = Some("http://[::1]:9000".to_owned());
            options.path_style = true;
        }),
    ];
    for (expected, change) in cases {
        let storage = open(change).unwrap();
        let link = storage.link(&BlobId([1; 32]), Linked::Bytes, Duration::from_mins(1));
        let link = link.await.unwrap();
        let address = link.expose().split('?').next().unwrap();
        assert_eq!(address, format!("{expected}{hex}"));
    }
}

#[tokio::test]
async fn what_is_beyond_a_mebibyte_is_in_a_private_file_without_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::new(dir.path().to_owned());
    let chunk = vec![7; 64 * 1024];
    for _ in 0..MEMORY / chunk.len() {
        spool.write(&chunk).await.unwrap();
    }
    assert!(!spool.is_on_disk());
    for _ in 0..63 * MEMORY / chunk.len() {
        spool.write(&chunk).await.unwrap();
        assert!(spool.is_on_disk());
        assert!(spool.in_memory() <= 2 * MEMORY, "{}", spool.in_memory());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let Content::File(file) = spool.finish().await.unwrap() else {
        panic!("it is beyond a mebibyte");
    };
    assert_eq!(file.size, 64 << 20);
    let metadata = file.metadata();
    assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (0, 0o600));
    assert!(file.read(file.size - 5, 5).await.unwrap()[..] == [7; 5]);
    let said = file.read(file.size - 4, 5).await.unwrap_err().to_string();
    assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
}

#[tokio::test]
async fn a_large_chunk_does_not_stay_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::new(dir.path().to_owned());
    spool.write(&vec![1; 8 << 20]).await.unwrap();
    assert!(spool.is_on_disk() && spool.in_memory() <= MEMORY);
}

#[tokio::test]
async fn after_a_failed_write_nothing_can_be_finished() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::new(dir.path().join("missing"));
    let chunk = vec![1; 2 << 20];
    assert!(spool.write(&chunk).await.is_err());
    assert!(spool.write(&chunk).await.is_err());
    assert!(spool.finish().await.is_err());
}
