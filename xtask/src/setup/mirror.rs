//! The Debian mirror this machine is configured for: the only host we download packages from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// An archive as apt's sources describe it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    /// Base URL of the archive.
    pub(super) uri: String,
    /// Value of `Signed-By`, possibly of several lines.
    pub(super) signed_by: Option<String>,
}

/// Reads `/etc/apt/sources.list` and `/etc/apt/sources.list.d/` for the archive that carries
/// the suite this machine runs.
pub(super) fn find() -> Result<Mirror> {
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"'))
        .context("/etc/os-release has no VERSION_CODENAME: is this Debian?")?;
    source_files()
        .iter()
        .filter_map(|path| Some((path, fs::read_to_string(path).ok()?)))
        .find_map(|(path, text)| match path.extension()?.to_str()? {
            "sources" => from_stanzas(&text, suite),
            "list" => from_lines(&text, suite),
            _ => None,
        })
        .with_context(|| {
            format!("no archive for {suite} in /etc/apt/sources.list or sources.list.d")
        })
}

fn source_files() -> Vec<PathBuf> {
    let parts = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten();
    let mut files: Vec<PathBuf> = parts.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.insert(0, Path::new("/etc/apt/sources.list").to_owned());
    files
}

/// The deb822 format: stanzas of `Key: value`, continued on indented lines.
fn from_stanzas(text: &str, suite: &str) -> Option<Mirror> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| stanza_field(stanza, name);
        let carries = field("Suites")?
            .split_whitespace()
            .any(|word| word == suite);
        let enabled = field("Enabled").is_none_or(|value| value != "no");
        if !carries || !enabled {
            return None;
        }
        let uri = field("URIs")?.split_whitespace().next()?.to_owned();
        Some(Mirror {
            uri,
            signed_by: field("Signed-By"),
        })
    })
}

fn stanza_field(stanza: &str, name: &str) -> Option<String> {
    let mut lines = stanza.lines().filter(|line| !line.starts_with('#'));
    let first = lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })?;
    let more = lines.take_while(|line| line.starts_with([' ', '\t']));
    Some(more.fold(first, |value, line| format!("{value}\n{line}")))
}

/// The one-line format: `deb [options] URI SUITE COMPONENT…`.
fn from_lines(text: &str, suite: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let uri = words.next()?.to_owned();
        let signed_by = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned);
        (words.next()? == suite).then_some(Mirror { uri, signed_by })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_read() {
        let text = "Types: deb\nURIs: http://mirror.invalid/security\nSuites: bookworm-security\n\n\
                    # comment\nTypes: deb\nURIs: http://mirror.invalid/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /key.gpg\n";
        let expected = Mirror {
            uri: "http://mirror.invalid/debian".into(),
            signed_by: Some("/key.gpg".into()),
        };
        assert_eq!(from_stanzas(text, "bookworm"), Some(expected));
        assert_eq!(from_stanzas(text, "trixie"), None);
    }

    #[test]
    fn an_inline_key_keeps_its_lines() {
        let text =
            "Suites: x\nURIs: http://mirror.invalid\nSigned-By:\n -----BEGIN\n .\n abc\nTypes: deb";
        assert_eq!(
            from_stanzas(text, "x")
                .and_then(|mirror| mirror.signed_by)
                .as_deref(),
            Some("\n -----BEGIN\n .\n abc")
        );
    }

    #[test]
    fn lines_are_read() {
        let text = "# deb http://old.invalid bookworm main\n\
                    deb [arch=amd64 signed-by=/key.gpg] http://mirror.invalid/debian bookworm main\n";
        let expected = Mirror {
            uri: "http://mirror.invalid/debian".into(),
            signed_by: Some("/key.gpg".into()),
        };
        assert_eq!(from_lines(text, "bookworm"), Some(expected));
        assert_eq!(
            from_lines("deb http://mirror.invalid sid main", "bookworm"),
            None
        );
    }
}
