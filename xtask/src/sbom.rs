//! What is in a program: a list in SPDX 2.3, from the lock file.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process::{cargo, quiet};

/// The list of a program of the workspace: itself, and every crate that is compiled into it.
pub(crate) fn of(program: &str, version: &str) -> Result<String> {
    let mut tree = cargo(&["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
    tree.args(["--package", program, "--format", "{p}|{l}"]);
    let said = quiet(tree)?.stdout;
    let lines: BTreeSet<&str> = said
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    let mut packages = Vec::new();
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        packages.push(package(line)?);
    }
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{program}-{version}"),
        "documentNamespace": format!("https://package.broker/spdx/{program}-{version}"),
        // That of the commit: the same for everyone who builds it.
        "creationInfo": {"created": committed()?, "creators": ["Tool: cargo-xtask"]},
        "relationships": packages.iter().map(|package| json!({
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": package["SPDXID"],
        })).collect::<Vec<_>>(),
        "packages": packages,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// `NAME vVERSION (PATH)|LICENCE`.
fn package(line: &str) -> Result<Value> {
    let (package, licence) = line.split_once('|').with_context(|| line.to_owned())?;
    let mut words = package.split(' ');
    let name = words.next().unwrap_or_default();
    let version = words.next().unwrap_or_default().trim_start_matches('v');
    let id: String = format!("{name}-{version}")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let licence = match licence.trim() {
        "" => "NOASSERTION".to_owned(),
        // An older way to write it.
        known => known.replace('/', " OR "),
    };
    Ok(json!({
        "SPDXID": format!("SPDXRef-{id}"),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "filesAnalyzed": false,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:cargo/{name}@{version}"),
        }],
    }))
}

/// When the present commit was made.
fn committed() -> Result<String> {
    let mut git = package_broker_e2e::process::tethered("git");
    git.args([
        "log",
        "-1",
        "--format=%cd",
        "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
    ])
    .env("TZ", "UTC")
    .current_dir(crate::workspace());
    Ok(quiet(git)?.stdout.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_a_package() {
        let package = package("serde v1.0.2 (proc-macro)|MIT/Apache-2.0").unwrap();
        assert_eq!(package["SPDXID"], "SPDXRef-serde-1.0.2");
        assert_eq!(package["licenseDeclared"], "MIT OR Apache-2.0");
        assert_eq!(
            package["externalRefs"][0]["referenceLocator"],
            "pkg:cargo/serde@1.0.2"
        );
    }

    #[test]
    fn a_program_lists_what_it_is_made_of() {
        let text = of("package-broker-operator", "1").unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<&str> = document["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| package["name"].as_str().unwrap())
            .collect();
        for name in ["kube", "package-broker-operator", "ring"] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!names.contains(&"proptest"));
        assert_eq!(text, of("package-broker-operator", "1").unwrap());
    }
}
