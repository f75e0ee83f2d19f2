//! Where the archive of a version can be fetched (protocol A.9).

use md5::{Digest as _, Md5};
use package_broker_core::{
    domain::archive::is_hex,
    ports::source::{SourceError, WantedArchive},
};
use serde::Deserialize;
use url::Url;

use super::{address::is_absolute, lenient, root::Mirror};
use crate::source::egress::abridged;

/// What is read of a `dist`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Dist {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    url: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    reference: Option<String>,
    #[serde(deserialize_with = "lenient::items")]
    mirrors: Vec<Mirror>,
}

/// The places of an archive in the order clients try them: preferred mirrors, the last named first; `dist.url`; the
/// other mirrors. Mirrors of the repository replace those of the version.
///
/// Another reference than the version's own is found only where the URL takes one: by `%reference%`, or as the commit
/// in an address of the three large hosts, whose URLs clients rewrite as well.
pub(super) fn places(wanted: &WantedArchive, mirrors: &[Mirror]) -> Result<Vec<Url>, SourceError> {
    let dist: Dist = wanted.version.fields().read("dist").unwrap_or_default();
    let Some(url) = &dist.url else {
        return Err(gone(wanted, "the version has no dist"));
    };
    let mut texts: Vec<String> = own_place(wanted, &dist, url).into_iter().collect();
    let mirrors = if mirrors.is_empty() {
        &dist.mirrors
    } else {
        mirrors
    };
    for mirror in mirrors {
        let Some(template) = mirror.template() else {
            continue;
        };
        let Some(text) = fill(wanted, &dist, template) else {
            continue;
        };
        match (texts.contains(&text), mirror.preferred) {
            (true, _) => {}
            (false, true) => texts.insert(0, text),
            (false, false) => texts.push(text),
        }
    }
    if texts.is_empty() {
        return Err(gone(
            wanted,
            "its URL cannot name another commit than its own",
        ));
    }
    texts.iter().map(|text| absolute(wanted, text)).collect()
}

fn own_place(wanted: &WantedArchive, dist: &Dist, url: &str) -> Option<String> {
    fill(wanted, dist, url).or_else(|| {
        let (own, other) = (dist.reference.as_deref()?, wanted.reference.as_deref()?);
        rewritten(url, own, other)
    })
}

/// Fills the placeholders; `None` if a reference is wanted that the template does not take.
fn fill(wanted: &WantedArchive, dist: &Dist, template: &str) -> Option<String> {
    let reference = wanted.reference.as_deref().or(dist.reference.as_deref());
    if reference != dist.reference.as_deref() && !template.contains("%reference%") {
        return None;
    }
    if !template.contains('%') {
        return Some(template.to_owned());
    }
    let reference = match reference.unwrap_or_default() {
        "" => String::new(),
        text if is_hex(text) => text.to_owned(),
        text => md5_hex(text),
    };
    let version = wanted.version.normalized().as_str();
    let version = if version.contains('/') {
        md5_hex(version)
    } else {
        version.to_owned()
    };
    let filled = template
        .replace("%package%", wanted.package.as_str())
        .replace("%version%", &version)
        .replace("%prettyVersion%", &wanted.version.pretty())
        .replace("%reference%", &reference)
        .replace("%type%", dist.kind.as_deref().unwrap_or_default());
    Some(filled)
}

/// The address of another commit at a host whose archive URLs hold the commit.
fn rewritten(url: &str, own: &str, other: &str) -> Option<String> {
    let host = Url::parse(url).ok()?.host_str()?.to_owned();
    let known = [
        "api.github.com",
        "github.com",
        "www.github.com",
        "gitlab.com",
        "www.gitlab.com",
        "bitbucket.org",
        "www.bitbucket.org",
    ];
    let commit = |text: &str| text.len() == 40 && is_hex(text);
    if !known.contains(&host.as_str()) || !commit(own) || !commit(other) {
        return None;
    }
    let (before, after) = url.split_once(own)?;
    let whole = (before.ends_with('/') || before.ends_with("sha="))
        && (after.is_empty() || after.starts_with('/'));
    whole.then(|| format!("{before}{other}{after}"))
}

