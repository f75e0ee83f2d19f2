//! A source that asks its clients for a certificate.

use std::fs;
use std::path::Path;

use package_broker_e2e::certificates::certify;
use package_broker_e2e::process::ChildGroup;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::proxy::{preamble, start, temporary};
use crate::support::registry::{Registry, manifests};
use crate::support::status::status_of;
use crate::support::upstream::{Upstream, archive};

/// A Composer repository behind nginx, which lets in who has a certificate of the authority that made its own.
struct Closed {
    _group: ChildGroup,
    url: String,
    folder: TempDir,
}

impl Closed {
    fn before(upstream: &Upstream) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path(), "127.0.0.1").unwrap();
        let (group, port) = start(folder.path(), |port| {
            configuration(folder.path(), port, &upstream.url())
        });
        Self {
            _group: group,
            url: format!("https://127.0.0.1:{port}"),
            folder,
        }
    }

    /// A Secret with these keys, each from a file of that name.
    fn secret(&self, keys: &[(&str, &str)]) -> Value {
        let read = |file: &str| fs::read_to_string(self.folder.path().join(file)).unwrap();
        let pairs = keys
            .iter()
            .map(|(key, file)| ((*key).to_owned(), read(file).into()));
        Value::Object(pairs.collect())
    }
}

fn configuration(folder: &Path, port: u16, url: &str) -> String {
    let folder = folder.display().to_string();
    format!(
        "{}http {{\naccess_log off;\n{}server {{\n\
         listen 127.0.0.1:{port} ssl http2;\n\
         ssl_certificate {folder}/server.pem;\nssl_certificate_key {folder}/server.key;\n\
         ssl_verify_client on;\nssl_client_certificate {folder}/ca.pem;\n\
         location / {{ proxy_pass {url}; }}\n}}\n}}\n",
        preamble(&folder),
        temporary(&folder)
    )
}

#[test]
fn a_source_that_wants_a_client_certificate_is_read_with_the_one_in_the_secret() {
    let upstream = Upstream::listed();
    let closed = Closed::before(&upstream);
    let zip = archive("acme/lib", "1.0.0", 0);
    upstream.replace_archive("acme/lib", "1.0.0", &zip);
    upstream.publish_elsewhere("acme/lib", "1.0.0", &zip, &closed.url);
    let pair = closed.secret(&[
        ("tls.crt", "client.pem"),
        ("tls.key", "client.key"),
        ("ca.crt", "ca.pem"),
    ]);
    let named = |secret: &str| json!({"credentialsSecretRef": {"name": secret}});
    let all = manifests(&json!({}))
        .secret("pair", &pair)
        .secret("authority", &closed.secret(&[("ca.crt", "ca.pem")]))
        .repository("member", "composer", &closed.url, &named("pair"))
        .repository("guest", "composer", &closed.url, &named("authority"))
        .repository("stranger", "composer", &closed.url, &json!({}));
    let registry = Registry::start(&all);
    let path = registry.archive_of("all", "acme/lib", "1.0.0");
    let answer = registry.get("all", &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == zip);

    status_of(&registry, "member", "Synced");
    for (name, said) in [
        ("guest", "/packages.json: HTTP 400"),
        ("stranger", "its CA can go into ca.crt"),
    ] {
        let failed = status_of(&registry, name, "Failing");
        let message = failed["failure"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
}
