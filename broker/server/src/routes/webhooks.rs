//! `POST /webhooks/{repository}`: the host of a source says that something was pushed there.
//!
//! GitHub, Bitbucket, Gitea and Forgejo sign what they send; GitLab sends the secret itself. What is in a call is not
//! looked at: whoever can prove a call has the whole repository synced, which reads what has changed.

use std::{net::IpAddr, time::Instant};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use package_broker_core::{
    domain::{
        names::RepositoryName,
        webhook::{Signature, WebhookSecret},
    },
    ports::database::DatabaseError,
};

use super::{
    App,
    audit::Access,
    auth,
    error::{JSON, Problem},
    request::Bound,
    route::decoded,
};

/// GitHub sends at most as much.
const BODY: Bound = Bound {
    most: 25 << 20,
    what: "a call",
};

/// Headers with a signature in hexadecimal digits, after `sha256=` in the first two.
const SIGNATURES: [HeaderName; 4] = [
    HeaderName::from_static("x-hub-signature-256"),
    HeaderName::from_static("x-hub-signature"),
    HeaderName::from_static("x-gitea-signature"),
    HeaderName::from_static("x-forgejo-signature"),
];
const SIGNED_WITH: &str = "sha256=";
const GITLAB_TOKEN: HeaderName = HeaderName::from_static("x-gitlab-token");
/// Says what happened. A `ping` only tries whether the call gets through.
const EVENTS: [HeaderName; 3] = [
    HeaderName::from_static("x-github-event"),
    HeaderName::from_static("x-gitea-event"),
    HeaderName::from_static("x-forgejo-event"),
];

/// Has a repository synced, if the call is proven.
///
/// # Errors
/// 403 if it is not, or there is no such webhook, which looks the same; 413 if it is too large; 503 if the request
/// cannot be kept.
pub(super) async fn receive(
    app: &App,
    client: IpAddr,
    headers: &HeaderMap,
    body: Incoming,
    repository: &str,
    access: &mut Access,
) -> Result<Response, Problem> {
    let name = RepositoryName::new(decoded(repository)?.as_ref());
    let secret = secret_of(app, &name).await;
    let is_proven = match proof(headers) {
        Some(Proof::Text(text)) => {
            drop(body);
            secret.is_some_and(|secret| secret.is(text))
        }
        Some(Proof::Signature(of_call)) => {
            // Worked out for a name that nobody has as well, so that the time does not tell.
            let known = secret.is_some();
            let secret = secret.unwrap_or_else(|| WebhookSecret::new(b""));
            known & signature_of(body, secret.signature()).await?.is(&of_call)
        }
        None => false,
    };
    if !is_proven {
        return Err(auth::slowed_down(refused(), client, app).await);
    }
    let is_ping = EVENTS
        .into_iter()
        .any(|event| headers.get(event).is_some_and(|event| event == "ping"));
    if is_ping {
        return Ok(answer(StatusCode::OK, r#"{"status":"pong"}"#));
    }
    app.request_sync(&name).await.map_err(not_kept)?;
    access.webhook = Some(name);
    Ok(answer(
        StatusCode::ACCEPTED,
        r#"{"status":"sync requested"}"#,
    ))
}

/// The secret of a repository's webhook, also if it was declared only just now.
async fn secret_of(app: &App, name: &RepositoryName) -> Option<WebhookSecret> {
    let asked = Instant::now();
    let look = || {
        app.broker.catalog.in_installation(|installation| {
            let repository = installation.repository(name)?;
            repository.webhook.clone()
        })
    };
    let known = look();
    if known.is_none() && app.looked_since(asked).await {
        return look();
    }
    known
}

/// What a call is proven by.
enum Proof<'a> {
    Signature([u8; 32]),
    Text(&'a [u8]),
}

fn proof(headers: &HeaderMap) -> Option<Proof<'_>> {
    let mut signed = SIGNATURES.into_iter().filter_map(|name| headers.get(name));
    if let Some(value) = signed.next() {
        let text = value.to_str().ok()?;
        let mut signature = [0; 32];
        let digits = text.strip_prefix(SIGNED_WITH).unwrap_or(text);
        hex::decode_to_slice(digits, &mut signature).ok()?;
        return Some(Proof::Signature(signature));
    }
    let token = headers.get(GITLAB_TOKEN)?;
    Some(Proof::Text(token.as_bytes()))
}

/// Signs a body while it comes in; it is not kept.
async fn signature_of(body: Incoming, mut signature: Signature) -> Result<Signature, Problem> {
    let mut body = BODY.of(body)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BODY.failed(error.as_ref()))?;
        if let Some(piece) = frame.data_ref() {
            signature.update(piece);
        }
    }
    Ok(signature)
}

fn refused() -> Problem {
    let warning = "there is no webhook of this name with this secret; compare the path with status.webhookPath of the \
                   Repository, and the secret at the host with the Secret that spec.webhook.secretRef names";
    Problem::new(StatusCode::FORBIDDEN, warning)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_kept(error: DatabaseError) -> Problem {
    tracing::warn!(%error, "a sync that a webhook asked for could not be recorded");
    Problem::cannot_serve("the database does not answer")
}

fn answer(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn each_host_proves_its_calls_in_its_way() {
        let digits = "ab".repeat(32);
        let with_prefix = format!("sha256={digits}");
        for (name, value) in [
            ("x-hub-signature-256", &with_prefix),
            ("x-hub-signature", &with_prefix),
            ("x-gitea-signature", &digits),
            ("x-forgejo-signature", &digits),
        ] {
            let headers = headers(&[(name, value)]);
            let proof = proof(&headers);
            assert!(
                matches!(proof, Some(Proof::Signature(it)) if it == [0xab; 32]),
                "{name}"
            );
        }
        let gitlab = headers(&[("x-gitlab-token", "hush")]);
        assert!(matches!(proof(&gitlab), Some(Proof::Text(b"hush"))));
    }

    #[test]
    fn what_proves_nothing_is_no_proof() {
        for pairs in [
            &[][..],
            &[("x-hub-signature-256", "sha256=abcd")],
            &[(
                "x-hub-signature",
                "sha1=0123456789012345678901234567890123456789",
            )],
            // GitHub sends its old signature too, but the new one counts.
            &[
                ("x-hub-signature-256", "sha256="),
                ("x-gitlab-token", "hush"),
            ],
        ] {
            assert!(proof(&headers(pairs)).is_none(), "{pairs:?}");
        }
    }
}
