//! What is found in a folder, where it is looked for, and how archives come out of it.

use std::{fs, os::unix::fs::symlink, process::Command};

use package_broker_core::{
    domain::archive::ArchiveFormat,
    ports::source::{Source, SourceError},
};
use sha1::{Digest, Sha1};

use super::{
    build::{Artifacts, Tar, bzip2, composer_json, gzip, package_tar, package_zip, zip},
    by_file, dist, names, open, open_with, read, survey, versions,
};
use crate::support::source::{fetch_archive, loopback, wanted};

#[tokio::test]
async fn every_format_is_read_with_its_checksum() {
    let folder = Artifacts::new();
    let tar = package_tar("acme/lib", "0");
    let files = [
        ("a.zip", package_zip("acme/lib", "1.0"), "zip"),
        ("b.tar", package_tar("acme/lib", "1.1"), "tar"),
        ("c.tar.gz", gzip(&package_tar("acme/lib", "1.2")), "tar"),
        ("d.tgz", gzip(&package_tar("acme/lib", "1.3")), "tar"),
        ("e.tar.bz2", bzip2(&package_tar("acme/lib", "1.4")), "tar"),
        ("F.ZIP", package_zip("acme/lib", "1.5"), "zip"),
        ("g.tar", gzip(&package_tar("acme/lib", "1.6")), "tar"),
    ];
    for (file, bytes, _) in &files {
        folder.put(file, bytes);
    }
    folder.put("notes.txt", b"not an archive");
    folder.put("single.gz", &gzip(&tar));
    let survey = survey(folder.path()).await;
    assert_eq!(by_file(&survey.skipped), []);
    let found = read(&survey, "acme/lib").await;
    assert_eq!(found.versions.len(), files.len());
    for (file, bytes, kind) in &files {
        let url = format!("file:{file}");
        let dist = found
            .versions
            .iter()
            .map(dist)
            .find(|dist| dist.url == url)
            .unwrap();
        let sha1 = hex::encode(Sha1::digest(bytes));
        assert_eq!(
            (dist.kind.as_str(), dist.reference, dist.shasum),
            (*kind, Some(sha1.clone()), Some(sha1)),
            "{file}"
        );
    }
    assert_eq!(
        versions(&survey, "acme/lib").await,
        ["1.6", "1.5", "1.4", "1.3", "1.2", "1.1", "1.0"]
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn composer_json_is_found_where_composer_finds_it() {
    let folder = Artifacts::new();
    let json = |version: &str| composer_json("acme/lib", version).into_bytes();
    let long = format!("{}/", "l".repeat(150));
    let pax = format!("{}/composer.json", "p".repeat(150));
    let record = format!("{} path={pax}\n", pax.len() + 10);
    assert_eq!(record.len(), pax.len() + 10);
    let tar_top = Tar::new()
        .file("README", b"x")
        .file("composer.json", &json("5"))
        .folder("src/")
        .folder("tests/");
    let gnu = Tar::new()
        .entry(
            tar::EntryType::GNULongName,
            "././@LongLink",
            format!("{long}composer.json\0").as_bytes(),
        )
        .file("cut-off", &json("7"));
    let pax = Tar::new()
        .entry(
            tar::EntryType::XGlobalHeader,
            "pax_global_header",
            b"11 x=12345\n",
        )
        .entry(tar::EntryType::XHeader, "PaxHeaders/x", record.as_bytes())
        .file("cut-off", &json("8"));
    for (file, bytes) in [
        (
            "top.zip",
            zip(&[
                ("README", b"x"),
                ("composer.json", &json("1")),
                ("a/composer.json", b"{}"),
                ("b/x", b""),
            ]),
        ),
        (
            "implied.zip",
            zip(&[("a/src/x", b""), ("a/composer.json", &json("2"))]),
        ),
        (
            "mac.zip",
            zip(&[("__MACOSX/a/._x", b""), ("a/composer.json", &json("3"))]),
        ),
        (
            "stored.zip",
            zip(&[
                ("a/", b""),
                ("a/composer.json", &json("4")),
                ("a/composer.json.dist", b""),
            ]),
        ),
        ("top.tar", tar_top.done()),
        (
            "beside.tar",
            Tar::new()
                .file("package.xml", b"x")
                .folder("a/")
                .file("a/composer.json", &json("6"))
                .done(),
        ),
        ("gnu.tar", gnu.done()),
        ("pax.tar", pax.done()),
    ] {
        folder.put(file, &bytes);
    }
    let survey = survey(folder.path()).await;
    assert_eq!(by_file(&survey.skipped), []);
    assert_eq!(
        versions(&survey, "acme/lib").await,
        ["8", "7", "6", "5", "4", "3", "2", "1"]
    );
}

#[tokio::test]
async fn archives_of_real_programs_are_read() {
    let (work, folder) = (Artifacts::new(), Artifacts::new());
    work.put(
        "lib/composer.json",
        composer_json("acme/lib", "1.0").as_bytes(),
    );
    work.put(
        &format!("lib/{}/deep.php", "long-folder-name/".repeat(12)),
        b"<?php",
    );
    for (file, flags) in [
        ("gnu.tar", "--format=gnu"),
        ("pax.tar", "--format=pax"),
        ("old.tar", "--format=ustar"),
    ] {
        let mut tar = Command::new("tar");
        tar.arg("-cf")
            .arg(folder.path().join(file))
            .arg(flags)
            .arg("-C")
            .arg(work.path())
            .arg("lib");
        assert!(tar.status().unwrap().success());
    }
    let survey = survey(folder.path()).await;
    assert_eq!(by_file(&survey.skipped), []);
    let found = read(&survey, "acme/lib").await;
    assert_eq!((found.versions.len(), found.skipped.len()), (1, 2));
}

#[tokio::test]
async fn of_two_files_with_one_version_the_first_by_path_stands() {
    let folder = Artifacts::new();
    folder.put("b/lib.zip", &package_zip("acme/lib", "1.0"));
    folder.put("a/lib.tar", &package_tar("acme/lib", "v1.0.0"));
    folder.put("c/lib.zip", &package_zip("acme/lib", "2.0"));
    let found = read(&survey(folder.path()).await, "acme/lib").await;
    let urls: Vec<String> = found
        .versions
        .iter()
        .map(|fields| dist(fields).url)
        .collect();
    assert_eq!(urls, ["file:a/lib.tar", "file:c/lib.zip"]);
    assert_eq!(
        by_file(&found.skipped),
        [(
            "b/lib.zip",
            "another file with version 1.0.0.0 comes first by its path"
        )]
    );
}

#[tokio::test]
async fn hidden_files_are_passed_over_and_links_followed_inside_only() {
    let (folder, elsewhere) = (Artifacts::new(), Artifacts::new());
    let outside = elsewhere.put("secret.zip", &package_zip("acme/secret", "1.0"));
    folder.put(".upload.zip", &package_zip("acme/hidden", "1.0"));
    folder.put("..2026/volume.zip", &package_zip("acme/volume", "1.0"));
    folder.put("..2026/sub/deeper.zip", &package_zip("acme/deeper", "1.0"));
    folder.put("real/lib.zip", &package_zip("acme/lib", "1.0"));
    let link = |target: &str, name: &str| symlink(target, folder.path().join(name)).unwrap();
    link("..2026", "..data");
    link("..data/volume.zip", "volume.zip");
    link("..data/sub", "sub");
    link("real/lib.zip", "again.zip");
    link("../..", "real/up");
    link(".", "loop");
    link("round.zip", "round.zip");
    link(outside.to_str().unwrap(), "out.zip");
    link(elsewhere.path().to_str().unwrap(), "out");
    link("/etc/hostname", "plain");
    let survey = survey(folder.path()).await;
    assert_eq!(names(&survey), ["acme/deeper", "acme/lib", "acme/volume"]);
    let skipped = by_file(&survey.skipped);
    let files: Vec<&str> = skipped.iter().map(|(file, _)| *file).collect();
    assert_eq!(files, ["out", "out.zip", "real/up", "round.zip"]);
    assert!(
        skipped[1].1.contains("leads out of the folder"),
        "{skipped:?}"
    );
    assert_eq!(
        dist(&read(&survey, "acme/lib").await.versions[0]).url,
        "file:real/lib.zip"
    );
    assert_eq!(
        dist(&read(&survey, "acme/deeper").await.versions[0]).url,
        "file:sub/deeper.zip"
    );
}

#[tokio::test]
async fn folders_within_folders_end_somewhere() {
    let folder = Artifacts::new();
    folder.put(
        &format!("{}lib.zip", "d/".repeat(32)),
        &package_zip("acme/lib", "1.0"),
    );
    folder.put(
        &format!("{}lib.zip", "e/".repeat(33)),
        &package_zip("acme/deep", "1.0"),
    );
    let survey = survey(folder.path()).await;
    assert_eq!(names(&survey), ["acme/lib"]);
    assert!(
        survey.skipped[0].reason.contains("deeper than 32 folders"),
        "{:?}",
        survey.skipped
    );
}

#[tokio::test]
async fn an_archive_comes_out_as_it_is() {
    let folder = Artifacts::new();
    let noise: Vec<u8> = (0..700_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let noise = &noise[..900_000];
    let bytes = zip(&[
        ("composer.json", composer_json("acme/lib", "1.0").as_bytes()),
        ("noise", noise),
    ]);
    folder.put("odd %23 #1?.zip", &bytes);
    let source = open(folder.path());
    let survey = source.survey(None).await.unwrap();
    let dist = read(&survey, "acme/lib").await.versions[0]
        .get("dist")
        .unwrap()
        .text()
        .to_owned();
    let reference = hex::encode(Sha1::digest(&bytes));
    let mut wanted = wanted(&dist, Some(&reference));
    wanted.format = ArchiveFormat::Zip;
    assert!(fetch_archive(&source, &wanted).await.unwrap() == bytes);
}

#[tokio::test]
async fn archives_that_are_not_there_or_not_inside_are_gone() {
    let (folder, elsewhere) = (Artifacts::new(), Artifacts::new());
    let outside = elsewhere.put("secret.zip", &package_zip("acme/secret", "1.0"));
    symlink(&outside, folder.path().join("link.zip")).unwrap();
    symlink(elsewhere.path(), folder.path().join("out")).unwrap();
    folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    fs::create_dir(folder.path().join("folder.zip")).unwrap();
    let source = open(folder.path());
    let absolute = format!("file:{}", outside.display());
    let above = format!(
        "file:../{}/secret.zip",
        elsewhere.path().file_name().unwrap().to_str().unwrap()
    );
    for (url, reference) in [
        ("file:missing.zip", "aa"),
        ("file:link.zip", "aa"),
        ("file:out/secret.zip", "aa"),
        (&absolute, "aa"),
        (&above, "aa"),
        ("file:", "aa"),
        ("file:./lib.zip", "aa"),
        ("lib.zip", "aa"),
        ("https://example.com/lib.zip", "aa"),
        ("file:folder.zip", "aa"),
        ("file:lib.zip", "bb"),
    ] {
        let dist = format!(r#"{{"type":"zip","url":"{url}","reference":"aa"}}"#);
        let result = fetch_archive(&source, &wanted(&dist, Some(reference))).await;
        assert!(
            matches!(result, Err(SourceError::Gone { .. })),
            "{url}: {result:?}"
        );
    }
}

#[tokio::test]
async fn the_folder_must_be_there_and_allowed() {
    let folder = Artifacts::new();
    let path = folder.path().to_str().unwrap();
    let forbidden = open_with(
        path,
        package_broker_drivers::source::egress::EgressPolicy::default(),
    );
    let message = forbidden.err().unwrap().to_string();
    assert!(
        message.contains("PackageBroker spec.egress.allowFileUrls"),
        "{message}"
    );
    for url in [
        "https://example.com/artifacts",
        "file://host/artifacts",
        "file:artifacts",
        "",
        "S3://bucket/x",
    ] {
        let error = open_with(url, loopback()).err().unwrap();
        assert!(
            matches!(error, SourceError::Misconfigured { .. }),
            "{url}: {error}"
        );
    }
    let missing = open(&folder.path().join("missing"))
        .survey(None)
        .await
        .err()
        .unwrap();
    assert!(
        matches!(missing, SourceError::Unavailable { .. }),
        "{missing}"
    );
    assert!(
        missing.to_string().contains("there is no such folder"),
        "{missing}"
    );
    let file = folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    let not_a_folder = open(&file).survey(None).await.err().unwrap();
    assert!(
        matches!(not_a_folder, SourceError::Invalid { .. }),
        "{not_a_folder}"
    );
    let by_url = open_with(&format!("file://{path}"), loopback()).unwrap();
    assert_eq!(names(&by_url.survey(None).await.unwrap()), ["acme/lib"]);
}
