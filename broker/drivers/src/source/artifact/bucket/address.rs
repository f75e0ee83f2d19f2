//! Which bucket, where, and what part of it.

use package_broker_core::{domain::repository::BucketAccess, ports::source::SourceError};
use rusty_s3::{BucketError, UrlStyle};
use url::Url;

const SCHEME: &str = "s3://";

/// Whether a `Repository spec.url` names a bucket.
pub(in crate::source::artifact) fn is_bucket(url: &str) -> bool {
    url.starts_with(SCHEME)
}

/// A prefix of a bucket at an endpoint.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) bucket: rusty_s3::Bucket,
    /// What all keys begin with: empty, or the prefix with a slash at its end. It is a folder, as people see buckets:
    /// `s3://b/php` does not have `php-old/x.zip`.
    pub(super) prefix: String,
    /// For people.
    pub(super) shown: String,
}

impl Address {
    /// Reads `s3://bucket[/prefix]`. The prefix is taken as it stands in keys, without escapes.
    pub(super) fn read(url: &str, access: &BucketAccess) -> Result<Self, SourceError> {
        let wrong = || SourceError::Misconfigured {
            problem: "the URL names no bucket".to_owned(),
            fix: "write s3://bucket or s3://bucket/prefix, without . and .. in the prefix"
                .to_owned(),
        };
        let rest = url.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !(3..=255).contains(&name.len()) || !name.chars().all(is_name) {
            return Err(wrong());
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        // An URL cannot name what is below such a part.
        let is_part = |part: &str| !matches!(part, "" | "." | "..");
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(wrong());
        }
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok(Self {
            bucket: bucket(name, access)?,
            prefix: format!("{prefix}{slash}"),
            shown: url.to_owned(),
        })
    }
}

fn bucket(name: &str, access: &BucketAccess) -> Result<rusty_s3::Bucket, SourceError> {
    let region = access.region.as_str();
    let aws = || format!("https://s3.{region}.amazonaws.com");
    let endpoint = access.endpoint.clone().unwrap_or_else(aws);
    let misconfigured = |problem: &str, fix: &str| SourceError::Misconfigured {
        problem: problem.to_owned(),
        fix: fix.to_owned(),
    };
    let no_url = || {
        misconfigured(
            "spec.bucket.endpoint or spec.bucket.region gives no URL",
            "write the endpoint as https://host, the region as us-east-1",
        )
    };
    let endpoint: Url = endpoint.parse().map_err(|_| no_url())?;
    // The certificate of AWS is good for one label before its own name.
    let in_path = access
        .path_style
        .unwrap_or(access.endpoint.is_some() || name.contains('.'));
    let style = if in_path {
        UrlStyle::Path
    } else {
        UrlStyle::VirtualHost
    };
    let made = rusty_s3::Bucket::new(endpoint, style, name.to_owned(), region.to_owned());
    made.map_err(|error| match error {
        BucketError::ParseError(_) if !in_path => misconfigured(
            "the bucket's name cannot be put before the endpoint's host",
            "set spec.bucket.pathStyle to true",
        ),
        _ => no_url(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(endpoint: Option<&str>, path_style: Option<bool>) -> BucketAccess {
        BucketAccess {
            endpoint: endpoint.map(str::to_owned),
            region: "eu-west-1".to_owned(),
            path_style,
        }
    }

    #[test]
    fn the_bucket_is_in_the_path_where_an_endpoint_or_a_dot_is() {
        for (name, endpoint, path_style, expected) in [
            (
                "acme",
                None,
                None,
                "https://acme.s3.eu-west-1.amazonaws.com/",
            ),
            (
                "acme",
                None,
                Some(true),
                "https://s3.eu-west-1.amazonaws.com/acme/",
            ),
            (
                "ac.me",
                None,
                None,
                "https://s3.eu-west-1.amazonaws.com/ac.me/",
            ),
            (
                "acme",
                Some("https://minio.example:9000"),
                None,
                "https://minio.example:9000/acme/",
            ),
            (
                "acme",
                Some("https://h.example/s3/"),
                None,
                "https://h.example/s3/acme/",
            ),
            (
                "acme",
                Some("https://h.example"),
                Some(false),
                "https://acme.h.example/",
            ),
        ] {
            let url = format!("s3://{name}/x");
            let address = Address::read(&url, &access(endpoint, path_style)).unwrap();
            assert_eq!(address.bucket.base_url().as_str(), expected);
            assert_eq!(address.bucket.region(), "eu-west-1");
        }
    }

    #[test]
    fn a_prefix_is_a_folder() {
        for (url, expected) in [
            ("s3://acme", ""),
            ("s3://acme/", ""),
            ("s3://acme/php", "php/"),
            ("s3://acme/php/", "php/"),
            ("s3://acme/a b/%2F/ü", "a b/%2F/ü/"),
        ] {
            let address = Address::read(url, &BucketAccess::default()).unwrap();
            assert_eq!(
                (address.prefix.as_str(), address.shown.as_str()),
                (expected, url)
            );
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let any = BucketAccess::default();
        for url in [
            "s3:",
            "s3://",
            "s3:///x",
            "s3://ab",
            "s3://key:secret@acme/x",
            "s3://a b/x",
            "s3://acme//x",
            "s3://acme/x//",
            "s3://acme/../x",
            "s3://acme/./x",
            "s3://acme/x/..",
        ] {
            let error = Address::read(url, &any).unwrap_err();
            assert!(
                matches!(error, SourceError::Misconfigured { .. }),
                "{url}: {error}"
            );
        }
        for (endpoint, path_style) in [
            ("https://127.0.0.1", Some(false)),
            ("nonsense", None),
            ("ftp://h.example", None),
        ] {
            let error =
                Address::read("s3://acme", &access(Some(endpoint), path_style)).unwrap_err();
            assert!(error.to_string().contains("spec.bucket."), "{error}");
        }
    }
}
