//! A Composer repository of static documents and zips, as Satis and the like publish them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

use crate::archive::zip_tree;
use crate::http::{HttpServer, Request, Response};
use crate::tree::PackageTree;

const LAST_MODIFIED: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

struct Document {
    content_type: &'static str,
    body: Vec<u8>,
}

type Documents = BTreeMap<String, Document>;

/// A running repository: `packages.json`, `p2/` with its `~dev` twins, and `dist/`, with
/// conditional requests.
pub struct StaticComposerRepository {
    server: HttpServer,
}

impl StaticComposerRepository {
    /// Serves `packages`; several versions of one name are listed in the order given, which
    /// should be newest first.
    pub fn start(packages: &[PackageTree]) -> Result<Self> {
        let documents = Arc::new(OnceLock::<Documents>::new());
        let server = HttpServer::start({
            let documents = Arc::clone(&documents);
            move |request| {
                documents
                    .get()
                    .map_or_else(Response::not_found, |all| answer(all, request))
            }
        })?;
        let rendered = render(packages, &server.url())?;
        documents.get_or_init(|| rendered);
        Ok(Self { server })
    }

    /// The URL for a `composer` repository.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The server behind it, for its log.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }
}

fn answer(documents: &Documents, request: &Request) -> Response {
    let Some(document) = documents.get(&request.path) else {
        return Response::not_found();
    };
    let response = if request.header("if-modified-since") == Some(LAST_MODIFIED) {
        Response::not_modified()
    } else {
        Response::new(200, document.content_type, document.body.clone())
    };
    response.with_header("Last-Modified", LAST_MODIFIED)
}

fn render(packages: &[PackageTree], url: &str) -> Result<Documents> {
    let mut documents = Documents::new();
    let mut versions: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for package in packages {
        let path = format!("/dist/{}-{}.zip", package.name, package.version);
        let zip = zip_tree(&package.path)?;
        let entry = version(package, &format!("{url}{path}"), &zip);
        versions
            .entry(&package.name)
            .or_default()
            .push(entry.into());
        documents.insert(
            path,
            Document {
                content_type: "application/zip",
                body: zip,
            },
        );
    }
    let root = json!({
        "packages": {},
        "metadata-url": "/p2/%package%.json",
        "available-packages": versions.keys().collect::<Vec<_>>(),
    });
    insert_json(&mut documents, "/packages.json".to_owned(), &root)?;
    for (name, versions) in versions {
        insert_json(
            &mut documents,
            format!("/p2/{name}.json"),
            &json!({"packages": {name: versions}}),
        )?;
        insert_json(
            &mut documents,
            format!("/p2/{name}~dev.json"),
            &json!({"packages": {name: []}}),
        )?;
    }
    Ok(documents)
}

fn version(package: &PackageTree, url: &str, zip: &[u8]) -> Map<String, Value> {
    let checksum = hex::encode(Sha1::digest(zip));
    let mut entry = package.composer.clone();
    entry.insert("version".into(), json!(package.version));
    entry.insert("time".into(), json!("2024-01-01T00:00:00+00:00"));
    entry.insert(
        "dist".into(),
        json!({"type": "zip", "url": url, "reference": checksum, "shasum": checksum}),
    );
    entry
}

fn insert_json(documents: &mut Documents, path: String, value: &Value) -> Result<()> {
    let body = serde_json::to_vec(value)?;
    documents.insert(
        path,
        Document {
            content_type: "application/json",
            body,
        },
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::get;

    #[test]
    fn documents_archives_and_conditional_requests() {
        let folder = tempfile::tempdir().unwrap();
        let tree = PackageTree::write(folder.path(), "acme/lib", "1.0.0", "Acme\\Lib", &json!({}));
        let repository = StaticComposerRepository::start(&[tree.unwrap()]).unwrap();
        let document = format!("{}/p2/acme/lib.json", repository.url());
        let answer = get(&document, &[]).unwrap();
        let dist = answer.json().unwrap()["packages"]["acme/lib"][0]["dist"].clone();
        let zip = get(dist["url"].as_str().unwrap(), &[]).unwrap().body;
        assert_eq!(dist["shasum"], hex::encode(Sha1::digest(&zip)));
        let again = get(&document, &[("If-Modified-Since", LAST_MODIFIED)]).unwrap();
        assert_eq!(again.status, 304);
        assert_eq!(repository.server().count("/p2/acme/lib.json"), 2);
    }
}
