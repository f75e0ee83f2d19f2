//! What the manifests say about each other.

use std::collections::HashMap;

use package_broker_core::domain::token::{self, TokenHash};
use package_broker_crds::{
    AccessToken, BrokerRef, NamespaceRule, PackageBroker, Repository, SecretRef, TOKEN_SHA256,
    validation::{Admitted, FieldError},
};
use package_broker_kinds::belonging::{admit, broker_of, localized_repository, localized_token};
use package_broker_kinds::{
    RepositorySecrets, SecretData, administrator,
    credentials::{self, Mistake},
    egress, schedule, webhook,
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    ManifestErrors, Manifests, Problem,
    dangling::{dangling, names_in, no_broker, path_of},
    object::{ObjectKey, Source},
    secret::Secret,
};

/// What should run.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    /// The installation.
    pub(crate) broker: PackageBroker,
    /// Its sources, each with the Secrets that it names, in the order of the manifests.
    pub(crate) repositories: Vec<(Repository, RepositorySecrets)>,
    /// The Secret of its administrator, if it has one.
    pub(crate) administrator: Option<SecretData>,
    /// Its clients' tokens; without a hash where nothing says which it is, and one is to be made.
    pub(crate) tokens: Vec<(AccessToken, Option<TokenHash>)>,
}

/// Checks everything the manifests say about each other, and puts together what belongs together.
///
/// # Errors
/// Every dangling reference, unusable Secret, forbidden URL and doubled token, and anything but
/// exactly one `PackageBroker`.
pub(crate) fn resolve(manifests: &Manifests) -> Result<Desired, ManifestErrors> {
    let mut resolver = Resolver::new(manifests);
    let mut brokers = Vec::new();
    let mut repositories = Vec::new();
    let mut tokens = Vec::new();
    for object in &manifests.objects {
        let at = At {
            source: &object.source,
            namespace: &object.key.namespace,
        };
        match &object.admitted {
            Admitted::PackageBroker(broker) => brokers.push((broker.as_ref(), at)),
            Admitted::Repository(repository) => {
                let secrets = resolver.repository(repository, at);
                let (of_broker, _) = broker_of(&repository.spec.broker_ref, at.namespace);
                repositories.push((
                    localized_repository(repository, at.namespace, of_broker),
                    secrets,
                ));
            }
            Admitted::AccessToken(token) => {
                let text = resolver.token(token, at);
                let (of_broker, _) = broker_of(&token.spec.broker_ref, at.namespace);
                tokens.push((localized_token(token, at.namespace, of_broker), text));
            }
        }
    }
    let broker = resolver.only_broker(&brokers);
    let administrator = brokers
        .first()
        .and_then(|(broker, at)| resolver.administrator(broker, *at));
    ManifestErrors::check(resolver.problems)?;
    match broker {
        Some(broker) => Ok(Desired {
            broker,
            repositories,
            administrator,
            tokens,
        }),
        None => Err(ManifestErrors(vec![no_broker()])),
    }
}

/// The object that is being judged.
#[derive(Clone, Copy)]
struct At<'a> {
    source: &'a Source,
    namespace: &'a str,
}

struct Resolver<'a> {
    secrets: &'a HashMap<ObjectKey, Secret>,
    /// By namespace and name.
    brokers: HashMap<(&'a str, &'a str), &'a PackageBroker>,
    repositories: HashMap<(&'a str, &'a str), &'a Repository>,
    /// Where each token was first seen.
    seen: HashMap<TokenHash, String>,
    problems: Vec<Problem>,
}

impl<'a> Resolver<'a> {
    fn new(manifests: &'a Manifests) -> Self {
        let mut brokers = HashMap::new();
        let mut repositories = HashMap::new();
        for object in &manifests.objects {
            let key = (object.key.namespace.as_str(), object.key.name.as_str());
            match &object.admitted {
                Admitted::PackageBroker(broker) => {
                    brokers.insert(key, broker.as_ref());
                }
                Admitted::Repository(repository) => {
                    repositories.insert(key, repository.as_ref());
                }
                Admitted::AccessToken(_) => {}
            }
        }
        let problems = Vec::new();
        Self {
            secrets: &manifests.secrets,
            brokers,
            repositories,
            seen: HashMap::new(),
            problems,
        }
    }

