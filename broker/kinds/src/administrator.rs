//! The Secret with the name and the password of the first administrator.

use package_broker_core::{
    domain::user::{MIN_PASSWORD, Role, is_name, is_password},
    services::user::Declared,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{SecretData, credentials::Mistake};

/// The keys of the Secret, those of `kubernetes.io/basic-auth`.
pub const KEYS: [&str; 2] = ["username", "password"];
/// The field that names the Secret.
pub const PATH: [&str; 4] = ["spec", "administrator", "secretRef", "name"];

/// Who is in the Secret; nobody if that cannot be used, of which [`check`] says more.
pub fn read(data: &SecretData) -> Option<Declared> {
    if check(data).is_some() {
        return None;
    }
    let [name, password] = KEYS.map(|key| text(data, key));
    Some(Declared {
        name: name?,
        role: Role::Administrator,
        password: SecretString::from(password?),
    })
}

/// Why the Secret cannot be used.
pub fn check(data: &SecretData) -> Option<Mistake> {
    if let Some(missing) = KEYS.into_iter().find(|key| !data.contains_key(*key)) {
        return Some(Mistake {
            key: None,
            message: format!("has no key {missing}"),
            fix: "give it the keys username and password".to_owned(),
        });
    }
    let mistake = |key: &str, message: String, fix: &str| {
        Some(Mistake {
            key: Some(key.to_owned()),
            message,
            fix: fix.to_owned(),
        })
    };
    let [name, password] = KEYS.map(|key| text(data, key).unwrap_or_default());
    if !is_name(&name) {
        let message = "is not of 1 to 64 letters, digits, ., _ and -".to_owned();
        return mistake(KEYS[0], message, "write for instance admin");
    }
    if !is_password(&password) {
        let message = format!("is no line of text of {MIN_PASSWORD} to 256 bytes");
        return mistake(KEYS[1], message, "write a longer one");
    }
    None
}

/// The text of a key without the line end that editors leave.
fn text(data: &SecretData, key: &str) -> Option<String> {
    let text = str::from_utf8(data.get(key)?.expose_secret()).ok()?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(name: &str, password: &str) -> SecretData {
        let pair = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec().into());
        [pair("username", name), pair("password", password)].into()
    }

    #[test]
    fn a_secret_has_a_name_and_a_long_enough_password() {
        let admin = read(&data("admin\n", "correct horse\n")).unwrap();
        assert_eq!(admin.name, "admin");
        assert_eq!(admin.password.expose_secret(), "correct horse");
        let mut without = data("admin", "correct horse");
        without.remove("password");
        for wrong in [
            without,
            data("", "correct horse"),
            data("a:b", "correct horse"),
            data("admin", "short"),
            data("admin", "two\nlines of it"),
        ] {
            assert!(check(&wrong).is_some(), "{wrong:?}");
            assert!(read(&wrong).is_none());
        }
    }
}
