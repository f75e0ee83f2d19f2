use super::*;

fn id(digit: char) -> ObjectId {
    ObjectId::from_hex(digit.to_string().repeat(40).as_bytes()).unwrap()
}

fn direct(name: &str, digit: char) -> Ref {
    Ref::Direct {
        full_ref_name: name.into(),
        object: id(digit),
    }
}

fn refs(advertised: &[Ref]) -> RemoteRefs {
    RemoteRefs::of(advertised, &[])
}

#[test]
fn packed_refs_are_read_back() {
    let annotated = Ref::Peeled {
        full_ref_name: "refs/tags/v1".into(),
        tag: id('a'),
        object: id('b'),
    };
    let found = refs(&[
        direct("refs/heads/main", 'c'),
        annotated,
        direct("refs/tags/v2", 'd'),
    ]);
    assert_eq!(
        RemoteRefs::from_packed(None, &found.to_packed()),
        Some(found)
    );
    assert_eq!(RemoteRefs::from_packed(None, "nonsense"), None);
    assert_eq!(
        RemoteRefs::from_packed(None, &format!("^{}", id('a'))),
        None
    );
}

#[test]
fn only_branches_and_tags_with_proper_names_count() {
    let found = refs(&[
        direct("refs/heads/main", '1'),
        direct("refs/pull/1/head", '2'),
        direct("refs/heads/../../config", '3'),
        direct("refs/heads/a\nb", '4'),
        direct("refs/tags/1.0", '5'),
        direct("refs/tags/1.0^{}", '5'),
    ]);
    assert_eq!(
        found.refs.keys().collect::<Vec<_>>(),
        ["refs/heads/main", "refs/tags/1.0"]
    );
}

#[test]
fn the_default_branch_is_found() {
    let symbolic = |target: &str| Ref::Symbolic {
        full_ref_name: "HEAD".into(),
        target: target.into(),
        tag: None,
        object: id('1'),
    };
    let branches = [
        direct("refs/heads/a", '1'),
        direct("refs/heads/b", '2'),
        direct("refs/heads/main", '3'),
    ];
    for (head, expected) in [
        (Some(symbolic("refs/heads/b")), Some("refs/heads/b")),
        (Some(direct("HEAD", '2')), Some("refs/heads/b")),
        (Some(symbolic("refs/heads/gone")), Some("refs/heads/main")),
        (None, Some("refs/heads/main")),
    ] {
        let all: Vec<_> = branches.iter().cloned().chain(head.clone()).collect();
        assert_eq!(
            refs(&all)
                .default_branch()
                .map(|(name, _)| name.to_owned())
                .as_deref(),
            expected,
            "{head:?}"
        );
    }
    assert_eq!(
        refs(&branches[..1])
            .default_branch()
            .map(|(name, _)| name.to_owned())
            .as_deref(),
        Some("refs/heads/a")
    );
    assert_eq!(refs(&branches[..2]).default_branch(), None);
}

#[test]
fn the_digest_follows_every_ref_and_head() {
    let base = refs(&[direct("refs/heads/main", '1')]);
    let moved = refs(&[direct("refs/heads/main", '2')]);
    let more = refs(&[direct("refs/heads/main", '1'), direct("refs/tags/1", '1')]);
    let head = RemoteRefs {
        head: Some("refs/heads/x".to_owned()),
        ..base.clone()
    };
    let digests = [base.digest(), moved.digest(), more.digest(), head.digest()];
    assert_eq!(
        digests
            .iter()
            .collect::<std::collections::HashSet<_>>()
            .len(),
        4
    );
    assert_eq!(base.digest(), base.clone().digest());
}

#[test]
fn of_too_many_refs_the_newest_versions_are_taken() {
    let mut many = vec![
        direct("HEAD", '2'),
        direct("refs/heads/zz", '2'),
        direct("refs/heads/1.x", '1'),
        direct("refs/heads/renovate/all", '1'),
    ];
    many.extend((0..MAX_REFS).map(|n| direct(&format!("refs/tags/1.{n}.0"), '1')));
    many.extend((0..10).map(|n| direct(&format!("refs/tags/build-{n}"), '1')));
    let found = refs(&many);
    assert_eq!(found.refs.len(), MAX_REFS);
    assert_eq!(found.left_out, many.len() - 1 - MAX_REFS);
    assert_eq!(found.default_branch().unwrap().0, "refs/heads/zz");
    let last = MAX_REFS - 1;
    for (name, taken) in [
        ("refs/heads/zz".to_owned(), true),
        (format!("refs/tags/1.{last}.0"), true),
        ("refs/tags/1.1.0".to_owned(), true),
        ("refs/tags/1.0.0".to_owned(), false),
        ("refs/heads/1.x".to_owned(), false),
        ("refs/tags/build-1".to_owned(), false),
    ] {
        assert_eq!(found.refs.contains_key(&name), taken, "{name}");
    }

    // The order they come in decides nothing.
    let reversed: Vec<_> = many.iter().rev().cloned().collect();
    assert_eq!(refs(&reversed), found);

    // What makes no version goes first.
    let some: Vec<_> = [&many[..4], &many[13..]].concat();
    let found = refs(&some);
    assert_eq!(found.left_out, some.len() - 1 - MAX_REFS);
    assert!(found.refs.contains_key("refs/heads/1.x"));
    assert!(!found.refs.contains_key("refs/tags/build-9"));

    // That some were left out is part of what the remote is, but no reason to fetch.
    let whole = RemoteRefs {
        left_out: 0,
        ..found.clone()
    };
    assert!(whole.is_at(&found));
    assert_ne!(whole.digest(), found.digest());
}

#[test]
fn what_is_not_wanted_is_left_out_but_for_the_default_branch() {
    let advertised = [
        direct("HEAD", '2'),
        direct("refs/heads/main", '2'),
        direct("refs/heads/2.x", '3'),
        direct("refs/heads/feature/a", '3'),
        direct("refs/tags/v1.0.0", '1'),
        direct("refs/tags/nightly", '1'),
    ];
    let wanted = ["refs/tags/v*", "refs/heads/*.x"].map(RefPattern::new);
    let found = RemoteRefs::of(&advertised, &wanted);
    let names: Vec<&str> = found.refs.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["refs/heads/2.x", "refs/heads/main", "refs/tags/v1.0.0"]
    );
    assert_eq!(found.left_out, 0);
    assert_eq!(found.default_branch().unwrap().0, "refs/heads/main");
}