    fn only_broker(&mut self, brokers: &[(&PackageBroker, At<'_>)]) -> Option<PackageBroker> {
        let ((first, at), more) = brokers.split_first()?;
        for (_, second) in more {
            let message = format!(
                "is a second PackageBroker, after the one at {}",
                at.source.place()
            );
            self.refuse(*second, &["metadata", "name"], message, "keep one of them");
        }
        Some((*first).clone())
    }

    fn administrator(&mut self, broker: &PackageBroker, at: At<'_>) -> Option<SecretData> {
        let administrator = broker.spec.administrator.as_ref()?;
        let check = |data: &SecretData| administrator::check(data).into_iter().collect();
        self.checked(
            Some(&administrator.secret_ref),
            &administrator::PATH,
            check,
            at,
        )
    }

    fn repository(&mut self, repository: &Repository, at: At<'_>) -> RepositorySecrets {
        let spec = &repository.spec;
        if let Some(broker) = self.broker(&spec.broker_ref, at) {
            let rules = &broker.spec.allowed_namespaces;
            self.admit(&rules.repositories, "repositories", &spec.broker_ref, at);
            self.egress(repository, broker, at);
        }
        if let Some(mistake) = schedule::mistake(&spec.sync) {
            self.refuse(at, &schedule::PATH, mistake.message, mistake.fix);
        }
        let of_source = |data: &SecretData| credentials::check(spec.type_, &spec.url, data);
        let path = ["spec", "credentialsSecretRef", "name"];
        let of_webhook = |data: &SecretData| webhook::check(data).into_iter().collect();
        let called = spec.webhook.as_ref().map(|webhook| &webhook.secret_ref);
        RepositorySecrets {
            credentials: self.checked(spec.credentials_secret_ref.as_ref(), &path, of_source, at),
            webhook: self.checked(called, &webhook::PATH, of_webhook, at),
        }
    }

    /// The Secret that an object names, and what is wrong with it.
    fn checked(
        &mut self,
        reference: Option<&SecretRef>,
        path: &[&str],
        check: impl Fn(&SecretData) -> Vec<Mistake>,
        at: At<'_>,
    ) -> Option<SecretData> {
        let name = reference?.name.as_str();
        let secret = self.secret(name, path, at)?;
        for mistake in check(&secret.data) {
            let problem = if let Some(key) = &mistake.key {
                let error = FieldError::new(secret.path(key), mistake.message, mistake.fix);
                secret.source.problem(error)
            } else {
                let message = format!("Secret {name:?} {}", mistake.message);
                let error = FieldError::new(path_of(path), message, mistake.fix);
                at.source.problem(error)
            };
            // Several Repositories may use the Secret.
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        Some(secret.data.clone())
    }

    /// What the guard of requests would refuse at every sync is refused here once.
    fn egress(&mut self, repository: &Repository, broker: &PackageBroker, at: At<'_>) {
        for refused in egress::refused(&repository.spec, &broker.spec.egress) {
            self.refuse(at, refused.path, refused.message, refused.fix);
        }
    }

    fn token(&mut self, token: &AccessToken, at: At<'_>) -> Option<TokenHash> {
        let spec = &token.spec;
        if let Some(broker) = self.broker(&spec.broker_ref, at) {
            let rules = &broker.spec.allowed_namespaces;
            self.admit(&rules.access_tokens, "accessTokens", &spec.broker_ref, at);
        }
        for (index, name) in spec.scopes.repositories.iter().enumerate() {
            self.scope(name.as_str(), index, at);
        }
        let Some(reference) = spec.existing_secret_ref.as_ref() else {
            return self.known_by_hash(token, at);
        };
        let (name, key) = (reference.name.as_str(), reference.key.as_str());
        let secret = self.secret(name, &["spec", "existingSecretRef", "name"], at)?;
        let data = &secret.data;
        let path = ["spec", "existingSecretRef", "key"];
        let Some(value) = data.get(key) else {
            let keys: Vec<&str> = data.keys().map(String::as_str).collect();
            let message = format!("Secret {name:?} has no key {key:?}");
            self.refuse(
                at,
                &path,
                message,
                format!("add it, or name one of: {}", keys.join(", ")),
            );
            return None;
        };
        self.token_text(value.expose_secret(), &path, at)
    }

    /// The token that an annotation says the SHA-256 of.
    fn known_by_hash(&mut self, token: &AccessToken, at: At<'_>) -> Option<TokenHash> {
        let annotations = token.metadata.annotations.as_ref()?;
        let text = annotations.get(TOKEN_SHA256)?;
        let path = ["metadata", "annotations", TOKEN_SHA256];
        let mut bytes = [0; 32];
        if hex::decode_to_slice(text, &mut bytes).is_err() {
            let message = "is not the SHA-256 of a token";
            self.refuse(at, &path, message, "write 64 hexadecimal digits");
            return None;
        }
        self.only_once(TokenHash(bytes), &path, at)
    }

    fn token_text(&mut self, value: &[u8], path: &[&str], at: At<'_>) -> Option<TokenHash> {
        let text = std::str::from_utf8(value)
            .unwrap_or_default()
            .trim_end_matches(['\r', '\n']);
        let text = SecretString::from(text);
        let hash = match token::check(&text) {
            Ok(hash) => hash,
            Err(error) => {
                self.refuse(
                    at,
                    path,
                    error.to_string(),
                    "put another token into the Secret",
                );
                return None;
            }
        };
        self.only_once(hash, path, at)
    }

    /// The token, if no other object has it.
    fn only_once(&mut self, hash: TokenHash, path: &[&str], at: At<'_>) -> Option<TokenHash> {
        if let Some(first) = self.seen.get(&hash) {
            let message = format!("is the same token as that of the AccessToken at {first}");
            self.refuse(
                at,
                path,
                message,
                "give each AccessToken a token of its own",
            );
            return None;
        }
        self.seen.insert(hash, at.source.place());
        Some(hash)
    }

    fn scope(&mut self, name: &str, index: usize, at: At<'_>) {
        if self.repositories.contains_key(&(at.namespace, name)) {
            return;
        }
        let known = names_in(self.repositories.keys(), at.namespace);
        let path = path_of(&["spec", "scopes", "repositories"]).index(index);
        let error = dangling(path, "Repository", name, &known, at.namespace);
        self.problems.push(at.source.problem(error));
    }

    fn broker(&mut self, reference: &BrokerRef, at: At<'_>) -> Option<&'a PackageBroker> {
        let (namespace, name) = broker_of(reference, at.namespace);
        let broker = self.brokers.get(&(namespace, name)).copied();
        if broker.is_none() && !self.brokers.is_empty() {
            let known = names_in(self.brokers.keys(), namespace);
            let path = path_of(&["spec", "brokerRef", "name"]);
            let error = dangling(path, "PackageBroker", name, &known, namespace);
            self.problems.push(at.source.problem(error));
        }
        broker
    }

    /// Whether the broker takes objects of that kind from their namespace.
    fn admit(&mut self, rule: &NamespaceRule, field: &str, reference: &BrokerRef, at: At<'_>) {
        let (of_broker, name) = broker_of(reference, at.namespace);
        let namespace = at.namespace;
        if let Err(fix) = admit(rule, field, (namespace, of_broker), None) {
            let message =
                format!("PackageBroker {name:?} does not take this from namespace {namespace}");
            self.refuse(at, &["spec", "brokerRef", "namespace"], message, fix);
        }
    }

    fn secret(&mut self, name: &str, path: &[&str], at: At<'_>) -> Option<&'a Secret> {
        let secret = self.secrets.get(&ObjectKey::secret(at.namespace, name));
        if secret.is_none() {
            let keys: Vec<(&str, &str)> = self
                .secrets
                .keys()
                .map(|key| (key.namespace.as_str(), key.name.as_str()))
                .collect();
            let known = names_in(keys.iter(), at.namespace);
            let error = dangling(path_of(path), "Secret", name, &known, at.namespace);
            self.problems.push(at.source.problem(error));
        }
        secret
    }

    fn refuse(
        &mut self,
        at: At<'_>,
        path: &[&str],
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(
            at.source
                .problem(FieldError::new(path_of(path), message, fix)),
        );
    }
}
