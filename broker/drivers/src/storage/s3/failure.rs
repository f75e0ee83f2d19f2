//! What an error of the service says, and what it means for the options.
//!
//! Answers are not repeated: a refusal of a signature has the signature and the access key in its text. Only the
//! status and the code are taken from them.

use std::{error::Error, iter::successors};

use object_store::client::{HttpError, HttpErrorKind};

/// The most characters of an error that we do not know.
const CLIP: usize = 200;

/// Whether the service knows the bucket and says that it has no such object. A 404 without this code comes from
/// something else, as from a proxy or for a bucket that is gone: what is stored is then unknown.
pub(super) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && code(&error.to_string()) == Some("NoSuchKey")
}

/// An account of an error without anything secret.
pub(super) fn explain(error: &object_store::Error) -> String {
    let text = error.to_string();
    let retries = between(&text, ", after ", " retries")
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|number| format!("; given up after {number} retries"))
        .unwrap_or_default();
    // Only requests of the security token service hide their URL.
    let service = if text.contains("REDACTED in ") {
        "the security token service (`stsEndpoint`)"
    } else {
        "the service"
    };
    format!("{}{retries}", account(error, &text, service))
}

fn account(error: &object_store::Error, text: &str, service: &str) -> String {
    if let Some(error) = http_error(error) {
        let cause = clip(&root(error));
        return match error.kind() {
            HttpErrorKind::Connect => format!("{service} cannot be reached: {cause}"),
            HttpErrorKind::Timeout => format!("{service} did not answer in time: {cause}"),
            _ => format!("the connection broke: {cause}"),
        };
    }
    let status = between(text, "non-2xx status code: ", " ").filter(|status| status.len() == 3);
    match (status, code(text)) {
        (status, Some(code)) => {
            let status = status.unwrap_or("200");
            match advice(code) {
                Some(advice) => format!("{advice} (HTTP {status}, {code})"),
                None => format!("{service} answered HTTP {status}, {code}"),
            }
        }
        (Some(status @ ("301" | "302" | "307" | "308")), None) => {
            format!("{service} sent us elsewhere (HTTP {status}); check `endpoint` and `region`")
        }
        (Some(status @ ("400" | "403" | "404" | "405")), None) => format!(
            "{service} answered HTTP {status} without an S3 error; check `endpoint`, `region` and `pathStyle`"
        ),
        (Some(status), None) => format!("{service} answered HTTP {status}"),
        (None, None) if text.contains("redirect without LOCATION") => {
            format!("{service} sent us elsewhere; check `endpoint` and `region`")
        }
        (None, None) if text.contains("Got invalid ") || text.contains("extract metadata") => {
            format!("{service} did not answer as S3 does; check `endpoint`")
        }
        (None, None) => clip(&root(error)),
    }
}

/// What a code means for the options; `None` where the code says it all.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "SignatureDoesNotMatch" => {
            "the secret access key does not fit the access key id; check `secretAccessKey`"
        }
        "InvalidAccessKeyId" | "NotSignedUp" => {
            "the service does not know the access key id; check `accessKeyId`"
        }
        "InvalidToken" => "the service does not accept the session token; check `sessionToken`",
        "ExpiredToken" => "the session token has expired; renew the credentials",
        "AccessDenied" | "AllAccessDisabled" => {
            "the credentials do not allow it; they need s3:GetObject, s3:PutObject, s3:DeleteObject, \
             s3:AbortMultipartUpload and s3:ListBucket"
        }
        "NoSuchBucket" => "there is no such bucket; create it, or check `bucket`",
        "InvalidBucketName" => "the service does not accept the name; check `bucket`",
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "InvalidRegion" => "the bucket is in another region; check `region` and `endpoint`",
        "RequestTimeTooSkewed" => "the clocks differ by too much; set the one of this machine",
        "InvalidIdentityToken" | "ExpiredTokenException" | "IDPRejectedClaim" => {
            "the security token service does not accept the token; check `tokenFile` and what `roleArn` trusts"
        }
        "QuotaExceeded" | "XMinioStorageFull" => "the service has no room left",
        _ => return None,
    })
}

/// The code of an S3 error.
fn code(text: &str) -> Option<&str> {
    between(text, "<Code>", "</Code>").filter(|code| {
        (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

fn http_error(error: &object_store::Error) -> Option<&HttpError> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn clip(text: &str) -> String {
    text.chars().take(CLIP).collect()
}
