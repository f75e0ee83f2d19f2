//! `GET /dist/{vendor}/{name}/{version}/{reference}.{extension}`.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use package_broker_core::{
    domain::{
        archive::{Archive, ArchiveFormat, ArchiveKey},
        names::PackageName,
    },
    ports::storage::Blob,
    services::token::Grant,
};

use super::super::{App, audit::Access, error::Problem, route::decoded};

/// The bytes under one address never change.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// An archive, streamed from storage.
pub(in super::super) async fn dist(
    app: &App,
    grant: &Grant,
    [vendor, package, version, file]: [&str; 4],
    access: &mut Access,
) -> Result<Response, Problem> {
    let (key, format) = address(
        &decoded(vendor)?,
        &decoded(package)?,
        decoded(version)?.into_owned(),
        &decoded(file)?,
    )?;
    access.package = Some(key.package.as_str().to_owned());
    access.version = Some(key.version.clone());
    let (archive, blob) = app.broker.dists.open(grant, &key, format).await?;
    access.repository = Some(archive.repository.clone());
    Ok(stream(&archive, blob))
}

fn address(
    vendor: &str,
    package: &str,
    version: String,
    file: &str,
) -> Result<(ArchiveKey, ArchiveFormat), Problem> {
    let package = PackageName::parse(&format!("{vendor}/{package}"))
        .map_err(|error| Problem::illegal_name(&error))?;
    let (reference, format) = ArchiveFormat::split_name(file).ok_or_else(|| {
        Problem::no_such_file(
            file,
            "archives are called REFERENCE.zip, .tar, .tar.gz, .tar.bz2 or .tar.xz",
        )
    })?;
    Ok((
        ArchiveKey {
            package,
            version,
            reference: reference.to_owned(),
        },
        format,
    ))
}

/// No content encoding, ever: an archive must arrive as the bytes that were hashed (protocol A.0, 9).
fn stream(archive: &Archive, blob: Blob) -> Response {
    let mut response = Response::new(Body::from_stream(blob.body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(archive.format.content_type()),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(blob.size));
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    let name = format!(
        "attachment; filename=\"{}-{}-{}{}\"",
        archive.key.package.vendor(),
        archive.key.package.short(),
        archive.key.version,
        archive.format.extension()
    );
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}
