//! Which of what belongs to a `PackageBroker` can be used together.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use kube::ResourceExt;
use package_broker_crds::{AccessToken, PackageBroker, Reason, Repository};
use package_broker_kinds::{RepositorySecrets, SecretData, administrator};

use super::{
    build::administrator::secret_of,
    dereference::Found,
    servers::{self, Fault, Servers},
};
use crate::{access_token::Taken, refusal::Refusal};

/// What a broker is given, each object right by itself and beside the others.
#[derive(Debug, Default)]
pub(crate) struct Valid {
    pub(crate) repositories: Vec<(Arc<Repository>, RepositorySecrets)>,
    pub(crate) tokens: Vec<(Arc<AccessToken>, Taken)>,
    /// Objects that belong to it and cannot be used.
    pub(crate) refused: usize,
    /// All repositories, and all tokens, that belong to it.
    pub(crate) counts: (usize, usize),
    /// The version of each repository's Secret, by the repository's name.
    pub(crate) versions: BTreeMap<String, String>,
    /// What its state is on; nothing for a volume.
    pub(crate) servers: Option<Servers>,
    /// The Secret of its administrator; nothing if that is still to be made.
    pub(crate) administrator: Option<SecretData>,
}

/// The Secret of the administrator, if it is there.
///
/// # Errors
/// What is wrong with it. That there is none is wrong if the spec names it.
fn administrator(
    broker: &PackageBroker,
    secrets: &BTreeMap<String, SecretData>,
) -> Result<Option<SecretData>, Vec<Fault>> {
    let name = secret_of(broker);
    let field = administrator::PATH.join(".");
    let fault = |refusal| {
        Err(vec![Fault {
            part: None,
            refusal,
        }])
    };
    let Some(data) = secrets.get(&name) else {
        if broker.spec.administrator.is_none() {
            return Ok(None);
        }
        let namespace = broker.namespace().unwrap_or_default();
        return fault(Refusal::no_secret(&field, &namespace, &name));
    };
    match administrator::check(data) {
        None => Ok(Some(data.clone())),
        Some(mistake) => {
            let message = mistake.in_secret(&field, &name);
            fault(Refusal::new(Reason::InvalidSecret, message))
        }
    }
}

/// Leaves out what cannot be used. Of two tokens with the same text the older one stays.
///
/// # Errors
/// What is wrong with the servers: nothing can be done then.
pub(super) fn validate(broker: &PackageBroker, found: Found) -> Result<Valid, Vec<Fault>> {
    let counts = (found.repositories.len(), found.tokens.len());
    let mut valid = Valid {
        counts,
        administrator: administrator(broker, &found.secrets)?,
        servers: servers::validate(broker, &found.secrets)?,
        versions: found.versions,
        ..Valid::default()
    };
    for (repository, judged) in found.repositories {
        match judged {
            Ok(secrets) => valid.repositories.push((repository, secrets)),
            Err(_) => valid.refused += 1,
        }
    }
    let mut hashes = HashSet::new();
    for (token, judged) in found.tokens {
        match judged {
            // Refused for now, because it says so.
            Ok(_) if token.spec.suspend => {}
            Ok(judged) if hashes.insert(judged.hash) => valid.tokens.push((token, judged)),
            _ => valid.refused += 1,
        }
    }
    Ok(valid)
}
