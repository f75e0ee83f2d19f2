//! How stable a version is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::is_branch;
use super::scan::{self, Keyword};

/// Composer's stabilities, least stable first (protocol A.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stability {
    /// A branch, or a version with a `-dev` suffix.
    #[serde(rename = "dev")]
    Dev,
    /// `-alpha`.
    #[serde(rename = "alpha")]
    Alpha,
    /// `-beta`.
    #[serde(rename = "beta")]
    Beta,
    /// `-RC`: a release candidate.
    RC,
    /// Everything else, patches among them.
    #[serde(rename = "stable")]
    Stable,
}

impl Stability {
    /// The stability of a version, normalised or not, as `VersionParser::parseStability`. Any text
    /// has one; a text that is no version at all is usually taken for stable.
    pub fn of(version: &str) -> Self {
        let unpinned = without_reference(version);
        let is_suffixed = unpinned.ends_with("-dev") && !version.ends_with('\n');
        if is_branch(version) || is_suffixed {
            return Self::Dev;
        }
        let line = scan::last_line(unpinned);
        let line = line
            .split_once('+')
            .map_or(line, |(version, _build)| version);
        let last = line
            .char_indices()
            .map(|(start, _)| scan::modifier(line, start))
            .find(|modifier| modifier.end == line.len());
        match last {
            Some(modifier) if modifier.dev => Self::Dev,
            Some(modifier) => modifier.keyword.map_or(Self::Stable, Self::from),
            None => Self::Stable,
        }
    }

    /// Composer's word for it, as in `minimum-stability`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::RC => "RC",
            Self::Stable => "stable",
        }
    }
}

impl From<Keyword> for Stability {
    fn from(keyword: Keyword) -> Self {
        match keyword {
            Keyword::Alpha => Self::Alpha,
            Keyword::Beta => Self::Beta,
            Keyword::Rc => Self::RC,
            Keyword::Stable | Keyword::Patch => Self::Stable,
        }
    }
}

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Drops `#reference`, which stands on the last line. A newline that ends the version stays behind
/// it in PHP, so that only the rest of that line counts.
fn without_reference(version: &str) -> &str {
    match scan::last_line(version).split_once('#') {
        Some((line, reference)) if !reference.is_empty() => {
            if version.ends_with('\n') {
                line
            } else {
                &version[..version.len() - reference.len() - 1]
            }
        }
        _ => version,
    }
}
