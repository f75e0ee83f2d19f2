//! The Secret that calls of a webhook are proven with.

use package_broker_core::domain::webhook::{MIN_SECRET, WebhookSecret};
use secrecy::ExposeSecret;

use crate::{SecretData, credentials::Mistake};

/// The key of the Secret.
pub const KEY: &str = "secret";
/// The field that names the Secret.
pub const PATH: [&str; 4] = ["spec", "webhook", "secretRef", "name"];

/// Where calls go, below the URL of the broker, for a repository of this name within it.
pub fn path(repository: &str) -> String {
    format!("/webhooks/{repository}")
}

/// What is in the Secret; `None` if that cannot be used, of which [`check`] says more.
pub fn read(data: &SecretData) -> Option<WebhookSecret> {
    check(data).is_none().then(|| secret(data)).flatten()
}

/// Why the Secret cannot be used.
pub fn check(data: &SecretData) -> Option<Mistake> {
    let Some(secret) = data.get(KEY) else {
        return Some(Mistake {
            key: None,
            message: format!("has no key {KEY}"),
            fix:
                "write the text there that the host of the source has as the secret of its webhook"
                    .to_owned(),
        });
    };
    let text = str::from_utf8(secret.expose_secret()).unwrap_or_default();
    let text = text.trim_end_matches(['\r', '\n']);
    let wrong = text.len() < MIN_SECRET || text.contains(char::is_control);
    wrong.then(|| Mistake {
        key: Some(KEY.to_owned()),
        message: format!("is no line of text of {MIN_SECRET} bytes or more"),
        fix: "write a longer one, here and at the host, for instance what `openssl rand -hex 20` prints"
            .to_owned(),
    })
}

fn secret(data: &SecretData) -> Option<WebhookSecret> {
    let text = data.get(KEY)?;
    Some(WebhookSecret::new(text.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(key: &str, value: &[u8]) -> SecretData {
        [(key.to_owned(), value.to_vec().into())].into()
    }

    #[test]
    fn a_secret_has_a_long_enough_line() {
        assert!(
            read(&data(KEY, b"0123456789abcdef\n")).is_some_and(|it| it.is(b"0123456789abcdef"))
        );
        for wrong in [
            data("token", b"0123456789abcdef"),
            data(KEY, b"0123456789abcde\n"),
            data(KEY, b"0123456789\nabcdefghi"),
            data(KEY, b"\xff0123456789abcdef"),
        ] {
            assert!(check(&wrong).is_some(), "{wrong:?}");
            assert!(read(&wrong).is_none());
        }
    }
}
