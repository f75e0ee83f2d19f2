//! A package file as clients fetch it: minified, with every archive behind our own address.

use serde::Serialize;

use super::{
    fields::{Fields, Raw},
    minify::minify,
    package::{Channel, PackageVersions, Version},
};
use crate::domain::{
    archive::{is_hex, url_segment},
    names::PackageName,
};

/// Where archives are served from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistUrls {
    base: Box<str>,
    /// Where the path begins in it: at its end if there is none.
    path: usize,
}

impl DistUrls {
    /// From the public URL, with or without a slash at its end (protocol A.0, 2: always absolute).
    pub fn new(external_url: &str) -> Self {
        let base = external_url.trim_end_matches('/');
        let host = base.find("://").map_or(0, |at| at + "://".len());
        let rest = base.get(host..).unwrap_or_default();
        let path = rest.find('/').map_or(base.len(), |at| host + at);
        Self {
            base: base.into(),
            path,
        }
    }

    /// The public URL without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The path of the public URL, `/team` for instance; empty if it has none.
    pub fn path(&self) -> &str {
        self.base.get(self.path..).unwrap_or_default()
    }

    /// The address of a version's archive; `None` if it has none that we can serve.
    ///
    /// Branches carry `%reference%`, so that `dev-main#<sha>` reaches the commit it names (protocol A.9).
    pub fn of(&self, package: &PackageName, version: &Version) -> Option<String> {
        let dist = version.dist()?;
        let format = dist.format()?;
        let moving =
            version.channel() == Channel::Dev && dist.reference.as_deref().is_some_and(is_hex);
        let reference = if moving {
            "%reference%".to_owned()
        } else {
            dist.segment()
        };
        let segment = url_segment(version.normalized().as_str());
        Some(format!(
            "{}/dist/{package}/{segment}/{reference}{}",
            self.base,
            format.extension()
        ))
    }
}

/// A document ready to be compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The JSON text.
    pub json: Vec<u8>,
}

/// The order and names of the body's keys.
#[derive(Serialize)]
struct Body<'a> {
    minified: &'static str,
    packages: std::collections::BTreeMap<&'a str, Vec<Fields>>,
}

/// The `dist` we write, in the order of protocol A.18.
#[derive(Serialize)]
struct ServedDist<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    shasum: &'a str,
}

/// Renders one channel of a package. `checksum` gives the SHA-1 of an archive we already store: those bytes are what
/// is served, whatever its source says of them by now (protocol A.0, 6).
pub fn render(
    package: &PackageName,
    versions: &PackageVersions,
    channel: Channel,
    urls: &DistUrls,
    checksum: &dyn Fn(&Version) -> Option<String>,
) -> Rendered {
    let entries: Vec<Fields> = versions
        .channel(channel)
        .map(|version| served(package, version, urls, checksum))
        .collect();
    let minified = minify(&entries.iter().collect::<Vec<_>>());
    let body = Body {
        minified: "composer/2.0",
        packages: [(package.as_str(), minified)].into(),
    };
    Rendered {
        json: serde_json::to_vec(&body).unwrap_or_default(),
    }
}

/// The document of a name that is ours and has nothing for the asker (protocol A.0, 4).
pub fn empty(package: &str) -> Vec<u8> {
    let body = Body {
        minified: "composer/2.0",
        packages: [(package, Vec::new())].into(),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

fn served(
    package: &PackageName,
    version: &Version,
    urls: &DistUrls,
    checksum: &dyn Fn(&Version) -> Option<String>,
) -> Fields {
    let mut fields = version.fields().clone();
    if version
        .source()
        .is_some_and(|source| !source.is_shareable())
    {
        fields.remove("source");
    }
    match (version.dist(), urls.of(package, version)) {
        (Some(dist), Some(url)) => {
            let shasum = checksum(version)
                .as_deref()
                .or(dist.checksum())
                .unwrap_or_default()
                .to_ascii_lowercase();
            let served = ServedDist {
                kind: &dist.kind,
                url,
                reference: dist.reference.as_deref(),
                shasum: &shasum,
            };
            fields.set("dist", Raw::of(&served));
        }
        _ => fields.remove("dist"),
    }
    fields
}
