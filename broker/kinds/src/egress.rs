//! What the guard of requests would refuse at every sync, said once.

use package_broker_crds::{Egress, RepositorySpec, RepositoryType};

/// A field of a `Repository` that its `PackageBroker` does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The field.
    pub path: &'static [&'static str],
    /// Reads on from the field.
    pub message: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// Everything in a source that may not be fetched.
pub fn refused(spec: &RepositorySpec, egress: &Egress) -> Vec<Refused> {
    let url = spec.url.as_str();
    let folder = spec.type_ == RepositoryType::Artifact && !url.starts_with("s3:");
    let local = folder || url.starts_with("file:");
    let mut refused = Vec::new();
    if local && !egress.allow_file_urls {
        refused.push(Refused {
            path: &["spec", "url"],
            message: "is local, which is refused",
            fix: "set spec.egress.allowFileUrls to true in the PackageBroker",
        });
    }
    let bucket = spec.bucket.as_ref();
    let endpoint = bucket.and_then(|bucket| bucket.endpoint.as_deref());
    for (path, url) in [
        (&["spec", "url"][..], Some(url)),
        (&["spec", "bucket", "endpoint"][..], endpoint),
    ] {
        if url.is_some_and(|url| url.starts_with("http:")) && !egress.allow_http {
            refused.push(Refused {
                path,
                message: "is plain http, which is refused",
                fix: "use https, or set spec.egress.allowHttp to true in the PackageBroker",
            });
        }
    }
    refused
}
