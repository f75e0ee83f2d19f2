//! What a sync left out, and why: kept with the package and shown to the user.

use serde::{Deserialize, Serialize};

/// A version or ref that could not be offered to clients. One such never stops the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The version, tag, branch or file as the source names it.
    pub version: String,
    /// The commit or upstream reference that was judged, so that the verdict holds until it moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why, in one sentence for the person who can mend it.
    pub reason: String,
}

impl Skipped {
    /// The most of these kept per package; a source with more is broken as a whole.
    pub const MAX_KEPT: usize = 200;

    /// A version left out for a reason.
    pub fn new(version: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            reference: None,
            reason: reason.into(),
        }
    }

    /// The same, with the reference that was judged.
    #[must_use]
    pub fn at(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }
}
