//! The root file `packages.json` (protocol A.2).

use serde::Serialize;

use super::outline::Outline;
use crate::domain::{names::PackageName, patterns::NamePattern};

/// A pattern that no legal name matches: says "nothing at all", which an empty list does not (protocol A.2).
const NOTHING: &str = "-/-";

/// The keys of the root file, in the order of protocol A.18.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Body<'a> {
    packages: [(); 0],
    metadata_url: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    available_packages: &'a [PackageName],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    available_package_patterns: Vec<&'a str>,
    search: String,
    list: String,
    notify_batch: String,
    warning: &'static str,
    warning_versions: &'static str,
}

/// The root file of a view, with every URL below `base`.
pub(super) fn render(base: &str, outline: &Outline) -> Vec<u8> {
    let (names, mut patterns): (&[PackageName], Vec<&str>) = if outline.open {
        (&[], Vec::new())
    } else {
        (
            &outline.names,
            outline.patterns.iter().map(NamePattern::as_str).collect(),
        )
    };
    if !outline.open && names.is_empty() && patterns.is_empty() {
        patterns.push(NOTHING);
    }
    let body = Body {
        packages: [],
        metadata_url: format!("{base}/p2/%package%.json"),
        available_packages: names,
        available_package_patterns: patterns,
        search: format!("{base}/search.json?q=%query%&type=%type%"),
        list: format!("{base}/list.json"),
        notify_batch: format!("{base}/notify-batch"),
        warning: "Composer 1 is not served here: install Composer 2.",
        warning_versions: "<1.99",
    };
    serde_json::to_vec(&body).unwrap_or_default()
}
