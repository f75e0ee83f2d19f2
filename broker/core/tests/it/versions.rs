//! Versions, branches, stabilities and their order.

use std::cmp::Ordering;

use package_broker_core::domain::version::{
    NormalizedVersion, Stability, normalize, normalize_branch, valid_branch_alias, version_compare,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::composer::ask;
use super::generate::{BATCH, batches, small_version, version};

/// One batch of texts, compared answer by answer.
fn same_answers<Answer>(
    op: &str,
    texts: &[String],
    ours: impl Fn(&str) -> Answer,
) -> Result<(), TestCaseError>
where
    Answer: PartialEq + std::fmt::Debug + serde::de::DeserializeOwned,
{
    for (text, theirs) in texts.iter().zip(ask::<_, Answer>(op, texts)) {
        prop_assert_eq!(ours(text), theirs, "{} of {:?}", op, text);
    }
    Ok(())
}

fn normalized(text: &str) -> Option<String> {
    normalize(text).ok().map(|version| version.to_string())
}

proptest! {
    #![proptest_config(batches(12))]

    #[test]
    fn versions_normalise_alike(texts in vec(version(), BATCH)) {
        same_answers("normalize", &texts, normalized)?;
    }

    #[test]
    fn branches_normalise_alike(texts in vec(version(), BATCH)) {
        same_answers("branch", &texts, |name| normalize_branch(name).to_string())?;
    }

    #[test]
    fn stabilities_are_alike(texts in vec(version(), BATCH)) {
        same_answers("stability", &texts, |version| Stability::of(version).to_string())?;
    }

    #[test]
    fn normalised_versions_compare_alike(texts in vec(prop_oneof![version(), small_version()], 2 * BATCH)) {
        let versions: Vec<_> = texts.iter().filter_map(|text| normalize(text).ok()).collect();
        let pairs: Vec<_> = versions.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect();
        let theirs: Vec<(bool, bool, bool)> = ask("compare", &pairs);
        for ((left, right), (less, equal, greater)) in pairs.into_iter().zip(theirs) {
            prop_assert_eq!(comparator(left, right), (less, equal, greater), "{} and {}", left, right);
            // The total order keeps to every order that Composer gives.
            prop_assert!(!less || left < right, "{} < {}", left, right);
            prop_assert!(!greater || left > right, "{} > {}", left, right);
        }
    }

    #[test]
    fn branch_aliases_are_alike(pairs in vec((dev_version(), alias()), BATCH)) {
        for (pair, theirs) in pairs.iter().zip(ask::<_, Option<String>>("alias", &pairs)) {
            let ours = valid_branch_alias(&pair.0, &pair.1).ok().map(|alias| alias.to_string());
            prop_assert_eq!(ours, theirs, "{:?}", pair);
        }
    }
}

/// Less, equal, greater, as Composer's `Comparator` answers: two different branches are neither.
fn comparator(left: &NormalizedVersion, right: &NormalizedVersion) -> (bool, bool, bool) {
    if left.is_branch() && right.is_branch() {
        return (false, left == right, false);
    }
    let order = version_compare(left.as_str(), right.as_str());
    (
        order == Ordering::Less,
        order == Ordering::Equal,
        order == Ordering::Greater,
    )
}

fn dev_version() -> impl Strategy<Value = String> {
    prop_oneof![
        "(dev-)?(main|[0-9]|2\\.x)",
        "[vV]?[0-3](\\.[0-3]){0,3}(\\.[xX])?(-dev|-DEV)?",
        version().prop_filter("a PHP array would read it as a number", |text| text
            .parse::<i64>()
            .is_err()),
    ]
}

fn alias() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[vV]?[0-3](\\.[0-3]){0,3}(\\.[xX*])?(-dev|-DEV)?",
        1 => "(9999999|main|foo-dev|)(-dev)?",
        1 => version(),
    ]
}
