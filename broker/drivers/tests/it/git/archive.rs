//! Archives: the same files as those of git and of Composer, and the same bytes everywhere.

use std::{
    collections::BTreeSet,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use package_broker_core::{
    domain::{archive::ArchiveDefect, repository::Repository},
    ports::source::SourceError,
};
use tempfile::TempDir;

use crate::support::git::{Files, Origin, Reader, git_repository, noise, run, unzip};

fn top(commit: &str) -> String {
    format!("acme-lib-{}/", &commit[..7])
}

/// Files in many places, and attributes that take some of them out.
fn nasty() -> (Origin, String) {
    let origin = Origin::new();
    for file in [
        "src/A.php",
        "src/tests/B.php",
        "tests/C.php",
        "tests/fixtures/D.php",
        "docs/a/b/E.md",
        "docs/F.txt",
        ".hidden",
        ".github/workflows/ci.yml",
        "bin/run",
        "a b/c d.php",
        "ünï/çode.php",
        "phpunit.xml.dist",
        "x/phpunit.xml.dist",
        "build/keep.txt",
        "build/drop.txt",
        "deep/one/two/three.php",
        "deep/one/two.log",
        "macro/m.int",
        "value",
        "nested/in.php",
        "nested/out.php",
        "nested/below/out.php",
        "foo.bar/file",
        "foo-bar",
        "foo/file",
    ] {
        origin.write(file, &format!("content of {file}\n"));
    }
    origin.write("empty", "");
    origin.write("large", &"0123456789".repeat(30_000));
    origin.write(
        ".gitattributes",
        "[attr]internal export-ignore\n# a comment\n/tests export-ignore\n/.github export-ignore\n\
         *.dist export-ignore\nx/phpunit.xml.dist -export-ignore\n/build/* export-ignore\nbuild/keep.txt !export-ignore\n\
         docs/**/*.md export-ignore\n*.int internal\nvalue export-ignore=true\n\"a b/c d.php\" export-ignore\n\
         deep/**/two.log export-ignore text=auto\n.gitattributes export-ignore\nfoo.bar/ export-ignore\n",
    );
    origin.write(
        "nested/.gitattributes",
        "out.php export-ignore\n/below/none export-ignore\n",
    );
    std::fs::set_permissions(
        origin.path().join("bin/run"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    symlink("src/A.php", origin.path().join("inside")).unwrap();
    symlink("../src/A.php", origin.path().join("docs/up")).unwrap();
    let commit = origin.commit("all");
    (origin, commit)
}

/// What `git archive` makes of a commit, without folders.
fn git_archive(origin: &Origin, commit: &str) -> Files {
    let out = origin.path().join(".git/out.zip");
    origin.git(&[
        "archive",
        "--format=zip",
        "-o",
        out.to_str().unwrap(),
        "--prefix",
        &top(commit),
        commit,
    ]);
    unzip(&std::fs::read(out).unwrap(), &top(commit))
}

fn paths(files: &Files) -> BTreeSet<&str> {
    files.keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_are_those_of_git_archive() {
    let (origin, commit) = nasty();
    let reader = Reader::new(&origin.url());
    let ours = unzip(&reader.archive(&commit).await.unwrap(), &top(&commit));
    let theirs = git_archive(&origin, &commit);
    assert_eq!(paths(&ours), paths(&theirs));
    assert!(ours.len() > 15, "{:?}", paths(&ours));
    for (path, (mode, content)) in &ours {
        assert_eq!(content, &theirs[path].1, "{path}");
        let expected = match path.as_str() {
            "bin/run" => 0o100_755,
            "inside" | "docs/up" => 0o120_777,
            _ => 0o100_644,
        };
        assert_eq!(*mode, expected, "{path}");
    }
}

/// What `composer archive` makes of a checkout.
fn composer_archive(origin: &Origin) -> BTreeSet<String> {
    let out = TempDir::new().unwrap();
    let checkout = TempDir::new().unwrap();
    run(
        "git",
        checkout.path(),
        &["clone", "-q", &origin.url(), "."],
        &[],
    );
    let home = out.path().to_str().unwrap();
    let arguments = [
        "archive",
        "--format=zip",
        "--no-interaction",
        "--no-plugins",
        "--dir",
        home,
        "--file=out",
    ];
    run(
        "composer",
        checkout.path(),
        &arguments,
        &[("COMPOSER_HOME", home), ("COMPOSER_DISABLE_NETWORK", "1")],
    );
    let files = unzip(&std::fs::read(out.path().join("out.zip")).unwrap(), "");
    files.into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exclusions_are_those_of_composer_archive() {
    let origin = Origin::empty();
    for file in [
        "src/A.php",
        "src/tests/T.php",
        "tests/T.php",
        "tests/fixtures/data.json",
        "README.md",
        "docs/guide.md",
        "docs/.secret.md",
        "docs/img/a.png",
        "a/x/y/c/f",
        "a/c/f",
        "lib/src/only/f",
        "mysrc/only/f",
        "b1/f",
        "b2/f",
        "b3/f",
        "q1.txt",
        "q12.txt",
        "one.yml",
        "two.yaml",
        "three.yam",
        "ignored/f",
        "ignored/kept/f",
        "dir/f",
        "other/dir/f",
        "mydir/f",
        ".env",
        ".env.dist",
        "tools/.cache/f",
        "tools/cache/f",
        "sets/a.c",
        "sets/d.c",
    ] {
        origin.write(file, file);
    }
    origin.write(
        ".gitattributes",
        "/ignored/f export-ignore\n/docs/img export-ignore\n",
    );
    origin.write(
        "composer.json",
        r#"{"name":"acme/lib","archive":{"exclude":["/tests","!/tests/fixtures","*.md","!docs/guide.md","/a/**/c",
            "src/only","/b?","!/b2","q?.txt","*.{yml,yaml}","dir/","/tools/*","sets/[abc].c","!/ignored/kept",
            "!/docs/img/a.png",".env*"]}}"#,
    );
    let commit = origin.commit("all");
    let reader = Reader::new(&origin.url());
    let ours = unzip(&reader.archive(&commit).await.unwrap(), &top(&commit));
    let theirs = composer_archive(&origin);
    assert_eq!(ours.keys().cloned().collect::<BTreeSet<_>>(), theirs);
    assert!(
        !theirs.contains("tests/T.php") && theirs.contains("tests/fixtures/data.json"),
        "{theirs:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commit_is_the_same_bytes_from_any_clone() {
    let (origin, commit) = nasty();
    let first = Reader::new(&origin.url()).archive(&commit).await.unwrap();
    // Another clone, packed otherwise, with other refs, at another place.
    let other = TempDir::new().unwrap();
    run(
        "git",
        other.path(),
        &["clone", "-q", "--bare", &origin.url(), "."],
        &[],
    );
    run("git", other.path(), &["tag", "another", &commit], &[]);
    run("git", other.path(), &["repack", "-adfq", "--depth=1"], &[]);
    let reader = Reader::new(&format!("file://{}", other.path().display()));
    assert_eq!(reader.archive(&commit).await.unwrap(), first);
    assert_eq!(reader.archive(&commit).await.unwrap(), first);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&first)).unwrap();
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert!(
        names.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()),
        "{names:?}"
    );
    let time = archive.by_index(0).unwrap().last_modified().unwrap();
    assert_eq!(time.to_string(), "2023-11-14 22:15:20");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_unpack_it() {
    let (origin, commit) = nasty();
    let bytes = Reader::new(&origin.url()).archive(&commit).await.unwrap();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.zip"), bytes).unwrap();
    let script = r#"$z = new ZipArchive; if ($z->open("a.zip", ZipArchive::CHECKCONS) !== true) exit(1);
        exit($z->extractTo("out") ? 0 : 2);"#;
    run("php", folder.path(), &["-r", script], &[]);
    let read = |path: &str| {
        std::fs::read_to_string(folder.path().join("out").join(top(&commit)).join(path)).unwrap()
    };
    assert_eq!(read("src/A.php"), "content of src/A.php\n");
    assert_eq!(read("ünï/çode.php"), "content of ünï/çode.php\n");
    assert_eq!(read("large").len(), 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_archived_alone() {
    let origin = Origin::new();
    origin.write(".gitattributes", "/packages/tool/tests export-ignore\n");
    origin.write("packages/.gitattributes", "*.dist export-ignore\n");
    origin.write(
        "packages/tool/composer.json",
        r#"{"name":"acme/lib","archive":{"exclude":["/drop"]}}"#,
    );
    for file in ["src/A.php", "tests/T.php", "drop", "x.dist"] {
        origin.write(&format!("packages/tool/{file}"), file);
    }
    origin.write("packages/other/composer.json", "{}");
    let commit = origin.commit("all");
    let at = |path: &str| Repository {
        path: Some(path.to_owned()),
        ..git_repository(&origin.url())
    };
    let files = unzip(
        &Reader::of(&at("packages/tool"))
            .archive(&commit)
            .await
            .unwrap(),
        &top(&commit),
    );
    assert_eq!(
        paths(&files),
        BTreeSet::from(["composer.json", "src/A.php"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn links_out_and_submodules_stay_out() {
    let origin = Origin::new();
    for (link, target) in [
        ("abs", "/etc/passwd"),
        ("up", "../x"),
        ("d/up", "../../x"),
        ("d/e/ok", "../f"),
        ("trick", "d/../../x"),
    ] {
        std::fs::create_dir_all(origin.path().join(link).parent().unwrap()).unwrap();
        symlink(Path::new(target), origin.path().join(link)).unwrap();
    }
    let head = origin.commit("links");
    origin.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},sub"),
    ]);
    origin.git(&["commit", "-q", "-m", "submodule"]);
    let commit = origin.git(&["rev-parse", "HEAD"]);
    let files = unzip(
        &Reader::new(&origin.url()).archive(&commit).await.unwrap(),
        &top(&commit),
    );
    assert_eq!(paths(&files), BTreeSet::from(["composer.json", "d/e/ok"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn unsafe_names_are_refused() {
    let origin = Origin::new();
    let blob = origin.git(&["hash-object", "-w", "composer.json"]);
    let file = origin.path().join(".git/tree");
    for name in ["..", ".git", ".GIT", "a\\b"] {
        let mut tree = format!("100644 {name}").into_bytes();
        tree.push(0);
        tree.extend(hex::decode(&blob).unwrap());
        std::fs::write(&file, tree).unwrap();
        let tree = origin.git(&[
            "hash-object",
            "-w",
            "-t",
            "tree",
            "--literally",
            file.to_str().unwrap(),
        ]);
        let commit = origin.git(&["commit-tree", "-m", "evil", &tree]);
        origin.git(&["update-ref", "refs/heads/evil", &commit]);
        let error = Reader::new(&origin.url())
            .archive(&commit)
            .await
            .unwrap_err();
        assert!(
            matches!(error, SourceError::Invalid { .. }),
            "{name}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_commits_that_the_remote_shows_are_built() {
    let (origin, commit) = nasty();
    let reader = Reader::new(&origin.url());
    let tree = origin.git(&["rev-parse", "HEAD^{tree}"]);
    let blob = origin.git(&["rev-parse", "HEAD:composer.json"]);
    for reference in [
        &"0".repeat(40),
        &tree,
        &blob,
        "main",
        "",
        &commit[..12],
        "../x",
    ] {
        let error = reader.archive(reference).await.unwrap_err();
        assert!(
            matches!(error, SourceError::Gone { .. }),
            "{reference}: {error}"
        );
    }
    reader.sync().await;
    // A commit that came after the last sync is fetched for.
    let fresh = origin.commit("fresh");
    assert!(reader.archive(&fresh).await.is_ok());
    // One that no ref has is not.
    let loose = origin.git(&["commit-tree", "-m", "loose", &tree]);
    assert!(matches!(
        reader.archive(&loose).await.unwrap_err(),
        SourceError::Gone { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_while_writing() {
    let (origin, commit) = nasty();
    origin.write("noise", &noise(60_000));
    let large = origin.commit("large");
    let reader = Reader::new(&origin.url());
    for limit in [10, 200_000] {
        let error = reader.archive_within(&large, limit).await.unwrap_err();
        assert!(
            matches!(
                error,
                SourceError::Defective(ArchiveDefect::TooLarge { .. })
            ),
            "{limit}: {error}"
        );
    }
    assert!(reader.archive_within(&commit, 400_000).await.is_ok());
}
