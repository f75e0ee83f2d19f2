//! Serving under the path of `externalUrl` too, so that a proxy may strip that path or leave it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use axum::http::{Request, Uri, uri::PathAndQuery};
use package_broker_core::services::catalog::Catalog;
use tower::{Layer, Service};

/// Makes [`WithoutPrefix`] services.
pub(crate) struct StripPrefix(pub(crate) Arc<Catalog>);

impl<S> Layer<S> for StripPrefix {
    type Service = WithoutPrefix<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithoutPrefix {
            catalog: Arc::clone(&self.0),
            inner,
        }
    }
}

/// Takes the path of `externalUrl` off the path of a request that begins with it.
#[derive(Clone)]
pub(crate) struct WithoutPrefix<S> {
    catalog: Arc<Catalog>,
    inner: S,
}

impl<S, B> Service<Request<B>> for WithoutPrefix<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let installation = self.catalog.installation();
        let prefix = path_of(installation.urls().base());
        if !prefix.is_empty()
            && let Some(stripped) = without(request.uri(), prefix)
        {
            *request.uri_mut() = stripped;
        }
        self.inner.call(request)
    }
}

/// The path of a URL without a slash at its end: empty as a rule.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/')
        .and_then(|at| rest.get(at..))
        .unwrap_or_default()
}

fn without(uri: &Uri, prefix: &str) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(prefix)?;
    if !rest.starts_with('/') {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_are_taken_off() {
        assert_eq!(path_of("https://h/r/team"), "/r/team");
        assert_eq!(path_of("https://h"), "");
        let strip = |uri: &'static str| {
            without(&Uri::from_static(uri), "/r/team").map(|uri| uri.to_string())
        };
        assert_eq!(
            strip("/r/team/packages.json?x=1"),
            Some("/packages.json?x=1".to_owned())
        );
        assert_eq!(strip("/r/teammate/packages.json"), None);
        assert_eq!(strip("/packages.json"), None);
    }
}
