//! The rules by which Flux, `kubectl wait` and others read conditions (kstatus, and the checks of Flux's own controllers).

use std::collections::BTreeSet;

use serde_json::Value;

/// What is wrong with the status of an object, a sentence each.
pub(crate) fn faults(object: &Value) -> Vec<String> {
    let status = Status::of(object);
    let rules = status.of_types().into_iter().chain(status.of_texts());
    let broken = rules.filter(|(holds, _)| !holds);
    let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
    broken
        .map(|(_, fault)| format!("{kind} {name}: {fault}: {}", object["status"]))
        .collect()
}

/// Whether a rule holds, and what is wrong if it does not.
type Rule = (bool, &'static str);

struct Status<'a> {
    generation: Option<i64>,
    observed: Option<i64>,
    suspended: bool,
    conditions: Vec<&'a Value>,
}

impl<'a> Status<'a> {
    fn of(object: &'a Value) -> Self {
        let conditions = object["status"]["conditions"].as_array();
        Self {
            generation: object["metadata"]["generation"].as_i64(),
            observed: object["status"]["observedGeneration"].as_i64(),
            suspended: object["spec"]["suspend"] == true,
            conditions: conditions.into_iter().flatten().collect(),
        }
    }

    fn find(&self, type_: &str) -> Option<&Value> {
        let mut all = self.conditions.iter().copied();
        all.find(|one| one["type"] == type_)
    }

    fn is(&self, type_: &str, status: &str) -> bool {
        self.find(type_).is_some_and(|one| one["status"] == status)
    }

    /// Which conditions there are, and what they say together.
    fn of_types(&self) -> Vec<Rule> {
        let current = self.observed == self.generation;
        let (ready, stalled) = (self.find("Ready"), self.find("Stalled"));
        let reconciling = self.find("Reconciling");
        let (is_ready, is_stalled) = (self.is("Ready", "True"), self.is("Stalled", "True"));
        let goes_on = is_stalled || self.is("Reconciling", "True");
        let reasons = ready.zip(stalled);
        vec![
            (ready.is_some(), "Ready is missing"),
            (
                self.observed.is_some_and(|observed| observed != -1),
                "nothing was observed",
            ),
            (
                self.observed <= self.generation,
                "a generation that is still to come was observed",
            ),
            (!is_ready || current, "Ready speaks of an older generation"),
            (
                !is_stalled || current,
                "Stalled speaks of an older generation",
            ),
            (!is_ready || stalled.is_none(), "Ready and Stalled"),
            (!is_ready || reconciling.is_none(), "Ready and Reconciling"),
            (
                stalled.is_none() || reconciling.is_none(),
                "Stalled and Reconciling",
            ),
            (
                stalled.is_none() || is_stalled,
                "Stalled is there and not True",
            ),
            (
                reconciling.is_none() || self.is("Reconciling", "True"),
                "Reconciling is there and not True",
            ),
            (
                self.suspended || is_ready || goes_on,
                "not Ready, and neither Stalled nor Reconciling",
            ),
            (
                reasons.is_none_or(|(ready, stalled)| ready["reason"] == stalled["reason"]),
                "Ready and Stalled have two reasons",
            ),
        ]
    }

    /// What each condition says by itself.
    fn of_texts(&self) -> Vec<Rule> {
        let text = |one: &'a Value, field: &str| one[field].as_str().unwrap_or_default();
        let types: BTreeSet<&str> = self
            .conditions
            .iter()
            .map(|one| text(one, "type"))
            .collect();
        let all = |holds: &dyn Fn(&&'a Value) -> bool| self.conditions.iter().all(holds);
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_alphanumeric())
        };
        vec![
            (
                types.len() == self.conditions.len(),
                "a type is there twice",
            ),
            (
                all(&|one| is_word(text(one, "reason"))),
                "a reason is no word",
            ),
            (
                all(&|one| !text(one, "message").is_empty()),
                "a message is empty",
            ),
            (
                all(&|one| !text(one, "lastTransitionTime").is_empty()),
                "a time is missing",
            ),
            (
                all(&|one| one["observedGeneration"].as_i64() == self.observed),
                "a condition speaks of another generation",
            ),
        ]
    }
}
