//! From a path to what it names.

use std::borrow::Cow;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::{api::Api, error::Problem};

/// What a request is for. Segments are as they came: [`decoded`] undoes their percent-encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/packages.json`
    Root,
    /// `/p2/{vendor}/{file}`
    Package {
        /// The first half of the name.
        vendor: &'a str,
        /// The second half, `~dev` if it is that channel, and `.json`.
        file: &'a str,
    },
    /// `/dist/{vendor}/{package}/{version}/{file}`
    Dist {
        /// The first half of the name.
        vendor: &'a str,
        /// The second half.
        package: &'a str,
        /// The normalized version.
        version: &'a str,
        /// The reference and an extension.
        file: &'a str,
    },
    /// `/list.json`
    List,
    /// `/search.json`
    Search,
    /// `/notify-batch`
    NotifyBatch,
    /// `/webhooks/{repository}`
    Webhook {
        /// The repository's name within the broker.
        repository: &'a str,
    },
    /// `/api/status` and `/api/audit`
    Api(Api),
}

impl<'a> Route<'a> {
    /// What a path names, with or without the path of the public URL, `prefix`, in front; nothing if it is no route.
    pub(super) fn at(prefix: &str, path: &'a str) -> Option<Self> {
        Self::of(below(prefix, path)).or_else(|| Self::of(path))
    }

    /// What a path names, once the path of `externalUrl` is taken off; nothing if it is no route.
    fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let first: [Option<&str>; 6] = std::array::from_fn(|_| segments.next());
        Some(match first {
            [Some("packages.json"), None, ..] => Self::Root,
            [Some("p2"), Some(vendor), Some(file), None, ..] => Self::Package { vendor, file },
            [
                Some("dist"),
                Some(vendor),
                Some(package),
                Some(version),
                Some(file),
                None,
            ] => Self::Dist {
                vendor,
                package,
                version,
                file,
            },
            [Some("list.json"), None, ..] => Self::List,
            [Some("search.json"), None, ..] => Self::Search,
            [Some("notify-batch"), None, ..] => Self::NotifyBatch,
            [Some("api"), Some("status"), None, ..] => Self::Api(Api::Status),
            [Some("api"), Some("audit"), None, ..] => Self::Api(Api::Audit),
            [Some("webhooks"), Some(repository), None, ..] => Self::Webhook { repository },
            _ => return None,
        })
    }

    /// The names of all routes in metrics, by [`Route::number`].
    pub(super) const LABELS: [&'static str; 9] = [
        "/packages.json",
        "/p2/{vendor}/{file}",
        "/dist/{vendor}/{package}/{version}/{file}",
        "/list.json",
        "/search.json",
        "/notify-batch",
        "/webhooks/{repository}",
        "/api/status",
        "/api/audit",
    ];

    /// Its place among [`Route::LABELS`].
    pub(super) fn number(self) -> usize {
        match self {
            Self::Root => 0,
            Self::Package { .. } => 1,
            Self::Dist { .. } => 2,
            Self::List => 3,
            Self::Search => 4,
            Self::NotifyBatch => 5,
            Self::Webhook { .. } => 6,
            Self::Api(Api::Status) => 7,
            Self::Api(Api::Audit) => 8,
        }
    }

    /// Its name in metrics.
    pub(super) fn label(self) -> &'static str {
        Self::LABELS[self.number()]
    }

    /// The methods it has, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::NotifyBatch | Self::Webhook { .. } => "POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether it may be asked with this method.
    pub(super) fn allows(self, method: &Method) -> bool {
        match self {
            Self::NotifyBatch | Self::Webhook { .. } => method == Method::POST,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }
}

/// A segment without percent-encoding.
///
/// # Errors
/// When the bytes are not UTF-8.
pub(super) fn decoded(segment: &str) -> Result<Cow<'_, str>, Problem> {
    if !segment.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(segment));
    }
    percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| Problem::not_utf8(segment))
}

/// The path below `prefix`, for a proxy that leaves the path of `externalUrl` where it is; the whole path if it is not
/// below it, for one that strips it.
fn below<'a>(prefix: &str, path: &'a str) -> &'a str {
    path.strip_prefix(prefix)
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_routes() {
        for (path, route) in [
            ("/packages.json", Route::Root),
            (
                "/p2/acme/lib~dev.json",
                Route::Package {
                    vendor: "acme",
                    file: "lib~dev.json",
                },
            ),
            (
                "/dist/acme/lib/1.0.0.0/abc.zip",
                Route::Dist {
                    vendor: "acme",
                    package: "lib",
                    version: "1.0.0.0",
                    file: "abc.zip",
                },
            ),
            ("/list.json", Route::List),
            ("/search.json", Route::Search),
            ("/notify-batch", Route::NotifyBatch),
            ("/api/status", Route::Api(Api::Status)),
            ("/api/audit", Route::Api(Api::Audit)),
            (
                "/webhooks/acme-lib",
                Route::Webhook {
                    repository: "acme-lib",
                },
            ),
        ] {
            assert_eq!(Route::of(path), Some(route), "{path}");
        }
    }

    #[test]
    fn other_paths_are_no_routes() {
        for path in [
            "/",
            "",
            "*",
            "/packages.json/",
            "//packages.json",
            "/p2/acme",
            "/p2/acme/lib/x.json",
            "/dist/acme/lib/1.0.0.0/abc.zip/x",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn only_whole_segments_of_the_prefix_are_taken_off() {
        let prefix = "/r/team";
        assert_eq!(below(prefix, "/r/team/packages.json"), "/packages.json");
        assert_eq!(
            below(prefix, "/r/teammate/packages.json"),
            "/r/teammate/packages.json"
        );
        assert_eq!(below(prefix, "/packages.json"), "/packages.json");
        assert_eq!(below(prefix, "/r/team"), "/r/team");
        assert_eq!(below("", "/packages.json"), "/packages.json");
    }

    #[test]
    fn a_prefix_may_look_like_a_route() {
        let package = Route::Package {
            vendor: "acme",
            file: "lib.json",
        };
        for path in ["/p2/acme/lib.json", "/p2/p2/acme/lib.json"] {
            assert_eq!(Route::at("/p2", path), Some(package), "{path}");
        }
    }

    #[test]
    fn encoded_segments_are_decoded() {
        assert_eq!(decoded("lib%7Edev.json").unwrap(), "lib~dev.json");
        assert_eq!(decoded("100%").unwrap(), "100%");
        assert!(decoded("%ff").is_err());
    }
}
