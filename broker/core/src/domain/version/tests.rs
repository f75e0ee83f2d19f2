//! Known cases, from Composer's documentation and its versions in the wild.

use std::cmp::Ordering;

use super::*;

fn normalized(version: &str) -> String {
    normalize(version)
        .unwrap_or_else(|error| panic!("{error}"))
        .to_string()
}

#[test]
fn versions_are_normalised() {
    for (version, expected) in [
        ("1.0.0", "1.0.0.0"),
        ("1.2.3.4", "1.2.3.4"),
        ("1", "1.0.0.0"),
        ("v1.0", "1.0.0.0"),
        ("V1.2.3", "1.2.3.0"),
        (" 1.0\n", "1.0.0.0"),
        ("01.02", "01.02.0.0"),
        ("99999", "99999.0.0.0"),
        ("1.0.0RC1dev", "1.0.0.0-RC1-dev"),
        ("1.0.0-rC15-dev", "1.0.0.0-RC15-dev"),
        ("1.0.0.RC.15-dev", "1.0.0.0-RC15-dev"),
        ("1.0.0-alpha.2.1", "1.0.0.0-alpha2.1"),
        ("1.0-b2", "1.0.0.0-beta2"),
        ("1.0.0.pl3-dev", "1.0.0.0-patch3-dev"),
        ("1.0-p1", "1.0.0.0-patch1"),
        ("1.0-dev", "1.0.0.0-dev"),
        ("1.0-stable", "1.0.0.0"),
        ("1.0-STABLE", "1.0.0.0-stable"),
        ("1.0-", "1.0.0.0"),
        ("1.0.0+build.5", "1.0.0.0"),
        ("1.0@beta", "1.0.0.0"),
        ("1.0 as 2.0", "1.0.0.0"),
        ("dev-main as 1.0.x-dev", "dev-main"),
        ("100000", "100000"),
        ("20100102", "20100102"),
        ("2010-01-02", "2010.01.02"),
        ("2010.1.555", "2010.1.555.0"),
        ("2010-01-02.5", "2010.01.02.5"),
        ("20100102-203040", "20100102.203040"),
        ("20100102203040-10", "20100102203040.10"),
        ("2010-01-02-10-20-30.5-beta", "2010.01.02.10.20.30.5-beta"),
        ("master", "dev-master"),
        ("dev-feature/Foo", "dev-feature/Foo"),
        ("DEV-Feature", "dev-Feature"),
        ("2.x-dev", "2.9999999.9999999.9999999-dev"),
        ("1.9.X.dev", "1.9.9999999.9999999-dev"),
        ("041.x-dev", "041.9999999.9999999.9999999-dev"),
    ] {
        assert_eq!(normalized(version), expected, "{version:?}");
    }
}

#[test]
fn what_is_no_version_is_refused_by_name() {
    for version in [
        "",
        "a",
        "1.0.0-meh",
        "1.0.0.0.0",
        "1.0 .2",
        "1.0.0<1.0.5-dev",
        "feature-foo",
        "foo-dev",
        "1.0.0-5",
        "~1",
        "2010-1",
        "1.0+",
        "@dev",
        "1,0",
        "1.0ü",
    ] {
        let error = normalize(version).unwrap_err();
        assert!(
            error.to_string().contains(&format!("{version:?}")),
            "{error}"
        );
    }
}

#[test]
fn branches_get_numbers_or_a_prefix() {
    for (branch, pretty, normalized) in [
        ("2", "2.x-dev", "2.9999999.9999999.9999999-dev"),
        ("v2.1", "v2.1.x-dev", "2.1.9999999.9999999-dev"),
        ("V2.1", "2.1.x-dev", "2.1.9999999.9999999-dev"),
        ("2.x", "2.x-dev", "2.9999999.9999999.9999999-dev"),
        ("2.1.*", "2.1.x-dev", "2.1.9999999.9999999-dev"),
        ("1.2.3.4", "1.2.3.4-dev", "1.2.3.4-dev"),
        ("main", "dev-main", "dev-main"),
        ("2.1-fix", "dev-2.1-fix", "dev-2.1-fix"),
        ("fix#12", "dev-fix+12", "dev-fix+12"),
        ("1.2.3.4.5", "dev-1.2.3.4.5", "dev-1.2.3.4.5"),
        ("2.", "dev-2.", "dev-2."),
    ] {
        let version = branch_version(branch);
        assert_eq!(
            (version.pretty.as_str(), version.normalized.as_str()),
            (pretty, normalized),
            "{branch:?}"
        );
        assert_eq!(checked_branch_version(branch), Ok(version));
    }
    assert_eq!(normalize_branch("fix#12").as_str(), "dev-fix#12");
    let error = checked_branch_version("a,b").unwrap_err();
    assert!(error.to_string().contains("\"a,b\""), "{error}");
}

