//! Why an object cannot be used as it is.

use package_broker_crds::Reason;

use crate::runtime::conditions::Verdict;

/// What is wrong with an object, and what to do: only a change can help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// Names the field and the fix.
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl Refusal {
    /// There is no broker of the name that an object gives.
    pub(crate) fn no_broker(namespace: &str, name: &str) -> Self {
        Self::missing(
            Reason::NotFound,
            "spec.brokerRef.name",
            "PackageBroker",
            namespace,
            name,
        )
    }

    /// There is no Secret of the name that a field gives.
    pub(crate) fn no_secret(field: &str, namespace: &str, name: &str) -> Self {
        Self::missing(Reason::SecretNotFound, field, "Secret", namespace, name)
    }

    fn missing(reason: Reason, field: &str, kind: &str, namespace: &str, name: &str) -> Self {
        let message = format!(
            "{field}: there is no {kind} \"{name}\" in namespace {namespace}; create it, or name one that is there"
        );
        Self::new(reason, message)
    }

    /// What it means for the object. What is not there may still come, as others may be making it just now; what is
    /// wrong stays so until somebody changes it.
    pub(crate) fn verdict(self) -> Verdict {
        match self.reason {
            Reason::NotFound | Reason::SecretNotFound => {
                Verdict::Progressing(self.reason, self.message)
            }
            _ => Verdict::Stalled(self.reason, self.message),
        }
    }
}
