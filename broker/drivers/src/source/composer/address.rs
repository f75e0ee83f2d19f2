//! Where the files of a Composer repository are (protocol A.1).

use package_broker_core::{domain::names::PackageName, ports::source::SourceError};
use url::Url;

use crate::source::egress::abridged;

/// The addresses of one repository, from the URL in its manifest.
#[derive(Clone, Debug)]
pub(super) struct Address {
    root: Url,
    base: String,
    origin: String,
}

impl Address {
    /// Reads a configured URL: a path with `.json` in it is the root file, else that is `packages.json` below it.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if it is not an absolute http(s) URL.
    pub(super) fn new(configured: &str) -> Result<Self, SourceError> {
        let mut root = Url::parse(configured.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| SourceError::Misconfigured {
                problem: "the URL of a composer repository is not an absolute http(s) URL"
                    .to_owned(),
                fix: "write for instance https://packages.example.com".to_owned(),
            })?;
        root.set_fragment(None);
        let path = root.path().trim_end_matches('/').to_owned();
        let folder = if path.contains(".json") {
            root.set_path(&path);
            path.rsplit_once('/')
                .map_or("", |(folder, _)| folder)
                .to_owned()
        } else {
            root.set_path(&format!("{path}/packages.json"));
            path
        };
        let origin = root.origin().ascii_serialization();
        Ok(Self {
            base: format!("{origin}{folder}"),
            origin,
            root,
        })
    }

    /// The root file.
    pub(super) fn root(&self) -> &Url {
        &self.root
    }

    /// Completes a value of the root file: absolute URLs stand; `/…` is below the host, the rest below the folder of
    /// the root file. Clients complete only the former; some servers count on more.
    pub(super) fn complete(&self, value: &str) -> String {
        if is_absolute(value) {
            value.to_owned()
        } else if value.starts_with('/') {
            format!("{}{value}", self.origin)
        } else {
            format!("{}/{value}", self.base)
        }
    }

    /// A file named in the root file, such as an include. Always below the folder of the root file, as clients have
    /// it, also with a slash in front.
    pub(super) fn file(&self, path: &str) -> Result<Url, SourceError> {
        let text = match path {
            path if is_absolute(path) => path.to_owned(),
            path => format!("{}/{}", self.base, path.trim_start_matches('/')),
        };
        parse(&text.replace('$', "%24"))
    }
}

/// Whether a text begins with a scheme.
pub(super) fn is_absolute(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Reads a completed URL.
pub(super) fn parse(text: &str) -> Result<Url, SourceError> {
    Url::parse(text).map_err(|error| SourceError::Invalid {
        what: abridged(text),
        problem: format!("the repository's root file leads to something that is no URL: {error}"),
    })
}

/// A URL with `%package%` and perhaps `%hash%` in it.
#[derive(Clone, Debug)]
pub(super) struct Template(String);

impl Template {
    /// Takes a completed template.
    pub(super) fn new(address: &Address, value: &str) -> Result<Self, SourceError> {
        if value.contains("%package%") {
            return Ok(Self(address.complete(value)));
        }
        Err(SourceError::Invalid {
            what: crate::source::egress::shown(address.root()),
            problem: "a URL template of the root file has no %package% in it".to_owned(),
        })
    }

    /// The URL for a package. `suffix` is `~dev` for the twin with the branches, else empty.
    pub(super) fn fill(
        &self,
        name: &PackageName,
        suffix: &str,
        hash: &str,
    ) -> Result<Url, SourceError> {
        let text = self
            .0
            .replace("%package%", &format!("{name}{suffix}"))
            .replace("%hash%", hash);
        parse(&text.replace('$', "%24"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_file_is_found_as_clients_find_it() {
        for (configured, root, base) in [
            (
                "https://h.example",
                "https://h.example/packages.json",
                "https://h.example",
            ),
            (
                "https://h.example/",
                "https://h.example/packages.json",
                "https://h.example",
            ),
            (
                "https://h.example/r/team",
                "https://h.example/r/team/packages.json",
                "https://h.example/r/team",
            ),
            (
                "https://h.example/r/team//",
                "https://h.example/r/team/packages.json",
                "https://h.example/r/team",
            ),
            (
                "https://h.example/r/x.json",
                "https://h.example/r/x.json",
                "https://h.example/r",
            ),
            (
                "https://h.example:81/packages.json?a=1",
                "https://h.example:81/packages.json?a=1",
                "https://h.example:81",
            ),
            (
                "https://h.example/r?a=1#f",
                "https://h.example/r/packages.json?a=1",
                "https://h.example/r",
            ),
        ] {
            let address = Address::new(configured).unwrap();
            assert_eq!(address.root().as_str(), root, "{configured}");
            assert_eq!(address.base, base, "{configured}");
        }
        for configured in [
            "",
            "h.example",
            "/srv/repo",
            "file:///srv/repo",
            "ssh://h/x",
            "https://",
        ] {
            assert!(Address::new(configured).is_err(), "{configured}");
        }
    }

    #[test]
    fn values_are_completed() {
        let address = Address::new("https://user@h.example:8/r/team").unwrap();
        for (value, expected) in [
            (
                "https://other/p2/%package%.json",
                "https://other/p2/%package%.json",
            ),
            (
                "/p2/%package%.json",
                "https://h.example:8/p2/%package%.json",
            ),
            ("//other/x", "https://h.example:8//other/x"),
            (
                "p2/%package%.json",
                "https://h.example:8/r/team/p2/%package%.json",
            ),
        ] {
            assert_eq!(address.complete(value), expected);
        }
        assert_eq!(
            address.file("/p$x.json").unwrap().as_str(),
            "https://h.example:8/r/team/p%24x.json"
        );
    }

    #[test]
    fn templates_are_filled() {
        let address = Address::new("https://h.example").unwrap();
        let template = Template::new(&address, "/p/%package%$%hash%.json").unwrap();
        let name = PackageName::parse("acme/lib").unwrap();
        assert_eq!(
            template.fill(&name, "~dev", "ab").unwrap().as_str(),
            "https://h.example/p/acme/lib~dev%24ab.json"
        );
        assert!(Template::new(&address, "/p/all.json").is_err());
    }
}
