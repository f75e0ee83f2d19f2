//! Known cases, from Composer's documentation of constraints.

use super::super::normalize;
use super::*;

fn matches(constraint: &str, version: &str) -> bool {
    let constraint = Constraint::parse(constraint).unwrap_or_else(|error| panic!("{error}"));
    constraint.matches(&normalize(version).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn documented_ranges_match_what_they_promise() {
    for (constraint, inside, outside) in [
        (
            "1.0.2",
            vec!["1.0.2", "v1.0.2.0"],
            vec!["1.0.3", "1.0.2-beta"],
        ),
        (">=1.0", vec!["1.0", "1.0-alpha", "7"], vec!["0.9"]),
        (">=1.0 <2.0", vec!["1.0", "1.9.9"], vec!["2.0", "2.0-beta"]),
        (">=1.0,<1.1 || >=1.2", vec!["1.0.5", "1.2"], vec!["1.1"]),
        ("<1.0|>2.0", vec!["0.9", "2.1"], vec!["1.0", "2.0"]),
        ("1.0 - 2.0", vec!["1.0", "2.0.9"], vec!["2.1"]),
        ("1.0.0 - 2.1.0", vec!["2.1.0"], vec!["2.1.1"]),
        ("1.0.*", vec!["1.0.7"], vec!["1.1"]),
        ("0.*", vec!["0.0.0-alpha", "0.9"], vec!["1.0"]),
        ("~1.2", vec!["1.2", "1.9"], vec!["2.0", "1.1"]),
        ("~1.2.3", vec!["1.2.3", "1.2.9"], vec!["1.3"]),
        ("~1", vec!["1.5"], vec!["2.0-dev"]),
        ("^1.2.3", vec!["1.2.3", "1.9"], vec!["2.0", "1.2.2"]),
        ("^0.3", vec!["0.3.9"], vec!["0.4"]),
        ("^0.0.3", vec!["0.0.3"], vec!["0.0.4"]),
        ("!=1.0", vec!["1.1", "dev-main"], vec!["1.0"]),
        ("*", vec!["1.0", "dev-main"], vec![]),
        ("v*", vec!["1.0"], vec!["dev-main"]),
        ("@dev", vec!["dev-main", "1.0"], vec![]),
        ("dev-main", vec!["dev-main"], vec!["dev-other", "1.0"]),
        ("dev-main#abc123", vec!["dev-main"], vec!["dev-other"]),
        ("main-dev", vec!["dev-main"], vec![]),
        ("1.x-dev#abc", vec!["1.x-dev"], vec!["1.0"]),
        ("2.1.x-dev as 2.0", vec!["2.1.x-dev"], vec!["2.0"]),
        ("^2.1@dev", vec!["2.x-dev"], vec!["3.x-dev"]),
        (">=1.0@beta", vec!["1.0-beta", "1.0"], vec!["1.0-alpha"]),
        (
            ">=1.0-RC1",
            vec!["1.0-RC1", "1.0-RC1-dev"],
            vec!["1.0-beta9"],
        ),
        (">=1.0-beta1", vec!["1.0-beta1"], vec!["1.0-beta1-dev"]),
        (">1.0", vec!["1.0-p1"], vec!["1.0", "1.0-beta"]),
        ("^1 || ^2 || ^3", vec!["1.0", "2.5", "3.9"], vec!["4.0"]),
    ] {
        for version in inside {
            assert!(
                matches(constraint, version),
                "{version} should match {constraint:?}"
            );
        }
        for version in outside {
            assert!(
                !matches(constraint, version),
                "{version} should not match {constraint:?}"
            );
        }
    }
}

#[test]
fn what_composer_refuses_is_refused() {
    for constraint in [
        "",
        "foo",
        "1.0.0-meh",
        ">2.0,,<=3.0",
        ">2.0 ,, <=3.0",
        "~>1.2",
        "^",
        "~",
        "=>1.0",
        "1.0 -2.0",
        "1.0  -  2.0",
        "^8||",
        "||1.0",
        "1.0 || || 2.0",
        "dev-foo bar baz, ",
        "~1.x",
        "^1.*",
        "1.2.3.4.*",
        "self.version",
    ] {
        assert!(Constraint::parse(constraint).is_err(), "{constraint:?}");
        assert!(!is_valid_constraint(constraint), "{constraint:?}");
    }
}

#[test]
fn the_error_names_the_constraint_the_part_and_the_fix() {
    let error = Constraint::parse("^1.0 || ~>2.0").unwrap_err();
    let expected = r#"invalid version constraint "^1.0 || ~>2.0": "~>2.0" has the operator "~>": write "~" instead"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn touching_alternatives_are_joined_as_composer_joins_them() {
    // Apart, the second alternative would match; joined, the range is empty.
    assert!(!matches(">=3 <1 || >=1 <2", "1.5"));
    assert!(matches(">=1 <2 || >=2 <3", "2.0"));
}

#[test]
fn common_forms_need_no_parsing() {
    for constraint in [
        "*",
        "^1.2",
        "~1.2.3",
        ">=5.3.0",
        "1.0.*",
        "^7.4 || ^8.0",
        "^1|^2",
        "12.0.0.1",
        "^1.2.3.4",
    ] {
        assert!(parse::is_common(constraint), "{constraint:?}");
        assert!(Constraint::parse(constraint).is_ok(), "{constraint:?}");
    }
    for constraint in [
        "",
        "^",
        "1.2.3.4.*",
        "^100000",
        "^1.2.3.4.5",
        "1.",
        ".1",
        "dev-main",
        "^1 ^2",
    ] {
        assert!(!parse::is_common(constraint), "{constraint:?}");
    }
}

#[test]
fn a_constraint_is_shown_as_written() {
    assert_eq!(
        "^1.0 | ^2".parse::<Constraint>().unwrap().to_string(),
        "^1.0 | ^2"
    );
}
