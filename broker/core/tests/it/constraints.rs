//! Constraints: which are accepted, and what they match.

use package_broker_core::domain::version::{Constraint, is_valid_constraint, normalize};
use proptest::collection::vec;
use proptest::prelude::*;

use super::composer::ask;
use super::generate::{BATCH, batches, constraint, small_version, version};

/// Composer's verdict on one constraint: refused, or whether it matches each version.
type Verdict = Option<Vec<bool>>;

fn same_verdicts(constraints: &[String], texts: &[String]) -> Result<(), TestCaseError> {
    let versions: Vec<_> = texts
        .iter()
        .filter_map(|text| normalize(text).ok())
        .collect();
    let questions: Vec<_> = constraints
        .iter()
        .map(|constraint| (constraint, &versions))
        .collect();
    for (text, theirs) in constraints
        .iter()
        .zip(ask::<_, Verdict>("satisfies", &questions))
    {
        let parsed = Constraint::parse(text);
        prop_assert_eq!(parsed.is_ok(), theirs.is_some(), "{:?}: {:?}", text, parsed);
        prop_assert_eq!(is_valid_constraint(text), theirs.is_some(), "{:?}", text);
        let (Ok(parsed), Some(theirs)) = (parsed, theirs) else {
            continue;
        };
        for (version, matches) in versions.iter().zip(theirs) {
            prop_assert_eq!(
                parsed.matches(version),
                matches,
                "{:?} with {}: {:?}",
                text,
                version,
                parsed
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(batches(10))]

    #[test]
    fn constraints_match_alike(
        constraints in vec(constraint(), BATCH),
        versions in vec(prop_oneof![3 => small_version(), 1 => version()], 20),
    ) {
        same_verdicts(&constraints, &versions)?;
    }

    #[test]
    fn versions_as_constraints_match_alike(constraints in vec(version(), BATCH)) {
        let versions: Vec<_> = constraints.iter().take(20).cloned().collect();
        same_verdicts(&constraints, &versions)?;
    }
}
