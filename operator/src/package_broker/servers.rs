//! What a `PackageBroker` with a database says of its servers, with the Secrets it names. Pure: no client.

use std::collections::BTreeMap;

use kube::ResourceExt;
use package_broker_core::domain::keyring::KeyRing;
use package_broker_crds::{
    CaSecretRef, ConditionType, Database, PackageBroker, Reason, RedisServer, S3, SslMode,
};
use package_broker_kinds::SecretData;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::build::named;
use crate::{database::Access, refusal::Refusal};

/// The key in the Secret of keys, and its file in the pods.
pub(crate) const KEYS: &str = "keys";

/// Servers that could be used, as far as can be told without asking them.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    pub(crate) access: Access,
    /// The id of the key that requests to the bucket are signed with.
    pub(crate) access_key_id: Option<String>,
    /// The keys that credentials of repositories are encrypted with; nothing if they are still to be made.
    pub(crate) keys: Option<KeyRing>,
    /// What pods read from Secrets, each a file.
    pub(crate) files: Vec<File>,
}

/// A value in a Secret that pods see as a file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Its name.
    pub(crate) name: &'static str,
    /// The Secret.
    pub(crate) secret: String,
    /// The key in it.
    pub(crate) key: String,
    /// What is in it now.
    pub(crate) value: SecretString,
}

/// Something is wrong with one of the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which condition says so, if one does.
    pub(crate) part: Option<ConditionType>,
    pub(crate) refusal: Refusal,
}

/// The names of the Secrets that lead to servers.
pub(super) fn secret_names(broker: &PackageBroker) -> Vec<String> {
    let spec = &broker.spec;
    let mut names = vec![named(broker, KEYS)];
    let mut add = |name: Option<&package_broker_crds::ObjectName>| {
        names.extend(name.map(|name| name.as_str().to_owned()));
    };
    if let Some(database) = &spec.database {
        add(database.secret_ref.as_ref().map(|secret| &secret.name));
        add(database
            .credentials_secret_ref
            .as_ref()
            .map(|secret| &secret.name));
        add(database.ca_secret_ref.as_ref().map(|secret| &secret.name));
    }
    if let Some(storage) = &spec.storage {
        let s3 = &storage.s3;
        add(s3
            .credentials_secret_ref
            .as_ref()
            .map(|secret| &secret.name));
        add(s3.ca_secret_ref.as_ref().map(|secret| &secret.name));
    }
    if let Some(cache) = &spec.cache {
        add(Some(&cache.redis.secret_ref.name));
        add(cache
            .redis
            .ca_secret_ref
            .as_ref()
            .map(|secret| &secret.name));
    }
    names.sort();
    names.dedup();
    names
}

/// Judges what was found; nothing for a broker without a database.
///
/// # Errors
/// Everything that is wrong.
pub(crate) fn validate(
    broker: &PackageBroker,
    secrets: &BTreeMap<String, SecretData>,
) -> Result<Option<Servers>, Vec<Fault>> {
    let spec = &broker.spec;
    let (Some(database), Some(storage)) = (&spec.database, &spec.storage) else {
        return Ok(None);
    };
    let mut reader = Reader {
        namespace: broker.namespace().unwrap_or_default(),
        secrets,
        files: Vec::new(),
        faults: Vec::new(),
    };
    let access = reader.database(database);
    let access_key_id = reader.bucket(&storage.s3);
    if let Some(cache) = &spec.cache {
        reader.redis(&cache.redis);
    }
    let keys = reader.keys(&named(broker, KEYS));
    let Reader { files, faults, .. } = reader;
    match access {
        Some(access) if faults.is_empty() => Ok(Some(Servers {
            access,
            access_key_id,
            keys,
            files,
        })),
        _ => Err(faults),
    }
}

