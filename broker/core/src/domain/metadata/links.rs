//! The parts of a version that other code has to understand: `dist` and `source`.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::fields::Raw;
use crate::domain::archive::{ArchiveFormat, reference_segment};

/// A version's `dist` as its source gave it (protocol A.12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dist {
    /// `zip`, `tar`, `xz`, … (protocol A.9).
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the source keeps it.
    pub url: String,
    /// An opaque id, a commit as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// SHA-1 of the bytes; empty means unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shasum: Option<String>,
}

impl Dist {
    /// The format we can serve it in, if any.
    pub fn format(&self) -> Option<ArchiveFormat> {
        ArchiveFormat::of_dist(&self.kind, &self.url)
    }

    /// The checksum the source promises, if it does.
    pub fn checksum(&self) -> Option<&str> {
        self.shasum.as_deref().filter(|sum| !sum.is_empty())
    }

    /// The last path segment of our URL for it, without extension.
    pub fn segment(&self) -> String {
        reference_segment(self.reference.as_deref(), &self.url)
    }
}

/// A version's `source` (protocol A.12): all three keys or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// `git`, `hg`, `svn`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where clients would clone from.
    pub url: String,
    /// The commit.
    pub reference: String,
}

impl SourceRef {
    /// Whether clients elsewhere can reach it, and without a credential in it.
    pub fn is_shareable(&self) -> bool {
        !holds_credential(&self.url)
            && !self.url.starts_with("file:")
            && !self.url.starts_with('/')
            && !self.url.starts_with('.')
    }
}

/// Whether a URL carries a password in its userinfo, or, over HTTP, anything at all: hosts take a token for a user.
fn holds_credential(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let http = scheme.to_ascii_lowercase().starts_with("http");
    authority
        .rsplit_once('@')
        .is_some_and(|(userinfo, _)| http || userinfo.contains(':'))
}

thread_local! {
    /// The last map of links found good on this thread. Neighbouring versions share theirs as a rule.
    static LAST_GOOD: RefCell<Vec<Raw>> = const { RefCell::new(Vec::new()) };
}

/// Whether a map of links was checked just before.
pub(super) fn known_good(links: &Raw) -> bool {
    LAST_GOOD.with_borrow(|known| known.iter().any(|good| good == links))
}

/// Remembers a map of links that passed.
pub(super) fn remember_good(links: &Raw) {
    const KEPT: usize = 8;
    LAST_GOOD.with_borrow_mut(|known| {
        if known.len() >= KEPT {
            known.remove(0);
        }
        known.push(links.clone());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_with_passwords_or_local_paths_stay_here() {
        let source = |url: &str| SourceRef {
            kind: "git".into(),
            url: url.into(),
            reference: "a".into(),
        };
        for (url, expected) in [
            ("https://git.example.com/acme/lib.git", true),
            ("git@git.example.com:acme/lib.git", true),
            ("ssh://git@git.example.com/acme/lib.git", true),
            ("https://user:pass@git.example.com/acme/lib.git", false),
            ("https://ghp_token@git.example.com/acme/lib.git", false),
            ("ssh://git:pass@git.example.com/acme/lib.git", false),
            ("file:///srv/lib.git", false),
            ("/srv/lib.git", false),
        ] {
            assert_eq!(source(url).is_shareable(), expected, "{url}");
        }
    }
}
