use super::*;

/// 32 bytes.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const ROW: Row<'static> = Row::new("kind", "name");

fn ids(ring: &KeyRing) -> Vec<&str> {
    ring.ids().map(KeyId::as_str).collect()
}

#[test]
fn a_ring_is_read_with_comments_and_blank_lines() {
    let unpadded = KEY.trim_end_matches('=');
    let text = format!("# of 2031\r\nnew-1 {KEY}\r\n\n  # old ones\n\told\t {unpadded} \n0 {KEY}");
    let ring = KeyRing::parse(&text).unwrap();
    assert_eq!(ids(&ring), ["new-1", "old", "0"]);
    assert_eq!(ring.primary().as_str(), "new-1");
}

#[test]
fn a_line_that_cannot_be_used_is_named_and_never_shown() {
    let long = "a".repeat(33);
    for (line, told) in [
        (KEY.to_owned(), "does not begin with an id"),
        (format!("{long} {KEY}"), "does not begin with an id"),
        (format!("Old {KEY}"), "does not begin with an id"),
        (format!("{KEY} old"), "does not begin with an id"),
        ("hidden".to_owned(), "no key"),
        (format!("old {KEY} # mine"), "comment on a line of its own"),
        ("old hidden!".to_owned(), "not base64"),
        (format!("old {KEY}{KEY}"), "not base64"),
        (
            format!("old {}", &KEY[..40]),
            "has a key of 30 bytes, not 32",
        ),
        (format!("old AAAA{KEY}"), "has a key of 35 bytes, not 32"),
        (format!("first {KEY}"), "has the id of line 2 again"),
    ] {
        let error = KeyRing::parse(&format!("# ring\nfirst {KEY}\n{line}\n")).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("line 3 of the key ring") && text.contains(told),
            "{text}"
        );
        assert!(!text.contains("AAEC") && !text.contains("hidden"), "{text}");
    }
    for nothing in ["", "\n # nothing\n"] {
        assert_eq!(KeyRing::parse(nothing).unwrap_err(), KeyRingError::Empty);
    }
}

#[test]
fn a_new_key_seals_and_the_old_ones_open() {
    let old = KeyRing::generate().unwrap();
    let new = old.with_new_primary().unwrap();
    assert_eq!(ids(&new)[1..], ids(&old)[..]);
    let before = old.seal(ROW, b"hush").unwrap();
    let after = new.seal(ROW, b"hush").unwrap();
    assert_eq!((&before.key, &after.key), (old.primary(), new.primary()));
    for sealed in [&before, &after] {
        assert_eq!(new.open(ROW, sealed).unwrap().as_slice(), b"hush");
    }
    assert!(old.open(ROW, &after).is_err());
}

#[test]
fn a_ring_comes_back_from_its_text() {
    let ring = KeyRing::generate().unwrap().with_new_primary().unwrap();
    let sealed = ring.seal(ROW, b"hush").unwrap();
    let text = ring.to_text();
    let again = KeyRing::parse(text.expose_secret()).unwrap();
    assert_eq!(ids(&again), ids(&ring));
    assert_eq!(again.open(ROW, &sealed).unwrap().as_slice(), b"hush");
    let written = KeyRing::parse(&format!("old {KEY}")).unwrap().to_text();
    assert_eq!(written.expose_secret(), &format!("{HEADING}old {KEY}\n"));
}

#[test]
fn debug_shows_ids_only() {
    let ring = KeyRing::parse(&format!("old {KEY}")).unwrap();
    assert_eq!(format!("{ring:?}"), r#"KeyRing ["old"]"#);
}
