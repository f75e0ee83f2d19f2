//! From what was found out about an object to its conditions, by the rules of kstatus.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use package_broker_crds::{ConditionType, Reason};

/// How it stands with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is what its spec says.
    Ready(String),
    /// It is on its way; nothing is wrong.
    Progressing(Reason, String),
    /// Something failed that is tried again by itself.
    Retrying(Reason, String),
    /// Only a change can help.
    Stalled(Reason, String),
    /// The spec says to leave it alone: what was found out before stands.
    Suspended,
}

impl Verdict {
    /// Whether there is something to wait for.
    pub(crate) fn is_unsettled(&self) -> bool {
        matches!(self, Self::Progressing(..) | Self::Retrying(..))
    }
}

/// Something besides `Ready` that a status tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) type_: ConditionType,
    pub(crate) holds: bool,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

/// The conditions of an object of this generation: `before` gives the times of what did not change.
pub(crate) fn conditions(
    before: &[Condition],
    generation: Option<i64>,
    verdict: &Verdict,
    facts: &[Fact],
    now: Timestamp,
) -> Vec<Condition> {
    let make = |type_: ConditionType, holds: bool, reason: Reason, message: &str| {
        let status = if holds { "True" } else { "False" };
        let known = find(before, type_).filter(|known| known.status == status);
        Condition {
            type_: type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: message.to_owned(),
            observed_generation: generation,
            last_transition_time: known
                .map_or(Time(now), |known| known.last_transition_time.clone()),
        }
    };
    let ready = |holds, reason, message| make(ConditionType::Ready, holds, reason, message);
    let mut all = match verdict {
        Verdict::Ready(message) => vec![ready(true, Reason::Succeeded, message)],
        Verdict::Progressing(reason, message) => vec![
            ready(false, *reason, message),
            make(ConditionType::Reconciling, true, *reason, message),
        ],
        Verdict::Retrying(reason, message) => vec![
            ready(false, *reason, message),
            make(
                ConditionType::Reconciling,
                true,
                Reason::ProgressingWithRetry,
                message,
            ),
        ],
        Verdict::Stalled(reason, message) => vec![
            ready(false, *reason, message),
            make(ConditionType::Stalled, true, *reason, message),
        ],
        Verdict::Suspended => vec![last_ready(before, generation, now)],
    };
    all.extend(
        facts
            .iter()
            .map(|fact| make(fact.type_, fact.holds, fact.reason, &fact.message)),
    );
    all
}

/// What `Ready` was before an object was suspended; one that never was anything is suspended from the start.
fn last_ready(before: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
    let known = find(before, ConditionType::Ready).cloned();
    let known = known.unwrap_or_else(|| Condition {
        type_: ConditionType::Ready.as_str().to_owned(),
        status: "False".to_owned(),
        reason: Reason::Suspended.as_str().to_owned(),
        message: "suspended before anything was done".to_owned(),
        observed_generation: None,
        last_transition_time: Time(now),
    });
    Condition {
        observed_generation: generation,
        ..known
    }
}

/// Whether what was said before of an object of this generation goes on to hold, where its broker was not asked yet because
/// the operator has just been started: it was ready, and nothing but that answer is missing.
pub(crate) fn stands(before: &[Condition], generation: Option<i64>, verdict: &Verdict) -> bool {
    let ready = find(before, ConditionType::Ready);
    matches!(verdict, Verdict::Progressing(Reason::DependencyNotReady, _))
        && ready
            .is_some_and(|ready| ready.status == "True" && ready.observed_generation == generation)
}

/// The condition of a type.
pub(crate) fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(conditions: &[Condition]) -> Vec<(&str, &str, &str, i64)> {
        let seconds = |condition: &Condition| condition.last_transition_time.0.as_second();
        conditions
            .iter()
            .map(|c| (&*c.type_, &*c.status, &*c.reason, seconds(c)))
            .collect()
    }

    #[test]
    fn times_move_only_when_the_status_does() {
        let first = Verdict::Progressing(Reason::Progressing, "starting".to_owned());
        let first = conditions(&[], Some(1), &first, &[], at(1));
        assert_eq!(
            told(&first),
            [
                ("Ready", "False", "Progressing", 1),
                ("Reconciling", "True", "Progressing", 1)
            ]
        );
        let retry = Verdict::Retrying(Reason::SyncFailed, "no answer".to_owned());
        let second = conditions(&first, Some(1), &retry, &[], at(2));
        assert_eq!(
            told(&second),
            [
                ("Ready", "False", "SyncFailed", 1),
                ("Reconciling", "True", "ProgressingWithRetry", 1)
            ]
        );
        let ready = Verdict::Ready("served".to_owned());
        let third = conditions(&second, Some(2), &ready, &[], at(3));
        assert_eq!(told(&third), [("Ready", "True", "Succeeded", 3)]);
        assert_eq!(third[0].observed_generation, Some(2));
    }

    /// Whatever follows whatever: `Ready` is there, and at most one of the two others, which is True and says the same.
    #[test]
    fn every_sequence_follows_the_rules() {
        let text = || "text".to_owned();
        let all = [
            Verdict::Ready(text()),
            Verdict::Progressing(Reason::NotFound, text()),
            Verdict::Retrying(Reason::SyncFailed, text()),
            Verdict::Stalled(Reason::InvalidSecret, text()),
            Verdict::Suspended,
        ];
        for first in &all {
            for second in &all {
                let before = conditions(&[], Some(1), first, &[], at(1));
                let after = conditions(&before, Some(2), second, &[], at(2));
                let ready = find(&after, ConditionType::Ready).unwrap();
                let others: Vec<&Condition> = after.iter().filter(|c| c.type_ != "Ready").collect();
                let expected = match second {
                    Verdict::Ready(_) | Verdict::Suspended => 0,
                    _ => 1,
                };
                assert_eq!(others.len(), expected, "{first:?} {second:?}");
                for other in others {
                    assert_eq!((&*other.status, &*ready.status), ("True", "False"));
                    assert!(other.type_ == "Reconciling" || other.reason == ready.reason);
                }
                assert!(after.iter().all(|c| c.observed_generation == Some(2)));
            }
        }
    }

    #[test]
    fn what_is_suspended_keeps_its_last_state() {
        let ready = Verdict::Ready("served".to_owned());
        let before = conditions(&[], Some(1), &ready, &[], at(1));
        let after = conditions(&before, Some(2), &Verdict::Suspended, &[], at(9));
        assert_eq!(told(&after), [("Ready", "True", "Succeeded", 1)]);
        assert_eq!(after[0].observed_generation, Some(2));
        let never = conditions(&[], Some(1), &Verdict::Suspended, &[], at(1));
        assert_eq!(told(&never), [("Ready", "False", "Suspended", 1)]);
    }
}
