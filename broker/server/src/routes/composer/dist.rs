//! `GET /dist/{vendor}/{name}/{version}/{reference}.{extension}`.

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use package_broker_core::{
    domain::{
        archive::{Archive, ArchiveFormat, ArchiveKey},
        names::PackageName,
    },
    ports::storage::{Link, Linked, StorageError},
    services::token::Grant,
};

use super::super::{App, audit::Access, error::Problem, route::decoded};

/// The bytes under one address never change.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// A link is for who asked, and for now.
const LINK_CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-store");

/// The bytes of an archive, as storage streams them.
type Archived = BoxStream<'static, Result<Bytes, StorageError>>;

/// An archive, streamed from storage; or a redirect to it there, if the installation wants that.
pub(in super::super) async fn dist(
    app: &App,
    grant: &Grant,
    method: &Method,
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
    if app.redirects() {
        let what = match *method {
            Method::HEAD => Linked::Head,
            _ => Linked::Bytes,
        };
        let link = app.broker.dists.link(grant, &key, format, what).await?;
        if let Some((archive, link)) = link
            && let Some(redirect) = redirect(&link)
        {
            access.repository = Some(archive.repository);
            return Ok(redirect);
        }
    }
    let (archive, blob) = app.broker.dists.open(grant, &key, format).await?;
    access.repository = Some(archive.repository.clone());
    let body = match *method {
        Method::HEAD => blob.body,
        _ => begun(blob.body)
            .await
            .map_err(|error| app.broker.dists.no_storage(&error))?,
    };
    Ok(answer(&archive, blob.size, body))
}

/// The same bytes, of which the first are there already: they are sent with the head. What fails until then is answered with
/// an error, and a balancer may ask another replica; after the head it could only break off.
async fn begun(mut body: Archived) -> Result<Archived, StorageError> {
    let first = body.try_next().await?;
    Ok(stream::iter(first.map(Ok)).chain(body).boxed())
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

/// Nothing if the link cannot be a header.
fn redirect(link: &Link) -> Option<Response> {
    let mut location = HeaderValue::from_str(link.expose()).ok()?;
    // Not for logs of the HTTP library, nor for its tables of what was sent before.
    location.set_sensitive(true);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, LINK_CACHE_CONTROL);
    Some(response)
}

/// No content encoding, ever: an archive must arrive as the bytes that were hashed (protocol A.0, 9).
fn answer(archive: &Archive, size: u64, body: Archived) -> Response {
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(archive.format.content_type()),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn archived(parts: Vec<Result<&'static str, StorageError>>) -> Archived {
        stream::iter(parts)
            .map_ok(|part| Bytes::from_static(part.as_bytes()))
            .boxed()
    }

    fn lost() -> StorageError {
        StorageError {
            action: "read a file",
            problem: "it is gone".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_fails_before_the_first_bytes_is_an_answer_of_its_own() {
        let failed = begun(archived(vec![Err(lost()), Ok("a")])).await;
        assert!(failed.is_err());
    }

    #[tokio::test]
    async fn all_bytes_follow_in_order() {
        let whole = begun(archived(vec![Ok("a"), Ok("b"), Ok("c")])).await;
        let parts: Vec<Bytes> = whole.unwrap().try_collect().await.unwrap();
        assert_eq!(parts.concat(), b"abc");
        let broken = begun(archived(vec![Ok("a"), Err(lost())])).await.unwrap();
        broken.try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(begun(archived(vec![])).await.unwrap().count().await, 0);
    }
}
