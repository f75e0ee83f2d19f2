//! The rules by which Flux, `kubectl wait` and others read conditions (kstatus, and the checks of Flux's own controllers).
//!
//! Most hold of every version of an object. Others only once the operator has seen its newest spec: until then, that
//! `status.observedGeneration` is another than the generation tells readers to wait.

use std::collections::BTreeSet;

use serde_json::Value;

/// What is wrong with the status of an object that has come to rest, a sentence each.
pub(crate) fn faults(object: &Value) -> Vec<String> {
    let status = Status::of(object);
    told(object, [status.always(), status.at_rest()].concat())
}

/// What is wrong with a version of an object, whatever is going on. `before` is the version that came before it.
pub(crate) fn faults_of_version(object: &Value, before: Option<&Value>) -> Vec<String> {
    let mut faults = told(object, Status::of(object).always());
    if let Some(before) = before {
        let rules = Status::of(object).after(&Status::of(before));
        let before = &before["status"];
        let after = told(object, rules).into_iter();
        faults.extend(after.map(|fault| format!("{fault}, after {before}")));
    }
    faults
}

fn told(object: &Value, rules: Vec<Rule>) -> Vec<String> {
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
    let of = format!("generation {}", object["metadata"]["generation"]);
    broken
        .map(|(_, fault)| format!("{kind} {name}: {fault}: {of}, {}", object["status"]))
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

    /// What holds of every version.
    fn always(&self) -> Vec<Rule> {
        [self.of_types(), self.of_texts()].concat()
    }

    /// What holds once the newest spec was looked at.
    fn at_rest(&self) -> Vec<Rule> {
        let current = self.observed == self.generation;
        vec![
            (self.observed != Some(-1), "nothing was observed"),
            (
                !self.is("Ready", "True") || current,
                "Ready speaks of an older generation",
            ),
            (
                !self.is("Stalled", "True") || current,
                "Stalled speaks of an older generation",
            ),
        ]
    }

    /// What holds of a version that comes after another.
    fn after(&self, before: &Self) -> Vec<Rule> {
        let mut kept = self.conditions.iter().filter_map(|now| {
            let known = before.find(now["type"].as_str()?)?;
            Some((known, *now))
        });
        let time = |one: &Value| one["lastTransitionTime"].as_str().map(str::to_owned);
        vec![
            (
                self.observed >= before.observed,
                "an older generation is observed than before",
            ),
            (
                kept.all(|(known, now)| {
                    // Times of one form, to the second: they sort as texts.
                    if known["status"] == now["status"] {
                        time(known) == time(now)
                    } else {
                        time(known) <= time(now)
                    }
                }),
                "a time moved without its status, or went back",
            ),
        ]
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
            // Without the number, an object that nobody has looked at yet would pass for one that is as it should be.
            (
                self.observed.is_some(),
                "nothing says which generation was observed",
            ),
            (
                self.observed == Some(-1) || ready.is_some(),
                "Ready is missing",
            ),
            (
                self.observed <= self.generation,
                "a generation that is still to come was observed",
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
                !current || self.suspended || is_ready || goes_on,
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
