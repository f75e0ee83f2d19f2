//! A bucket for archives, opened with the real driver.

use std::{fs, path::Path, time::Duration};

use package_broker_drivers::storage::s3::{Patience, S3, S3Credentials, S3Options};
use tempfile::TempDir;

use super::s3::S3Server;

pub(crate) const BUCKET: &str = "archives";

/// Options for a service at `endpoint`, patient enough for a slow machine.
pub(crate) fn options(endpoint: &str) -> S3Options {
    S3Options {
        bucket: BUCKET.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        prefix: String::new(),
        credentials: S3Credentials::Static {
            access_key_id: S3Server::KEY.to_owned(),
            secret_access_key: S3Server::SECRET.into(),
            session_token: None,
        },
        ca_certificate: None,
        patience: Patience::default(),
    }
}

/// The same, for services that fail for ever.
pub(crate) fn hasty(endpoint: &str) -> S3Options {
    S3Options {
        patience: Patience {
            retries: 2,
            ..Patience::default()
        },
        ..options(endpoint)
    }
}

/// The same, for services that say nothing.
pub(crate) fn impatient(endpoint: &str) -> S3Options {
    S3Options {
        patience: Patience {
            silence: Duration::from_millis(300),
            retries: 1,
            ..Patience::default()
        },
        ..options(endpoint)
    }
}

/// A service with an empty bucket.
pub(crate) struct TestBucket {
    pub(crate) server: S3Server,
    pub(crate) scratch: TempDir,
}

impl TestBucket {
    pub(crate) fn start() -> Self {
        let server = S3Server::start();
        fs::create_dir(server.root().join(BUCKET)).unwrap();
        Self {
            server,
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn open(&self) -> S3 {
        self.open_with(&options(&self.server.endpoint()))
    }

    pub(crate) fn open_with(&self, options: &S3Options) -> S3 {
        S3::open(options, self.scratch.path()).unwrap()
    }

    /// The keys of all objects, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let root = self.server.root().join(BUCKET);
        let mut keys = Vec::new();
        files_below(&root, &mut |file| {
            let key = file.strip_prefix(&root).unwrap();
            keys.push(key.to_str().unwrap().to_owned());
        });
        keys.sort();
        keys
    }

    /// What the service keeps of uploads in parts that are not complete.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let entries = fs::read_dir(self.server.root()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".upload"))
            .collect()
    }
}

fn files_below(dir: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, see);
        } else {
            see(&path);
        }
    }
}
