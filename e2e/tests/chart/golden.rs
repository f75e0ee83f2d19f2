//! What is installed by default, whole: in `golden/`. `UPDATE_GOLDEN=1 cargo test -p package-broker-e2e --test chart` writes
//! it.

use std::fs;

use super::combinations::COMBINATIONS;
use super::support::{CRDS, rendered, root, set, template};

fn check(name: &str, text: &str) {
    let file = root().join("e2e/tests/chart/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, text).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        golden == text,
        "{} is another now; look at it, then run this with UPDATE_GOLDEN=1:\n{text}",
        file.display()
    );
}

#[test]
fn the_defaults_are_golden() {
    check("defaults.yaml", &rendered(&[]));
}

#[test]
fn what_is_rendered_twice_is_the_same_and_empty_nowhere() {
    let operator = COMBINATIONS.iter().map(|values| rendered(values));
    let again = COMBINATIONS.iter().map(|values| rendered(values));
    let crds = || {
        template(CRDS, &set(&["keep=false"]))
            .success()
            .unwrap()
            .stdout
    };
    let once: Vec<String> = operator.chain([crds()]).collect();
    let twice: Vec<String> = again.chain([crds()]).collect();
    assert!(once == twice, "it is another each time");
    for text in once {
        for line in text.lines() {
            let is_empty =
                line.ends_with(": []") || line.ends_with(": {}") || line.ends_with(": null");
            assert!(!is_empty || line.trim() == "status: {}", "{line}");
        }
    }
}
