//! What hosts for git add to git itself: how they take tokens, and where people see code and issues.
//!
//! Of their APIs nothing is asked: these count requests and want other rights than git does, and git has all that makes a
//! version.

use std::collections::BTreeMap;

use package_broker_core::domain::{
    metadata::{Fields, Raw},
    repository::{Credentials, SourceKind},
};
use secrecy::SecretSlice;
use serde_json::Value;
use url::Url;

use super::address::Address;

/// What kind of host a repository is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    GitHub,
    GitLab,
    Bitbucket,
}

impl Kind {
    /// The host that a repository says it is on; nothing for git anywhere.
    pub(super) fn of(kind: SourceKind) -> Option<Self> {
        match kind {
            SourceKind::GitHub => Some(Self::GitHub),
            SourceKind::GitLab => Some(Self::GitLab),
            SourceKind::Bitbucket => Some(Self::Bitbucket),
            SourceKind::Git | SourceKind::Composer | SourceKind::Artifact => None,
        }
    }

    /// The name that git presents a token under, as its password: none of these hosts takes a Bearer for git.
    fn token_user(self) -> &'static str {
        match self {
            Self::GitHub => "x-access-token",
            Self::GitLab => "oauth2",
            Self::Bitbucket => "x-token-auth",
        }
    }

    /// The credentials as this host takes them.
    pub(super) fn login(self, credentials: &Credentials) -> Credentials {
        let Some(token) = credentials.text("token") else {
            return credentials.clone();
        };
        let secret = |text: &str| SecretSlice::from(text.as_bytes().to_vec());
        let mut login: BTreeMap<String, SecretSlice<u8>> = credentials.to_map();
        login.remove("token");
        login.insert("username".to_owned(), secret(self.token_user()));
        login.insert("password".to_owned(), secret(token));
        Credentials::new(login)
    }
}

/// The pages of a repository on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pages {
    kind: Kind,
    /// Without a slash at its end.
    page: String,
}

impl Pages {
    /// Those of a repository at this address; nothing for one in a local folder.
    pub(super) fn of(kind: Kind, address: &Address) -> Option<Self> {
        let (host, path) = match address {
            Address::Http(url) => (url.origin().ascii_serialization(), url.path()),
            Address::Ssh(ssh) if ssh.host.contains(':') => {
                (format!("https://[{}]", ssh.host), &*ssh.path)
            }
            Address::Ssh(ssh) => (format!("https://{}", ssh.host), &*ssh.path),
            Address::Local(_) => return None,
        };
        let path = path.trim_matches('/');
        let page = format!("{host}/{}", path.strip_suffix(".git").unwrap_or(path));
        // What people see must be a URL, whatever ssh was given.
        Url::parse(&page).ok()?;
        Some(Self { kind, page })
    }

    /// Adds to `support` what Composer's own drivers add, where the author says nothing (protocol B.1, 5): the code of
    /// this version, by its tag if it has one, and the place for issues.
    pub(super) fn add_support(&self, fields: &mut Fields, tag: Option<&str>, commit: &str) {
        let mut support = match fields.get("support").map(Raw::read::<Value>) {
            None => serde_json::Map::new(),
            Some(Some(Value::Object(support))) => support,
            // Not for us to mend.
            Some(_) => return,
        };
        let (page, at) = (&self.page, encoded(tag.unwrap_or(commit)));
        let (source, issues) = match self.kind {
            Kind::GitHub => (format!("{page}/tree/{at}"), format!("{page}/issues")),
            Kind::GitLab => (format!("{page}/-/tree/{at}"), format!("{page}/-/issues")),
            Kind::Bitbucket => (format!("{page}/src/{at}"), format!("{page}/issues")),
        };
        for (key, link) in [("source", source), ("issues", issues)] {
            support.entry(key).or_insert(link.into());
        }
        fields.set("support", Raw::of(&support));
    }
}

/// The name of a tag as a part of a URL; slashes stay, as they are parts of names.
fn encoded(tag: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(tag, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::egress::EgressPolicy;

    fn pages(kind: Kind, url: &str) -> Option<Pages> {
        let policy = EgressPolicy {
            allow_file: true,
            ..EgressPolicy::default()
        };
        Pages::of(kind, &Address::parse(url, &policy).unwrap())
    }

    fn support(kind: Kind, url: &str, declared: &Value) -> Value {
        let mut fields: Fields = serde_json::from_value(declared.clone()).unwrap();
        pages(kind, url)
            .unwrap()
            .add_support(&mut fields, Some("lib/1 a"), "c0ffee");
        fields.read("support").unwrap()
    }

    #[test]
    fn links_lead_to_the_pages_of_the_host() {
        for (kind, url, source, issues) in [
            (
                Kind::GitHub,
                "https://github.com/acme/lib.git",
                "https://github.com/acme/lib/tree/lib/1%20a",
                "https://github.com/acme/lib/issues",
            ),
            (
                Kind::GitHub,
                "git@github.example.com:acme/lib.git",
                "https://github.example.com/acme/lib/tree/lib/1%20a",
                "https://github.example.com/acme/lib/issues",
            ),
            (
                Kind::GitLab,
                "https://gitlab.example.com:8443/a/b/lib/",
                "https://gitlab.example.com:8443/a/b/lib/-/tree/lib/1%20a",
                "https://gitlab.example.com:8443/a/b/lib/-/issues",
            ),
            (
                Kind::Bitbucket,
                "https://bitbucket.org/acme/lib",
                "https://bitbucket.org/acme/lib/src/lib/1%20a",
                "https://bitbucket.org/acme/lib/issues",
            ),
        ] {
            let found = support(kind, url, &json!({}));
            assert_eq!(found, json!({"source": source, "issues": issues}), "{url}");
        }
        assert_eq!(pages(Kind::GitHub, "file:///srv/lib.git"), None);
    }

    #[test]
    fn what_the_author_says_stays() {
        let url = "https://github.com/acme/lib";
        let said = json!({"support": {"issues": "https://bugs.example.com", "docs": "https://d.example.com"}});
        let found = support(Kind::GitHub, url, &said);
        assert_eq!(found["issues"], "https://bugs.example.com");
        assert_eq!(found["docs"], "https://d.example.com");
        assert_eq!(
            found["source"],
            "https://github.com/acme/lib/tree/lib/1%20a"
        );
        assert_eq!(support(Kind::GitHub, url, &json!({"support": "me"})), "me");
    }

    #[test]
    fn tokens_are_sent_as_hosts_take_them_for_git() {
        let secret = |text: &str| SecretSlice::from(text.as_bytes().to_vec());
        let given = Credentials::new(
            [
                ("token".to_owned(), secret("hush\n")),
                ("ca.crt".to_owned(), secret("PEM")),
            ]
            .into(),
        );
        for (kind, user) in [
            (Kind::GitHub, "x-access-token"),
            (Kind::GitLab, "oauth2"),
            (Kind::Bitbucket, "x-token-auth"),
        ] {
            let login = kind.login(&given);
            let text = |key| login.text(key);
            assert_eq!(text("username"), Some(user));
            assert_eq!(text("password"), Some("hush"));
            assert_eq!((text("token"), text("ca.crt")), (None, Some("PEM")));
        }
        let basic = Credentials::new([("username".to_owned(), secret("me"))].into());
        assert!(Kind::GitHub.login(&basic).same_as(&basic));
    }
}
