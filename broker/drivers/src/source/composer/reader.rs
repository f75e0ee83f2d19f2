//! Reads one package by the scheme of its repository (protocol A.2, A.3).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use futures::future::try_join;
use package_broker_core::{
    domain::names::PackageName,
    ports::source::{Found, Known, PackageReader, Reading, SourceError},
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    address::{Address, Template},
    contents::digest_of,
    document::{PackageFile, inline_versions},
    fetch::{Fetched, Seen, fetch, off_thread, parse, verify},
    files::{File, Files},
    listing::Claims,
    root::Keys,
};
use crate::source::{egress::shown, http::Fetcher};

/// Where packages are that are not inline.
enum Scheme {
    /// `metadata-url`: tagged versions, and branches under `~dev`.
    Twins(Template),
    /// `providers-lazy-url`: one file with all versions.
    Single(Template),
    /// `providers-url`: one file with its hash in the address.
    Hashed(Template, BTreeMap<PackageName, String>),
    /// There are no others.
    Inline,
}

/// Reads the packages of one survey.
pub(super) struct Reader {
    fetcher: Arc<Fetcher>,
    address: Address,
    scheme: Scheme,
    claims: Claims,
    files: Vec<File>,
    /// The files that hold a name inline.
    inline: HashMap<PackageName, Vec<usize>>,
}

/// What the two documents of a package were recognised by. A twin that was not there is `None`.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct TwinsSeen {
    #[serde(rename = "s", default)]
    stable: Option<Seen>,
    #[serde(rename = "d", default)]
    dev: Option<Seen>,
}

impl Reader {
    /// A reader over the files of a survey.
    pub(super) fn new(
        fetcher: Arc<Fetcher>,
        address: Address,
        files: Files,
    ) -> Result<Self, SourceError> {
        let mut inline: HashMap<PackageName, Vec<usize>> = HashMap::new();
        for (at, file) in files.list.iter().enumerate() {
            for name in file.packages().keys() {
                inline.entry(name.clone()).or_default().push(at);
            }
        }
        let scheme = scheme(&address, &files.keys, &files.list)?;
        Ok(Self {
            fetcher,
            address,
            scheme,
            claims: Claims::new(&files.keys),
            files: files.list,
            inline,
        })
    }

    /// Inline packages win over files of their own. As with those, one that is malformed is an error, so that what was
    /// read last stays.
    async fn read_inline(
        &self,
        name: &PackageName,
        at: &[usize],
        known: &Known,
    ) -> Result<Reading, SourceError> {
        let files: Vec<&File> = at.iter().filter_map(|at| self.files.get(*at)).collect();
        let digests: Vec<&str> = files
            .iter()
            .filter_map(|file| file.packages().get(name))
            .map(String::as_str)
            .collect();
        if known.validator.as_deref() == Some(digests.join(",").as_str()) {
            return Ok(Reading::Unchanged);
        }
        let mut found = Found {
            versions: Vec::new(),
            skipped: Vec::new(),
            validator: None,
        };
        let mut digests = Vec::new();
        for file in files {
            let raws = file.package(name, &self.fetcher, &self.address).await?;
            digests.push(digest_of(raws));
            for raw in raws {
                let (raw, size) = (raw.clone(), raw.text().len());
                let parsed =
                    off_thread(self.address.root(), size, move || inline_versions(&raw)).await?;
                let (versions, skipped) = parsed.map_err(|error| SourceError::Invalid {
                    what: file.shown(&self.address),
                    problem: format!("the package {name} in it is not what was expected: {error}"),
                })?;
                found.versions.extend(versions);
                found.skipped.extend(skipped);
            }
        }
        found.validator = Some(digests.join(","));
        Ok(Reading::Found(found))
    }

    async fn read_twins(
        &self,
        template: &Template,
        name: &PackageName,
        known: &Known,
    ) -> Result<Reading, SourceError> {
        let stable = template.fill(name, "", "")?;
        let dev = template.fill(name, "~dev", "")?;
        let seen: Option<TwinsSeen> = known
            .validator
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        let stable_seen = seen.as_ref().and_then(|seen| seen.stable.as_ref());
        let dev_seen = seen.as_ref().and_then(|seen| seen.dev.as_ref());
        let (stable_now, dev_now) = try_join(
            fetch(&self.fetcher, &stable, stable_seen),
            fetch(&self.fetcher, &dev, dev_seen),
        )
        .await?;
        if seen.is_some() && is_same(&stable_now, stable_seen) && is_same(&dev_now, dev_seen) {
            return Ok(Reading::Unchanged);
        }
        // One twin changed. The other is fetched as well: which document a version of the last sync came from is not
        // always told by its stability, and an empty answer of the database must not look like "no branches".
        let (stable_now, dev_now) =
            try_join(self.whole(&stable, stable_now), self.whole(&dev, dev_now)).await?;
        let (stable_file, stable_seen) = self.twin(&stable, name, stable_now).await?;
        let (dev_file, dev_seen) = self.twin(&dev, name, dev_now).await?;
        if !stable_file.present && !dev_file.present {
            return Ok(Reading::Absent);
        }
        let PackageFile {
            mut versions,
            mut skipped,
            ..
        } = stable_file;
        versions.extend(dev_file.versions);
        skipped.extend(dev_file.skipped);
        let validator = encode(&TwinsSeen {
            stable: stable_seen,
            dev: dev_seen,
        });
        Ok(Reading::Found(Found {
            versions,
            skipped,
            validator,
        }))
    }

