//! Archives that are broken, or made to harm: each is left out with its reason, and none stops the others.

use tar::EntryType;

use super::{
    build::{Artifacts, Tar, bzip2, composer_json, gzip, package_tar, package_zip, zip},
    by_file, names, survey,
};

struct Case {
    file: &'static str,
    bytes: Vec<u8>,
    reason: &'static str,
}

fn case(file: &'static str, bytes: impl Into<Vec<u8>>, reason: &'static str) -> Case {
    Case {
        file,
        bytes: bytes.into(),
        reason,
    }
}

fn with_json(text: &str) -> Vec<u8> {
    zip(&[("composer.json", text.as_bytes())])
}

fn good_json() -> Vec<u8> {
    composer_json("acme/bad", "1.0").into_bytes()
}

/// Flips a byte somewhere in the compressed content of the first file.
fn damaged(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[48] ^= 0x55;
    bytes
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_zips() -> Vec<Case> {
    let json = good_json();
    let good = package_zip("acme/bad", "1.0");
    let cut = good[..good.len() / 2].to_vec();
    let mut garbage_directory = good.clone();
    let end = garbage_directory.len() - 22;
    garbage_directory[end + 16..end + 20].copy_from_slice(&[0xff, 0xff, 0xff, 0x0f]);
    let mut encrypted = zip(&[("composer.json", &json)]);
    set_central(&mut encrypted, 8, 1);
    let mut unknown_method = zip(&[("composer.json", &json)]);
    set_central(&mut unknown_method, 10, 97);
    vec![
        case("empty.zip", "", "it is empty"),
        case("page.zip", "<html>login</html>", "it is a web page"),
        case("text.zip", "just text", "it does not begin like one"),
        case("cut.zip", cut, "it was cut off"),
        case(
            "directory.zip",
            garbage_directory,
            "not a readable zip archive",
        ),
        case("no-files.zip", zip(&[]), "no composer.json"),
        case(
            "no-json.zip",
            zip(&[("lib/a.php", b"<?php")]),
            "no composer.json",
        ),
        case(
            "deep.zip",
            zip(&[("a/b/composer.json", &json)]),
            "no composer.json",
        ),
        case(
            "folder.zip",
            zip(&[("composer.json/", b""), ("composer.json/a", b"")]),
            "no composer.json",
        ),
        case(
            "two.zip",
            zip(&[("a/composer.json", &json), ("b/x", b"")]),
            "several things there: a, b",
        ),
        case(
            "beside.zip",
            zip(&[("README", b"x"), ("a/composer.json", &json)]),
            "README",
        ),
        case(
            "up.zip",
            zip(&[("composer.json", &json), ("../../etc/cron.d/x", b"")]),
            "leads out of the archive",
        ),
        case(
            "absolute.zip",
            zip(&[("composer.json", &json), ("/etc/passwd", b"")]),
            "leads out of the archive",
        ),
        case(
            "windows.zip",
            zip(&[("composer.json", &json), ("a\\..\\..\\x", b"")]),
            "leads out of the archive",
        ),
        case(
            "drive.zip",
            zip(&[("composer.json", &json), ("C:\\x", b"")]),
            "leads out of the archive",
        ),
        case(
            "dots.zip",
            zip(&[("./composer.json", &json)]),
            "begin with \"./\"",
        ),
        case(
            "bomb.zip",
            zip(&[("composer.json", &vec![b' '; 30 << 20])]),
            "larger than 1048576 bytes",
        ),
        case("encrypted.zip", encrypted, "not a readable zip archive"),
        case("method.zip", unknown_method, "not a readable zip archive"),
        case(
            "damaged.zip",
            damaged(zip(&[("composer.json", &json)])),
            "not a readable zip archive",
        ),
        case("twice.zip", twice(&json), "two files of one name"),
    ]
}

/// Writes a field of the first entry of the directory, and of its local header.
fn set_central(zip: &mut [u8], offset: usize, value: u8) {
    let central = zip
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    zip[central + offset] = value;
    zip[offset - 2] = value;
}

/// A zip with two entries called composer.json: which one counts depends on who reads it.
fn twice(json: &[u8]) -> Vec<u8> {
    let mut bytes = zip(&[("composer.json", json), ("composer.jsom", b"{}")]);
    let places: Vec<usize> = bytes
        .windows(13)
        .enumerate()
        .filter(|(_, window)| *window == b"composer.jsom")
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at + 12] = b'n';
    }
    bytes
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_tars() -> Vec<Case> {
    let json = good_json();
    let gz = gzip(&package_tar("acme/bad", "1.0"));
    let bz2 = bzip2(&package_tar("acme/bad", "1.0"));
    let mut checksum = package_tar("acme/bad", "1.0");
    checksum[0] ^= 1;
    let mut crc = gz.clone();
    let trailer = crc.len() - 8;
    crc[trailer] ^= 1;
    let pax = b"18 size=123456789\n";
    vec![
        case("empty.tar", "", "it is empty"),
        case("zeros.tar", vec![0; 10_240], "it does not begin like one"),
        case(
            "zip.tar",
            package_zip("acme/bad", "1.0"),
            "it does not begin like one",
        ),
        case(
            "plain.tar.gz",
            package_tar("acme/bad", "1.0"),
            "it does not begin like one",
        ),
        case(
            "plain.tar.bz2",
            package_tar("acme/bad", "1.0"),
            "it does not begin like one",
        ),
        case("checksum.tar", checksum, "not a readable tar archive"),
        case(
            "cut.tar",
            package_tar("acme/bad", "1.0")[..1100].to_vec(),
            "not a readable tar archive",
        ),
        case(
            "cut.tar.gz",
            gz[..gz.len() - 12].to_vec(),
            "not a readable tar archive",
        ),
        case(
            "cut.tar.bz2",
            bz2[..bz2.len() - 12].to_vec(),
            "not a readable tar archive",
        ),
        case("crc.tgz", crc, "not a readable tar archive"),
        case(
            "dots.tar",
            Tar::new()
                .folder("./")
                .file("./composer.json", &json)
                .done(),
            "begin with \"./\"",
        ),
        case(
            "up.tar",
            Tar::new()
                .file("composer.json", &json)
                .file("a/../../x", b"")
                .done(),
            "leads out",
        ),
        case(
            "absolute.tar",
            Tar::new()
                .file("composer.json", &json)
                .file("/x", b"")
                .done(),
            "leads out",
        ),
        case(
            "two.tar",
            Tar::new()
                .file("a/composer.json", &json)
                .file("b/x", b"")
                .done(),
            "several things there",
        ),
        case(
            "twice.tar",
            Tar::new()
                .file("composer.json", &json)
                .file("composer.json", b"{}")
                .done(),
            "two files of one name",
        ),
        case(
            "link.tar",
            Tar::new()
                .entry(EntryType::Symlink, "composer.json", b"")
                .done(),
            "no composer.json",
        ),
        case(
            "bomb.tar.gz",
            gzip(
                &Tar::new()
                    .file("composer.json", &vec![b' '; 8 << 20])
                    .done(),
            ),
            "larger than 1048576",
        ),
        case(
            "name.tar.gz",
            gzip(
                &Tar::new()
                    .entry(EntryType::GNULongName, "x", &vec![b'a'; 8 << 20])
                    .done(),
            ),
            "a name in it is longer",
        ),
        case(
            "sizes.tar",
            Tar::new()
                .entry(EntryType::XHeader, "x", pax)
                .file("composer.json", &json)
                .done(),
            "two sizes",
        ),
        case(
            "lies.tar",
            Tar::new()
                .lying(EntryType::Regular, "composer.json", &json, 900_000)
                .done(),
            "not a readable tar archive",
        ),
        case(
            "newer.tar.xz",
            [0xfd, b'7', b'z', b'X', b'Z', 0],
            "xz archives are not read",
        ),
    ]
}