#[test]
fn tags_are_versions_but_never_dev_ones() {
    let tag = tag_version("release-v1.2").unwrap();
    assert_eq!(
        (tag.pretty.as_str(), tag.normalized.as_str()),
        ("v1.2", "1.2.0.0")
    );
    for dev in ["dev-main", "1.0-dev", "2.x-dev"] {
        assert_eq!(tag_version(dev), Err(VersionError::DevTag(dev.to_owned())));
    }
    assert!(matches!(
        tag_version("nightly"),
        Err(VersionError::Invalid(_))
    ));
}

#[test]
fn a_declared_version_must_be_the_tags() {
    let tag = tag_version("v1.2").unwrap();
    assert_eq!(tag.with_declared("1.2.0").unwrap().pretty, "1.2.0");
    assert_eq!(tag.with_declared("1.2.0-dev").unwrap().pretty, "1.2.0");
    assert!(matches!(
        tag.with_declared("1.3"),
        Err(VersionError::TagMismatch { .. })
    ));
    assert!(matches!(
        tag.with_declared("one"),
        Err(VersionError::Invalid(_))
    ));
}

#[test]
fn aliases_of_branches_are_checked() {
    for (branch, alias, expected) in [
        ("dev-main", "2.1.x-dev", "2.1.9999999.9999999-dev"),
        ("dev-main", "2-dev", "2.9999999.9999999.9999999-dev"),
        ("dev-main", "9999999-dev", "9999999-dev"),
        ("2.x-dev", "2.1.x-dev", "2.1.9999999.9999999-dev"),
        ("2.x-dev", "2.x-dev", "2.9999999.9999999.9999999-dev"),
    ] {
        assert_eq!(
            valid_branch_alias(branch, alias).unwrap().as_str(),
            expected,
            "{branch} as {alias}"
        );
    }
    for (branch, alias) in [
        ("1.0.0", "1.0.x-dev"),
        ("dev-main", "2.1.x"),
        ("dev-main", "next-dev"),
        ("2.x-dev", "3.0.x-dev"),
        ("2.x-dev", "21.x-dev"),
        ("2.1.x-dev", "2.x-dev"),
    ] {
        let error = valid_branch_alias(branch, alias).unwrap_err();
        assert!(error.to_string().contains(alias), "{error}");
    }
}

#[test]
fn stabilities_are_ordered_and_found() {
    use Stability::{Alpha, Beta, Dev, RC, Stable};
    assert!(Dev < Alpha && Alpha < Beta && Beta < RC && RC < Stable);
    for (version, expected) in [
        ("1", Stable),
        ("1.0.0-patch1", Stable),
        ("1.0-rc1", RC),
        ("1.0b2", Beta),
        ("1.0-alpha11", Alpha),
        ("1.2.0a1", Alpha),
        ("dev-main", Dev),
        ("3.2.x-dev", Dev),
        ("3.2.1-RC1-dev", Dev),
        ("1.0-beta+build-dev.5", Beta),
        ("2.0.0-alpha2#abc", Alpha),
        ("1.0-gamma", Alpha),
        ("b\n#reference\n", Stable),
    ] {
        assert_eq!(Stability::of(version), expected, "{version:?}");
    }
    assert!(normalize("1.0-dev").unwrap().is_dev());
    assert!(normalize("dev-main").unwrap().is_dev());
    assert!(!normalize("1.0-beta").unwrap().is_dev());
}

#[test]
fn versions_sort_from_oldest_to_newest() {
    let sorted = [
        "dev-a",
        "dev-b",
        "1.0.0-STABLE",
        "1.0-dev",
        "1.0-alpha1",
        "1.0-alpha2",
        "1.0-beta",
        "1.0-RC1",
        "1.0-RC2",
        "01.0",
        "1.0",
        "1.0-p1",
        "1.0.0.1",
        "1.9",
        "1.10",
        "1.x-dev",
        "2.0",
        "20100102",
        "2.99999999999999999999",
    ];
    let mut versions: Vec<_> = sorted
        .iter()
        .map(|version| normalize(version).unwrap())
        .collect();
    versions.reverse();
    versions.sort();
    let expected: Vec<_> = sorted.iter().map(|version| normalized(version)).collect();
    let mut found: Vec<_> = versions.iter().map(ToString::to_string).collect();
    // The date is the largest first number of all.
    let date = found.pop().unwrap();
    assert_eq!(date, "20100102");
    assert_eq!(
        found,
        expected
            .into_iter()
            .filter(|version| *version != date)
            .collect::<Vec<_>>()
    );
}

#[test]
fn equal_for_composer_need_not_be_the_same_text() {
    assert_eq!(version_compare("01.0.0.0", "1.0.0.0"), Ordering::Equal);
    assert_ne!(normalize("01.0").unwrap(), normalize("1.0").unwrap());
    let huge = format!("1.{}", "9".repeat(30));
    assert_eq!(version_compare(&huge, &format!("{huge}9")), Ordering::Equal);
}

#[test]
fn a_version_is_stored_as_a_plain_string() {
    let version = normalize("1.0").unwrap();
    let stored = serde_json::to_string(&version).unwrap();
    assert_eq!(stored, "\"1.0.0.0\"");
    assert_eq!(
        serde_json::from_str::<NormalizedVersion>(&stored).unwrap(),
        version
    );
}