    /// The body, also of a document that did not change.
    async fn whole(&self, url: &Url, fetched: Fetched) -> Result<Fetched, SourceError> {
        match fetched {
            Fetched::Same => fetch(&self.fetcher, url, None).await,
            other => Ok(other),
        }
    }

    async fn twin(
        &self,
        url: &Url,
        name: &PackageName,
        fetched: Fetched,
    ) -> Result<(PackageFile, Option<Seen>), SourceError> {
        let Fetched::Body(bytes, seen) = fetched else {
            return Ok((PackageFile::default(), None));
        };
        let name = name.clone();
        let file = parse(url, bytes, move |bytes| PackageFile::parse(bytes, &name)).await?;
        Ok((file, Some(seen)))
    }

    async fn read_single(
        &self,
        template: &Template,
        name: &PackageName,
        known: &Known,
    ) -> Result<Reading, SourceError> {
        let url = template.fill(name, "", "")?;
        let seen: Option<Seen> = known
            .validator
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        match fetch(&self.fetcher, &url, seen.as_ref()).await? {
            Fetched::Same => Ok(Reading::Unchanged),
            Fetched::Missing => Ok(Reading::Absent),
            body @ Fetched::Body(..) => {
                let (file, seen) = self.twin(&url, name, body).await?;
                Ok(reading(file, seen.as_ref().and_then(encode)))
            }
        }
    }

    async fn read_hashed(
        &self,
        template: &Template,
        name: &PackageName,
        hash: &str,
        known: &Known,
    ) -> Result<Reading, SourceError> {
        if known.validator.as_deref() == Some(hash) {
            return Ok(Reading::Unchanged);
        }
        let url = template.fill(name, "", hash)?;
        let Fetched::Body(bytes, _) = fetch(&self.fetcher, &url, None).await? else {
            // Its index still names it: it was replaced between the two requests, or an upload is not finished.
            return Err(SourceError::Unavailable {
                what: shown(&url),
                problem: "the repository's index names this file, but it is not there".to_owned(),
                retry_after: None,
            });
        };
        verify(&url, &bytes, hash).await?;
        let wanted = name.clone();
        let file = parse(&url, bytes, move |bytes| PackageFile::parse(bytes, &wanted)).await?;
        Ok(reading(file, Some(hash.to_owned())))
    }
}

#[async_trait]
impl PackageReader for Reader {
    async fn read(&self, name: &PackageName, known: &Known) -> Result<Reading, SourceError> {
        if let Some(at) = self.inline.get(name) {
            return self.read_inline(name, at, known).await;
        }
        match &self.scheme {
            Scheme::Hashed(template, hashes) => match hashes.get(name) {
                Some(hash) => self.read_hashed(template, name, hash, known).await,
                None => Ok(Reading::Absent),
            },
            Scheme::Twins(template) if self.claims.may_have(name) => {
                self.read_twins(template, name, known).await
            }
            Scheme::Single(template) if self.claims.may_have(name) => {
                self.read_single(template, name, known).await
            }
            Scheme::Twins(_) | Scheme::Single(_) | Scheme::Inline => Ok(Reading::Absent),
        }
    }
}

fn scheme(address: &Address, keys: &Keys, files: &[File]) -> Result<Scheme, SourceError> {
    if let Some(url) = &keys.metadata_url {
        return Template::new(address, url).map(Scheme::Twins);
    }
    if let Some(url) = &keys.lazy_url {
        return Template::new(address, url).map(Scheme::Single);
    }
    let Some(url) = &keys.providers_url else {
        return Ok(Scheme::Inline);
    };
    let mut hashes = BTreeMap::new();
    for file in files {
        hashes.extend(
            file.providers()
                .iter()
                .map(|(name, hash)| (name.clone(), hash.clone())),
        );
    }
    Template::new(address, url).map(|template| Scheme::Hashed(template, hashes))
}

/// Whether a document is as it was, which for one that was missing means to be missing still.
fn is_same(fetched: &Fetched, seen: Option<&Seen>) -> bool {
    match fetched {
        Fetched::Same => true,
        Fetched::Missing => seen.is_none(),
        Fetched::Body(..) => false,
    }
}

/// A file without the name counts as "no such package".
fn reading(file: PackageFile, validator: Option<String>) -> Reading {
    if file.present {
        Reading::Found(Found {
            versions: file.versions,
            skipped: file.skipped,
            validator,
        })
    } else {
        Reading::Absent
    }
}

fn encode<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}
