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
