//! Which files are read, and which cannot be.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::*;

#[test]
fn a_file_named_twice_is_read_once_and_a_lone_file_may_have_any_name() {
    let folder = Folder::with(&[("main.manifest", BROKER)]);
    let file = folder.path().join("main.manifest");
    let desired = resolve(&load(&[file.clone(), file]).unwrap()).unwrap();
    assert!(desired.repositories.is_empty() && desired.tokens.is_empty());
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = Folder::with(&[("sub/a.yaml", BROKER)]);
    let missing = folder.path().join("missing.yaml");
    let binary = folder.path().join("b.yaml");
    fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    let large = folder.path().join("c.yaml");
    fs::File::create(&large).unwrap().set_len(9 << 20).unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let cases = [
        (missing, "missing.yaml: cannot be read: No such file"),
        (binary, "b.yaml: is not UTF-8; save it as UTF-8"),
        (large, "c.yaml: is larger than 8 MiB; split it"),
        (empty, "empty: has no *.yaml, *.yml or *.json files"),
    ];
    for (path, expected) in cases {
        let said = load(&[path]).err().unwrap().to_string();
        assert!(said.contains(expected), "{said}");
    }
}

/// `-f <(sops -d secrets.yaml)` and the like. Opening such a pipe would wait for a writer.
#[test]
fn pipes_and_devices_are_refused_unopened() {
    let folder = Folder::with(&[("a.yaml", BROKER)]);
    let pipe = folder.path().join("b.yaml");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let link = folder.path().join("link");
    symlink(&pipe, &link).unwrap();
    let said = "which can be read only once; manifests are read again when they change; write its contents to a file \
                that only you can read, and name that with -f";
    for (path, expected) in [
        (folder.path(), format!("b.yaml: is a pipe, {said}")),
        (pipe, format!("b.yaml: is a pipe, {said}")),
        (link, format!("link: is a pipe, {said}")),
        ("-".into(), format!("-: is standard input, {said}")),
        (
            "/dev/null".into(),
            "/dev/null: is neither a file nor a folder; name a file or a folder with -f".to_owned(),
        ),
    ] {
        // The watcher looks at the files before they are loaded.
        let _watcher = Watcher::new(vec![path.clone()]);
        let errors = load(&[path]).err().unwrap().to_string();
        assert!(
            errors.ends_with(&expected) && errors.lines().count() == 1,
            "{errors}"
        );
    }
}

#[test]
fn several_files_and_folders_make_one_whole() {
    let repository = "apiVersion: package.broker/v1alpha1\nkind: Repository\nmetadata: {name: x}\n\
                      spec: {brokerRef: {name: main}, type: git, url: 'ssh://h/x', credentialsSecretRef: {name: key}}\n";
    let manifests = Folder::with(&[("a.yaml", BROKER), ("b.yaml", repository)]);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {}\n";
    let secrets = Folder::with(&[("key.yaml", secret)]);
    let paths = [manifests.path(), secrets.path().join("key.yaml")];
    let said = resolve(&load(&paths).unwrap()).unwrap_err().to_string();
    assert!(
        said.contains("Secret \"key\" has no credentials for a git source over ssh"),
        "{said}"
    );
    // A name is taken across all of them, and a link to a file that is named already adds nothing.
    symlink(
        manifests.path().join("a.yaml"),
        secrets.path().join("same.yaml"),
    )
    .unwrap();
    secrets.write("twice.yaml", BROKER);
    let said = load(&[manifests.path(), secrets.path()])
        .err()
        .unwrap()
        .to_string();
    let first = manifests.path().join("a.yaml");
    let expected = format!(
        "twice.yaml:3: PackageBroker \"main\": metadata.name: is declared twice, first at {}:1",
        first.display()
    );
    assert!(
        said.contains(&expected) && said.lines().count() == 1,
        "{said}"
    );
}