fn bad_composer_jsons() -> Vec<Case> {
    vec![
        case("json-empty.zip", with_json(""), "not a JSON object"),
        case(
            "json-cut.zip",
            with_json(r#"{"name":"acme/bad","#),
            "not a JSON object",
        ),
        case("json-list.zip", with_json("[1,2]"), "not a JSON object"),
        case(
            "json-text.zip",
            with_json("\"acme/bad\""),
            "not a JSON object",
        ),
        case(
            "json-bytes.zip",
            zip(&[("composer.json", b"{\"name\":\"\xff\"}")]),
            "not a JSON object",
        ),
        case(
            "json-deep.zip",
            with_json(&"[".repeat(100_000)),
            "not a JSON object",
        ),
        case("json-none.zip", with_json("{}"), "no name"),
        case(
            "json-name.zip",
            with_json(r#"{"name":"Not A Name","version":"1.0"}"#),
            "is not a package name",
        ),
        case(
            "json-name-path.zip",
            with_json(r#"{"name":"../../x","version":"1.0"}"#),
            "is not a package name",
        ),
        case(
            "json-version.zip",
            with_json(r#"{"name":"acme/bad"}"#),
            "no version",
        ),
        case(
            "json-blank.zip",
            with_json(r#"{"name":"acme/bad","version":" "}"#),
            "no version",
        ),
        case(
            "json-words.zip",
            with_json(r#"{"name":"acme/bad","version":"banana split"}"#),
            "banana split",
        ),
    ]
}

#[tokio::test]
async fn each_bad_archive_is_left_out_with_its_reason_and_the_good_ones_stay() {
    let cases: Vec<Case> = [bad_zips(), bad_tars(), bad_composer_jsons()]
        .into_iter()
        .flatten()
        .collect();
    let folder = Artifacts::new();
    for case in &cases {
        folder.put(case.file, &case.bytes);
    }
    folder.put("good.zip", &package_zip("acme/good", "1.0"));
    folder.put("good.tgz", &gzip(&package_tar("acme/other", "1.0")));
    let survey = survey(folder.path()).await;
    assert_eq!(names(&survey), ["acme/good", "acme/other"]);
    let skipped = by_file(&survey.skipped);
    for case in &cases {
        let found = skipped.iter().find(|(file, _)| *file == case.file);
        let (_, reason) = found.unwrap_or_else(|| panic!("{} was not left out", case.file));
        assert!(reason.contains(case.reason), "{}: {reason}", case.file);
    }
    assert_eq!(skipped.len(), cases.len(), "{skipped:?}");
}

#[tokio::test]
async fn of_very_many_bad_files_the_rest_is_counted() {
    let folder = Artifacts::new();
    for number in 0..230 {
        folder.put(&format!("{number:03}.zip"), b"bad");
    }
    let survey = survey(folder.path()).await;
    assert_eq!(survey.skipped.len(), 200);
    assert_eq!(survey.skipped.last().unwrap().version, "31 more files");
}