fn absolute(wanted: &WantedArchive, text: &str) -> Result<Url, SourceError> {
    let url = Url::parse(text).ok().filter(|_| is_absolute(text));
    url.ok_or_else(|| SourceError::Invalid {
        what: format!("{} {}", wanted.package, wanted.version.pretty()),
        problem: format!("its dist URL \"{}\" is not an absolute URL", abridged(text)),
    })
}

fn gone(wanted: &WantedArchive, problem: &str) -> SourceError {
    let what = format!(
        "the archive of {} {}",
        wanted.package,
        wanted.version.pretty()
    );
    SourceError::Gone {
        what,
        problem: problem.to_owned(),
    }
}

/// As clients shorten what does not fit into a path; no security rests on it.
fn md5_hex(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use package_broker_core::domain::{
        archive::ArchiveFormat, metadata::Version, names::PackageName,
    };

    use super::*;

    const OWN: &str = "0123456789012345678901234567890123456789";
    const OTHER: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

    fn wanted(version: &str, url: &str, reference: Option<&str>) -> WantedArchive {
        let package = PackageName::parse("acme/lib").unwrap();
        let text = format!(
            r#"{{"name":"acme/lib","version":"{version}","dist":{{"type":"zip","url":"{url}","reference":"{OWN}"}}}}"#
        );
        let version = Version::check(&package, serde_json::from_str(&text).unwrap()).unwrap();
        let reference = reference.map(str::to_owned);
        WantedArchive {
            package,
            version,
            reference,
            format: ArchiveFormat::Zip,
        }
    }

    fn texts(wanted: &WantedArchive, mirrors: &[Mirror]) -> Vec<String> {
        places(wanted, mirrors)
            .unwrap()
            .into_iter()
            .map(String::from)
            .collect()
    }

    fn mirror(url: &str, preferred: bool) -> Mirror {
        Mirror {
            url: Some(url.to_owned()),
            dist_url: None,
            preferred,
        }
    }

    #[test]
    fn mirrors_come_in_the_order_of_clients() {
        let wanted = wanted("v1.2", "https://h.example/lib.zip", None);
        let mirrors = [
            mirror("https://a.example/%package%/%version%.%type%", true),
            mirror("https://b.example/%prettyVersion%/%reference%", true),
            mirror("https://c.example/x", false),
            mirror("https://h.example/lib.zip", true),
        ];
        assert_eq!(
            texts(&wanted, &mirrors),
            [
                &format!("https://b.example/v1.2/{OWN}"),
                "https://a.example/acme/lib/1.2.0.0.zip",
                "https://h.example/lib.zip",
                "https://c.example/x",
            ]
        );
    }

    #[test]
    fn slashes_in_versions_and_odd_references_are_hashed() {
        let wanted = wanted(
            "dev-feature/x",
            "https://h.example/%version%/%reference%",
            Some("r/2"),
        );
        let expected = format!(
            "https://h.example/{}/{}",
            md5_hex("dev-feature/x"),
            md5_hex("r/2")
        );
        assert_eq!(texts(&wanted, &[]), [expected]);
    }

    #[test]
    fn another_commit_needs_a_url_that_takes_one() {
        let fixed = wanted("dev-main", "https://h.example/main.zip", Some(OTHER));
        assert!(matches!(places(&fixed, &[]), Err(SourceError::Gone { .. })));
        let by_mirror = texts(
            &fixed,
            &[mirror("https://m.example/%reference%.zip", false)],
        );
        assert_eq!(by_mirror, [format!("https://m.example/{OTHER}.zip")]);
        let hosted = wanted(
            "dev-main",
            &format!("https://api.github.com/repos/a/l/zipball/{OWN}"),
            Some(OTHER),
        );
        assert_eq!(
            texts(&hosted, &[]),
            [format!("https://api.github.com/repos/a/l/zipball/{OTHER}")]
        );
        let same = wanted("dev-main", "https://h.example/main.zip", Some(OWN));
        assert_eq!(texts(&same, &[]), ["https://h.example/main.zip"]);
    }

    #[test]
    fn relative_urls_are_refused() {
        for url in ["/dist/x.zip", "dist/x.zip", "//h.example/x.zip", "C:/x.zip"] {
            let error = places(&wanted("1.0", url, None), &[]).unwrap_err();
            assert!(
                error.to_string().contains("not an absolute URL"),
                "{url}: {error}"
            );
        }
    }
}
