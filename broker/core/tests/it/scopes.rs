//! Scopes and patterns against a search through all short names.

use package_broker_core::domain::{
    names::RepositoryName,
    patterns::{NameFilter, NamePattern},
    scope::Scope,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// What names and patterns are made of here: few letters, so that they meet.
const LETTERS: [char; 3] = ['a', 'b', '/'];
/// The longest pattern. A name that two patterns match need not be longer than both together.
const LONGEST: usize = 3;

/// Every text of at most that many letters.
fn names() -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..2 * LONGEST {
        last = last
            .iter()
            .flat_map(|name| LETTERS.map(|letter| format!("{name}{letter}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// What a pattern means, letter by letter.
fn means(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let tails = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            tails
                .into_iter()
                .any(|at| means(rest.as_str(), &name[at..]))
        }
        Some(letter) => name
            .strip_prefix(letter)
            .is_some_and(|name| means(rest.as_str(), name)),
    }
}

fn pattern() -> impl Strategy<Value = String> {
    proptest::string::string_regex(&format!("[aAb/*]{{0,{LONGEST}}}")).unwrap()
}

fn scope() -> impl Strategy<Value = Scope> {
    let repository = (0..3).prop_map(|number| RepositoryName::new(&format!("r{number}")));
    (vec(pattern(), 0..3), vec(repository, 0..3)).prop_map(|(packages, repositories)| Scope {
        packages: packages.iter().map(|text| NamePattern::new(text)).collect(),
        repositories,
    })
}

fn repositories() -> Vec<RepositoryName> {
    (0..3)
        .map(|number| RepositoryName::new(&format!("r{number}")))
        .collect()
}

proptest! {
    #![proptest_config(super::generate::batches(500))]

    #[test]
    fn a_pattern_matches_what_it_means(text in pattern()) {
        let pattern = NamePattern::new(&text);
        let lower = text.to_ascii_lowercase();
        for name in names() {
            prop_assert_eq!(pattern.matches(&name), means(&lower, &name), "{} {}", text, name);
        }
    }

    /// Root files show a pattern to those who may have a name of it, and to nobody else.
    #[test]
    fn patterns_overlap_when_one_name_matches_both(one in pattern(), other in pattern()) {
        let (a, b) = (NamePattern::new(&one), NamePattern::new(&other));
        let shared = names().into_iter().find(|name| a.matches(name) && b.matches(name));
        prop_assert_eq!(a.overlaps(&b), shared.is_some(), "{} {} {:?}", one, other, shared);
        prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
    }

    #[test]
    fn a_scope_covers_what_both_its_lists_allow(scope in scope()) {
        for name in names() {
            let by_name = scope.packages.is_empty()
                || scope.packages.iter().any(|own| means(own.as_str(), &name));
            for repository in repositories() {
                let by_owner = scope.repositories.is_empty()
                    || scope.repositories.contains(&repository);
                prop_assert_eq!(scope.covers(&name, &repository), by_name && by_owner);
            }
        }
    }

    #[test]
    fn a_scope_touches_a_pattern_that_has_a_name_of_it(scope in scope(), text in pattern()) {
        let pattern = NamePattern::new(&text);
        let touched = names()
            .iter()
            .any(|name| pattern.matches(name) && scope.covers_name(name));
        prop_assert_eq!(scope.touches(&pattern), touched);
    }

    /// Tokens share cached bytes by their view: it must say all that decides what they see.
    #[test]
    fn equal_views_see_the_same(one in scope(), other in scope()) {
        let (one, other) = (one.normalized(), other.normalized());
        prop_assert_eq!(one.view() == other.view(), one == other);
        let mut repeated = one.clone();
        repeated.packages.extend(one.packages.iter().rev().cloned());
        repeated.repositories.extend(one.repositories.iter().rev().cloned());
        prop_assert_eq!(repeated.normalized().view(), one.view());
    }

    #[test]
    fn a_filter_excludes_also_what_it_includes(
        include in vec(pattern(), 0..3),
        exclude in vec(pattern(), 0..3),
    ) {
        let patterns = |texts: &[String]| texts.iter().map(|text| NamePattern::new(text)).collect();
        let filter = NameFilter { include: patterns(&include), exclude: patterns(&exclude) };
        let any = |texts: &[String], name: &str| {
            texts.iter().any(|text| means(&text.to_ascii_lowercase(), name))
        };
        for name in names() {
            let expected = (include.is_empty() || any(&include, &name)) && !any(&exclude, &name);
            prop_assert_eq!(filter.accepts(&name), expected, "{}", name);
        }
    }
}
