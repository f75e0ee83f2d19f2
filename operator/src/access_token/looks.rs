//! What was found in the Secrets of tokens, so that a broker with many of them reads each once. No token is among it.

use kube::{ResourceExt, runtime::reflector::ObjectRef};
use package_broker_crds::AccessToken;

use super::{Taken, key, secret_of};
use crate::{context::Context, refusal::Refusal, runtime::remembered::Remembered};

/// Tokens that are remembered, at most; when there are so many, their Secrets are read again.
const MOST: usize = 100_000;

/// Which state of an object and its Secret was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    uid: Option<String>,
    generation: Option<i64>,
    secret: String,
}

impl Look {
    /// What there is to look at now; nothing if the Secret was not seen yet.
    pub(super) fn at(token: &AccessToken, context: &Context) -> Option<Self> {
        let namespace = token.namespace().unwrap_or_default();
        let secret = ObjectRef::new(&secret_of(token)).within(&namespace);
        let secret = context.children.secrets.get(&secret)?;
        Self::of(token, secret.resource_version())
    }

    /// At this version of the Secret.
    pub(super) fn of(token: &AccessToken, secret: Option<String>) -> Option<Self> {
        Some(Self {
            uid: token.uid(),
            generation: token.metadata.generation,
            secret: secret?,
        })
    }
}

type Judged = Result<Taken, Refusal>;

/// The last look at each token, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Looks(Remembered<(String, String), (Look, Judged), MOST>);

impl Looks {
    /// What a look found, if it is still the same that there is to look at.
    pub(super) fn known(&self, token: &AccessToken, look: Option<&Look>) -> Option<Judged> {
        let looks = self.0.all();
        let (known, judged) = looks.get(&key(token))?;
        (Some(known) == look).then(|| judged.clone())
    }

    /// Remembers it.
    pub(super) fn note(&self, token: &AccessToken, look: Option<Look>, judged: Judged) {
        match look {
            Some(look) => self.0.note(key(token), (look, judged)),
            None => self.0.forget(&key(token)),
        }
    }
}
