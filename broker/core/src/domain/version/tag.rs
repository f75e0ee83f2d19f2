//! Versions that come from tag names (protocol B.1, step 2).

use std::borrow::Cow;

use super::{NormalizedVersion, VersionError, normalize, scan};

/// Both forms of the version that a tag gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersion {
    /// For people and for `version`: the tag's text, `v1.2.3`.
    pub pretty: String,
    /// For comparisons and for `version_normalized`: `1.2.3.0`.
    pub normalized: NormalizedVersion,
}

/// Removes `release-` from a tag, wherever it stands, as Composer does.
pub fn strip_release_prefix(tag: &str) -> Cow<'_, str> {
    const PREFIX: &str = "release-";
    if tag.contains(PREFIX) {
        Cow::Owned(tag.replace(PREFIX, ""))
    } else {
        Cow::Borrowed(tag)
    }
}

/// The version that a tag stands for.
///
/// # Errors
/// [`VersionError::Invalid`] when the tag is no version, [`VersionError::DevTag`] when it names a
/// development version. Composer skips both.
pub fn tag_version(tag: &str) -> Result<TagVersion, VersionError> {
    let pretty = strip_release_prefix(tag);
    let normalized = normalize(&pretty)?;
    if without_dev(normalized.as_str()) != normalized.as_str() {
        return Err(VersionError::DevTag(tag.to_owned()));
    }
    Ok(TagVersion {
        pretty: pretty.into_owned(),
        normalized,
    })
}

impl TagVersion {
    /// The version of a composer.json that declares one itself: its text is kept (without a dev
    /// suffix), provided that it means the same version as the tag.
    ///
    /// # Errors
    /// [`VersionError::Invalid`] when the declared version is none, [`VersionError::TagMismatch`]
    /// when it is another than the tag's. Composer skips the tag in both cases.
    pub fn with_declared(&self, declared: &str) -> Result<Self, VersionError> {
        let normalized = normalize(declared)?;
        if without_dev(normalized.as_str()) != self.normalized.as_str() {
            return Err(VersionError::TagMismatch {
                tag: self.pretty.clone(),
                declared: declared.to_owned(),
            });
        }
        Ok(Self {
            pretty: without_dev_suffix(declared).to_owned(),
            normalized: self.normalized.clone(),
        })
    }
}

fn without_dev(version: &str) -> &str {
    let named = if scan::starts_with_ignore_case(version, 0, "dev-") {
        &version[4..]
    } else {
        version
    };
    without_dev_suffix(named)
}

fn without_dev_suffix(version: &str) -> &str {
    match version.len().checked_sub(3) {
        Some(at) if scan::starts_with_ignore_case(version, at, "dev") => {
            let numbers = &version[..at];
            numbers.strip_suffix(['.', '-']).unwrap_or(numbers)
        }
        _ => version,
    }
}
