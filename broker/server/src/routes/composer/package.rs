//! `GET /p2/{vendor}/{name}.json` and `GET /p2/{vendor}/{name}~dev.json`.

use axum::{http::HeaderMap, response::Response};
use package_broker_core::{
    domain::{
        metadata::{Channel, document},
        names::PackageName,
    },
    services::{package::Answer, token::Grant},
};

use super::super::{
    App,
    audit::Access,
    conditional::{self, not_modified},
    encoding::Coding,
    error::Problem,
    route::decoded,
};

/// The versions of a package as the asker may see them.
pub(in super::super) async fn package(
    app: &App,
    grant: &Grant,
    headers: &HeaderMap,
    [vendor, file]: [&str; 2],
    access: &mut Access,
) -> Result<Response, Problem> {
    let (vendor, file) = (decoded(vendor)?, decoded(file)?);
    let (name, channel) = package_file(&vendor, &file).ok_or_else(|| {
        Problem::no_such_file(&file, "package files are called NAME.json or NAME~dev.json")
    })?;
    let name = &*access.package.insert(name);
    let (coding, since) = (Coding::accepted(headers), conditional::since(headers));
    match app
        .broker
        .packages
        .document(grant, name, channel, coding.stored(), since)
        .await?
    {
        Answer::Unchanged { dated, entry } => {
            access.entry = Some(entry);
            Ok(not_modified(&dated))
        }
        Answer::Document {
            dated,
            bytes,
            entry,
        } => {
            access.entry = Some(entry);
            let bytes = coding.unpack(bytes).await?;
            Ok(conditional::document(&dated, coding, bytes))
        }
        Answer::Empty { dated } if dated.is(since) => Ok(not_modified(&dated)),
        Answer::Empty { dated } => {
            access.empty = true;
            let bytes = document::empty(name).into();
            Ok(conditional::document(&dated, Coding::Identity, bytes))
        }
        Answer::Missing => Err(missing(name)),
    }
}

/// Which legal names there are for others does not show: they are all missing in the same way.
fn missing(name: &str) -> Problem {
    match PackageName::parse(name) {
        Ok(_) => Problem::not_found(),
        Err(error) => Problem::illegal_name(&error),
    }
}

/// The lower-case name and the channel that a path names.
fn package_file(vendor: &str, file: &str) -> Option<(String, Channel)> {
    let stem = file.strip_suffix(".json")?;
    let (short, channel) = match stem.strip_suffix("~dev") {
        Some(short) => (short, Channel::Dev),
        None => (stem, Channel::Stable),
    };
    let mut name = String::with_capacity(vendor.len() + 1 + short.len());
    name.push_str(vendor);
    name.push('/');
    name.push_str(short);
    name.make_ascii_lowercase();
    Some((name, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_packages_and_channels() {
        assert_eq!(
            package_file("acme", "lib.json"),
            Some(("acme/lib".into(), Channel::Stable))
        );
        assert_eq!(
            package_file("Acme", "Lib~dev.json"),
            Some(("acme/lib".into(), Channel::Dev))
        );
        assert_eq!(package_file("acme", "lib"), None);
    }
}
