//! The manifests that people copy: what docs/ and examples/ show is right.

use std::path::Path;

use package_broker_crds::{API_VERSION, validation::Kind};
use serde_json::Value;

use super::*;

/// A block of YAML in a Markdown file.
struct Block {
    /// File and line, for messages.
    place: String,
    /// Whether it is part of something, and not for `run -f` as it stands.
    fragment: bool,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The files below a folder whose names end so, by name.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if endings
            .iter()
            .any(|ending| path.to_string_lossy().ends_with(ending))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn blocks() -> Vec<Block> {
    let mut pages = files(&root().join("docs"), &[".md"]);
    pages.push(root().join("README.md"));
    pages.iter().flat_map(|page| blocks_of(page)).collect()
}

fn blocks_of(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| !line.starts_with("```"))
            .collect();
        let text = body.join("\n") + "\n";
        if let Some(rest) = info.strip_prefix("yaml") {
            assert!(
                ["", " fragment"].contains(&rest),
                "{}:{}: {info}",
                page.display(),
                number + 1
            );
            blocks.push(Block {
                place: format!("{}:{}", page.display(), number + 1),
                fragment: !rest.is_empty(),
                text,
            });
        } else {
            assert!(
                !text.contains(API_VERSION),
                "{}:{}: mark it as yaml",
                page.display(),
                number + 1
            );
        }
    }
    blocks
}

/// The documents of a block.
fn values(block: &Block) -> Vec<Value> {
    let documents = crate::yaml::parse(&block.text)
        .unwrap_or_else(|error| panic!("{}: {error:?}", block.place));
    documents
        .into_iter()
        .map(|document| document.value)
        .collect()
}

#[test]
fn complete_examples_in_the_documentation_are_right() {
    let mut count = 0;
    for block in blocks().iter().filter(|block| !block.fragment) {
        let folder = Folder::with(&[("m.yaml", &block.text)]);
        if let Err(errors) = folder.resolve() {
            panic!("{}\n{errors}", block.place);
        }
        count += 1;
    }
    assert!(count >= 8, "only {count} examples were found");
}

/// A fragment is either for a cluster, or the `spec` of one of our kinds on that kind's page.
#[test]
fn fragments_in_the_documentation_are_right() {
    let mut count = 0;
    for block in blocks().iter().filter(|block| block.fragment) {
        for mut value in values(block) {
            if value.get("kind").is_some() {
                let kind = value["kind"].as_str().unwrap();
                assert!(
                    Kind::named(kind).is_none(),
                    "{}: a whole {kind} is no fragment",
                    block.place
                );
                continue;
            }
            let page = Path::new(&block.place)
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| page == kind.as_str().to_lowercase())
                .unwrap_or_else(|| panic!("{}: of which kind is this?", block.place));
            value["apiVersion"] = API_VERSION.into();
            value["kind"] = kind.as_str().into();
            value["metadata"] = serde_json::json!({"name": "fragment"});
            let mut text = value.to_string();
            if kind != Kind::PackageBroker {
                value["spec"]["brokerRef"] = serde_json::json!({"name": "main"});
                text = format!("{BROKER}---\n{value}\n");
            }
            let said = problems(&text);
            assert_eq!(said, [], "{}", block.place);
            count += 1;
        }
    }
    assert!(count >= 2, "only {count} fragments were found");
}

/// Manifests that are shown by indentation would go unchecked.
#[test]
fn manifests_in_the_documentation_are_in_blocks() {
    for page in files(&root().join("docs"), &[".md"]) {
        let text = fs::read_to_string(&page).unwrap();
        let indented = text
            .lines()
            .position(|line| line.starts_with("    ") && line.contains(API_VERSION));
        assert_eq!(indented, None, "{}", page.display());
    }
}

#[test]
fn the_examples_are_right() {
    let examples = root().join("examples");
    let desired = resolve(&load(std::slice::from_ref(&examples)).unwrap()).unwrap();
    assert!(!desired.repositories.is_empty() && !desired.tokens.is_empty());
    // Also those that the folder's name alone would not read.
    for file in files(&examples, &[".yaml", ".yml"]) {
        // Objects of other tools, and a client, for a cluster.
        if file.starts_with(examples.join("gitops"))
            || file == examples.join("cluster/install.yaml")
        {
            continue;
        }
        if let Err(errors) = load(&[file]) {
            panic!("{errors}");
        }
    }
    for folder in ["cluster/embedded", "cluster/servers"] {
        let desired = resolve(&load(&[examples.join(folder)]).unwrap()).unwrap();
        assert!(!desired.repositories.is_empty() && !desired.tokens.is_empty());
    }
}
