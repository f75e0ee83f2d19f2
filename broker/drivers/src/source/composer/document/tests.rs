use super::*;

fn parse(text: &str) -> PackageFile {
    PackageFile::parse(text.as_bytes(), &PackageName::parse("acme/lib").unwrap()).unwrap()
}

fn versions(file: &PackageFile) -> Vec<String> {
    file.versions
        .iter()
        .map(|fields| fields.read("version").unwrap_or_default())
        .collect()
}

#[test]
fn lists_and_objects_of_versions_are_the_same() {
    for text in [
        r#"{"packages":{"acme/lib":[{"version":"1.0"},{"version":"2.0"}]}}"#,
        r#"{"packages":{"acme/lib":{"1.0":{"version":"1.0"},"2.0":{"version":"2.0"}}}}"#,
        r#"{"packages":{"x/y":[{"version":"9"}],"Acme/Lib":[{"version":"1.0"},{"version":"2.0"}]},"more":{}}"#,
        r#"{"packages":{"ACME/lib":[],"acme/lib":[{"version":"1.0"},{"version":"2.0"}]}}"#,
    ] {
        assert_eq!(versions(&parse(text)), ["1.0", "2.0"], "{text}");
    }
}

#[test]
fn minified_entries_are_expanded_wherever_the_flag_stands() {
    let entries = r#"[{"version":"2.0","type":"library","homepage":"h"},{"version":"1.0","homepage":"__unset"},[]]"#;
    for text in [
        format!(r#"{{"minified":"composer/2.0","packages":{{"acme/lib":{entries}}}}}"#),
        format!(r#"{{"packages":{{"acme/lib":{entries}}},"minified":"composer/2.0"}}"#),
    ] {
        let file = parse(&text);
        assert_eq!(versions(&file), ["2.0", "1.0", "1.0"]);
        assert_eq!(
            file.versions[1].read::<String>("type").as_deref(),
            Some("library")
        );
        assert!(file.versions[1].get("homepage").is_none());
    }
    let plain = parse(&format!(r#"{{"packages":{{"acme/lib":{entries}}}}}"#));
    assert!(plain.versions[1].get("type").is_none());
}

#[test]
fn presence_is_told_from_emptiness() {
    assert!(parse(r#"{"packages":{"acme/lib":[]}}"#).present);
    assert!(parse(r#"{"packages":{"acme/lib":{}}}"#).present);
    assert!(parse(r#"{"packages":{"acme/lib":null}}"#).present);
    for text in [
        r#"{"packages":[]}"#,
        "{}",
        "[]",
        r#"{"packages":null}"#,
        r#"{"packages":{"x/y":[]}}"#,
    ] {
        assert!(!parse(text).present, "{text}");
    }
}

#[test]
fn entries_that_are_no_objects_do_not_fail_the_rest() {
    let file = parse(
        r#"{"packages":{"acme/lib":[{"version":"1.0"},"x",3,-1,1.5,null,true,[1,[2]],{"version":"2.0"}]}}"#,
    );
    assert_eq!(versions(&file), ["1.0", "2.0"]);
    assert_eq!(file.skipped.len(), 7);
    assert_eq!(file.skipped[0].version, "entry 2");
}

#[test]
fn what_is_no_document_is_an_error_with_its_place() {
    let name = PackageName::parse("acme/lib").unwrap();
    for text in [
        "",
        "<html>",
        "{",
        r#"{"packages":"x"}"#,
        r#"{"packages":{"acme/lib":"x"}}"#,
        "{} x",
        "[1]",
        "7",
    ] {
        let error = PackageFile::parse(text.as_bytes(), &name).unwrap_err();
        assert!(error.to_string().contains("line"), "{text}: {error}");
    }
}