struct Reader<'a> {
    namespace: String,
    secrets: &'a BTreeMap<String, SecretData>,
    files: Vec<File>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn database(&mut self, database: &Database) -> Option<Access> {
        const PART: ConditionType = ConditionType::DatabaseReady;
        let ca = self.ca(
            PART,
            "spec.database.caSecretRef",
            database.ca_secret_ref.as_ref(),
            "database-ca.pem",
        );
        let (access, field) = if let Some(secret) = &database.secret_ref {
            let field = "spec.database.secretRef";
            let (name, key) = (secret.name.as_str(), secret.key.as_str());
            let url = self.file((PART, field), (name, key), "database-url")?;
            let access = Access {
                url,
                password: None,
                ca,
            };
            (access, field)
        } else {
            let field = "spec.database.credentialsSecretRef";
            let secret = database.credentials_secret_ref.as_ref()?.name.as_str();
            let user = self.value((PART, field), (secret, "username"))?;
            let password = self.file((PART, field), (secret, "password"), "database-password");
            let access = Access {
                url: url(database, user.expose_secret()).into(),
                password: Some(password?),
                ca,
            };
            (access, field)
        };
        if let Err(error) = access.options() {
            let message = format!("{field}: {error}");
            self.refuse(Some(PART), Reason::InvalidSecret, message);
        }
        Some(access)
    }

    fn bucket(&mut self, s3: &S3) -> Option<String> {
        const PART: ConditionType = ConditionType::StorageReady;
        let field = "spec.storage.s3.credentialsSecretRef";
        self.ca(
            PART,
            "spec.storage.s3.caSecretRef",
            s3.ca_secret_ref.as_ref(),
            "storage-ca.pem",
        );
        let secret = s3.credentials_secret_ref.as_ref()?.name.as_str();
        let id = self.value((PART, field), (secret, "accessKeyId"))?;
        self.file((PART, field), (secret, "secretAccessKey"), "storage-secret");
        let has_token = |data: &SecretData| data.contains_key("sessionToken");
        if self.secrets.get(secret).is_some_and(has_token) {
            self.file((PART, field), (secret, "sessionToken"), "storage-session");
        }
        Some(id.expose_secret().to_owned())
    }

    fn redis(&mut self, redis: &RedisServer) {
        const PART: ConditionType = ConditionType::CacheReady;
        let ca = redis.ca_secret_ref.as_ref();
        self.ca(PART, "spec.cache.redis.caSecretRef", ca, "cache-ca.pem");
        let (name, key) = (&redis.secret_ref.name, &redis.secret_ref.key);
        let place = (name.as_str(), key.as_str());
        self.file((PART, "spec.cache.redis.secretRef"), place, "cache-url");
    }

    /// The keys, if they are there.
    fn keys(&mut self, secret: &str) -> Option<KeyRing> {
        let data = self.secrets.get(secret)?;
        let text = data.get(KEYS).map(|value| text(value.expose_secret()));
        let Some(value) = text else {
            let message = format!(
                "Secret \"{secret}\", which holds the keys that credentials are encrypted with, has no key \"{KEYS}\"; put it back, or delete the Secret to have new keys made and all credentials encrypted anew"
            );
            self.refuse(None, Reason::InvalidSecret, message);
            return None;
        };
        match KeyRing::parse(value.expose_secret()) {
            Ok(ring) => {
                self.files.push(File {
                    name: KEYS,
                    secret: secret.to_owned(),
                    key: KEYS.to_owned(),
                    value,
                });
                Some(ring)
            }
            Err(error) => {
                let message = format!(
                    "Secret \"{secret}\", key \"{KEYS}\": {error}; put the keys back, or delete the Secret to have new ones made and all credentials encrypted anew"
                );
                self.refuse(None, Reason::InvalidSecret, message);
                None
            }
        }
    }

    fn ca(
        &mut self,
        part: ConditionType,
        field: &str,
        reference: Option<&CaSecretRef>,
        file: &'static str,
    ) -> Option<String> {
        let reference = reference?;
        let place = (reference.name.as_str(), reference.key.as_str());
        let pem = self.file((part, field), place, file)?;
        if !pem.expose_secret().contains("-----BEGIN CERTIFICATE-----") {
            let (name, key) = place;
            let message = format!(
                "{field}: Secret \"{name}\", key \"{key}\" is no certificate; put PEM into it, with the line -----BEGIN CERTIFICATE-----"
            );
            self.refuse(Some(part), Reason::InvalidSecret, message);
        }
        Some(pem.expose_secret().to_owned())
    }

    /// A value that pods see as a file too.
    fn file(
        &mut self,
        at: (ConditionType, &str),
        (secret, key): (&str, &str),
        name: &'static str,
    ) -> Option<SecretString> {
        let value = self.value(at, (secret, key))?;
        self.files.push(File {
            name,
            secret: secret.to_owned(),
            key: key.to_owned(),
            value: value.clone(),
        });
        Some(value)
    }

    fn value(
        &mut self,
        (part, field): (ConditionType, &str),
        (secret, key): (&str, &str),
    ) -> Option<SecretString> {
        let Some(data) = self.secrets.get(secret) else {
            let field = format!("{field}.name");
            let refusal = Refusal::no_secret(&field, &self.namespace, secret);
            let part = Some(part);
            let fault = Fault { part, refusal };
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
            return None;
        };
        let value = data.get(key).map(|value| text(value.expose_secret()));
        let value = value.filter(|value| !value.expose_secret().is_empty());
        if value.is_none() {
            let keys: Vec<&str> = data.keys().map(String::as_str).collect();
            let message = format!(
                "{field}: Secret \"{secret}\" has no text under the key \"{key}\"; add it; its keys are: {}",
                keys.join(", ")
            );
            self.refuse(Some(part), Reason::InvalidSecret, message);
        }
        value
    }

    fn refuse(&mut self, part: Option<ConditionType>, reason: Reason, message: String) {
        let refusal = Refusal::new(reason, message);
        self.faults.push(Fault { part, refusal });
    }
}

fn text(bytes: &[u8]) -> SecretString {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.trim_end_matches(['\r', '\n']).into()
}

/// The URL of a database that is given in parts.
fn url(database: &Database, user: &str) -> String {
    let host = database.host.as_deref().unwrap_or_default();
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let port = database.port.unwrap_or(5432);
    let name = database.name.as_deref().unwrap_or_default();
    let mode = database.ssl_mode.unwrap_or(SslMode::VerifyFull).as_str();
    let user = utf8_percent_encode(user, NON_ALPHANUMERIC);
    format!("postgres://{user}@{host}:{port}/{name}?sslmode={mode}")
}
