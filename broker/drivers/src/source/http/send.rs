//! One request: through the guard at every hop, with credentials where they belong, tried again where that helps.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use http::{HeaderMap, Method, StatusCode, header::LOCATION};
use package_broker_core::{ports::source::SourceError, telemetry::TRACE};
use reqwest::Body;
use tracing::{Instrument, field::Empty};
use url::Url;

use super::{
    Fetcher, Reply,
    failure::{Again, Failure, invalid},
    hosts::Lane,
};
use crate::source::egress::shown;

/// A chain of redirects longer than this is a loop.
const MAX_REDIRECTS: usize = 10;

/// Our own pauses between tries; one try more than there are pauses.
const BACKOFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// A request before it is sent.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Option<Body>,
    pub(super) lane: Lane,
}

impl Fetcher {
    /// Sends a request and follows redirects. Credentials are added inside, at the repository's origin only.
    /// A `GET` is tried up to three times; other methods once, and they follow no redirect.
    ///
    /// Statuses 401, 403, 408, 423, 425, 429 and 5xx are errors; all others are the caller's to judge. A host that
    /// asked for a longer pause is not asked before it has passed.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] by the policy at any hop, [`SourceError::Denied`], [`SourceError::Unavailable`],
    /// and [`SourceError::Invalid`] for redirects that lead nowhere.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
        body: Option<Body>,
    ) -> Result<Reply, SourceError> {
        if method == Method::GET {
            return self.get(url, headers, Lane::Requests).await;
        }
        let outgoing = Outgoing {
            method,
            url,
            headers,
            body,
            lane: Lane::Requests,
        };
        self.attempt(outgoing)
            .await
            .map_err(|failure| failure.error)
    }

    /// A `GET`, tried up to three times.
    pub(super) async fn get(
        &self,
        url: &Url,
        headers: &HeaderMap,
        lane: Lane,
    ) -> Result<Reply, SourceError> {
        let mut tries = Tries::default();
        loop {
            let outgoing = Outgoing {
                method: Method::GET,
                url,
                headers,
                body: None,
                lane,
            };
            match self.attempt(outgoing).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => tries.pause(failure).await?,
            }
        }
    }

    /// One try, with all its redirects.
    pub(super) async fn attempt(&self, mut outgoing: Outgoing<'_>) -> Result<Reply, Failure> {
        let mut url = outgoing.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let span = tracing::info_span!(
                target: TRACE, "request", otel.name = %outgoing.method, otel.kind = "client",
                http.request.method = %outgoing.method, server.address = url.host_str(), url.path = url.path(),
                http.response.status_code = Empty, otel.status_code = Empty
            );
            let reply = self.hop(&mut outgoing, &url).instrument(span.clone()).await;
            match &reply {
                Ok(reply) => span.record("http.response.status_code", reply.status().as_u16()),
                Err(_) => span.record("otel.status_code", "ERROR"),
            };
            let reply = reply?;
            if !is_redirect(reply.status()) {
                return Ok(reply);
            }
            if outgoing.method != Method::GET {
                let problem = format!("a {} was answered with a redirect", outgoing.method);
                return Err(Failure::lasting(invalid(&url, problem)));
            }
            url = next_hop(&url, reply.header(LOCATION)).map_err(Failure::lasting)?;
            reply.discard().await;
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(Failure::lasting(invalid(outgoing.url, problem)))
    }

    /// One request and its answer.
    async fn hop(&self, outgoing: &mut Outgoing<'_>, url: &Url) -> Result<Reply, Failure> {
        if !matches!(url.scheme(), "http" | "https") {
            let reason = "only http and https URLs are fetched here".to_owned();
            return Err(Failure::lasting(SourceError::Forbidden {
                url: shown(url),
                reason,
            }));
        }
        self.network
            .policy
            .check_url(url)
            .map_err(Failure::lasting)?;
        let (client, home) = self.client_for(url).await.map_err(Failure::lasting)?;
        let mut request = client.request(outgoing.method.clone(), without_userinfo(url));
        request = request.headers(outgoing.headers.clone());
        if home {
            request = request.headers(self.login.headers.clone());
        }
        if let Some(body) = outgoing.body.take() {
            request = request.body(body);
        }
        let permit = self.network.hosts.enter(url, outgoing.lane).await;
        let permit = permit.map_err(|held| Failure::lasting(held.explain(shown(url))))?;
        let response = request
            .send()
            .await
            .map_err(|error| Failure::from_reqwest(url, &error))?;
        let reply = Reply::new(response, url.clone(), permit);
        let Some(failure) = Failure::from_status(url, reply.status(), reply.headers()) else {
            return Ok(reply);
        };
        if let Some(pause) = failure.error.retry_after() {
            reply.hold_back(pause);
        }
        reply.discard().await;
        Err(failure)
    }
}

/// A user name in a URL would become a credential of its own.
fn without_userinfo(url: &Url) -> Url {
    let mut bare = url.clone();
    // Fails only for URLs without a host, which the policy has refused.
    let _ = bare.set_username("");
    bare
}

/// Counts tries of one operation.
#[derive(Default)]
pub(super) struct Tries(usize);

impl Tries {
    /// Waits before the next try, if there is to be one.
    ///
    /// # Errors
    /// The failure's own error, if another try would not help or there were three.
    pub(super) async fn pause(&mut self, failure: Failure) -> Result<(), SourceError> {
        let pause = BACKOFF.get(self.0).copied();
        self.0 += 1;
        match (pause, failure.again) {
            (None, _) | (_, Again::No) => return Err(failure.error),
            // The host's gate makes the next try wait.
            (Some(_), Again::After(_)) => {}
            (Some(pause), Again::Backoff) => tokio::time::sleep(jittered(pause)).await,
        }
        Ok(())
    }
}

/// Between half of a pause and all of it, so that many that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let percent = u32::try_from(random % 51).unwrap_or(0) + 50;
    pause * percent / 100
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads. The policy judges it before it is asked.
fn next_hop(url: &Url, location: Option<&str>) -> Result<Url, SourceError> {
    let location =
        location.ok_or_else(|| invalid(url, "a redirect without a readable Location"))?;
    let mut next = url
        .join(location)
        .map_err(|_| invalid(url, "a redirect to something that is no URL"))?;
    if next.password().is_none() {
        // Never sent, so it must not come to light in an error either. Passwords are the policy's to refuse.
        next = without_userinfo(&next);
    }
    if url.scheme() == "https" && next.scheme() == "http" {
        let reason = "a redirect from https to plain http is not followed".to_owned();
        return Err(SourceError::Forbidden {
            url: shown(&next),
            reason,
        });
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_on_without_user_names() {
        let url: Url = "https://h.example/a/b".parse().unwrap();
        for (location, next) in [
            ("c?x=1", "https://h.example/a/c?x=1"),
            ("https://hush@o.example/c", "https://o.example/c"),
            // Left for the policy, which refuses it.
            ("https://u:p@o.example/c", "https://u:p@o.example/c"),
        ] {
            assert_eq!(next_hop(&url, Some(location)).unwrap().as_str(), next);
        }
        for location in [None, Some("http://h.example/c"), Some("https://")] {
            assert!(next_hop(&url, location).is_err(), "{location:?}");
        }
    }
}
