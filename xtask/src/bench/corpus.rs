//! A made-up Composer repository on disk, with documents like those of real packages.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

/// The name of a package by number.
pub(super) fn name(number: usize) -> String {
    format!("bench/package-{number:05}")
}

/// Writes `packages.json`, `p2/` and the `~dev` twins for so many packages with so many versions,
/// minified as the public Packagist does. Returns how many bytes of documents there are.
pub(super) fn write(folder: &Path, packages: usize, versions: usize) -> Result<u64> {
    let documents = folder.join("p2/bench");
    fs::create_dir_all(&documents)?;
    let mut bytes = 0;
    let mut save = |file: String, body: Value| -> Result<()> {
        let text = serde_json::to_vec(&body)?;
        bytes += text.len() as u64;
        Ok(fs::write(documents.join(file), text)?)
    };
    for number in 0..packages {
        let name = name(number);
        let short = name.trim_start_matches("bench/");
        let stable: Vec<Value> = (0..versions)
            .map(|version| entry(&name, number, versions, version))
            .collect();
        save(format!("{short}.json"), document(&name, &stable))?;
        save(format!("{short}~dev.json"), document(&name, &[]))?;
    }
    let names: Vec<String> = (0..packages).map(name).collect();
    let root =
        json!({"packages": [], "metadata-url": "/p2/%package%.json", "available-packages": names});
    fs::write(folder.join("packages.json"), serde_json::to_vec(&root)?)?;
    Ok(bytes)
}

fn document(name: &str, versions: &[Value]) -> Value {
    let packages: Map<String, Value> = [(name.to_owned(), json!(versions))].into_iter().collect();
    json!({"minified": "composer/2.0", "packages": packages})
}

/// A version, newest first. Only the newest is written in full; of the others what really differs from release to
/// release: the version, its archive and source, the time, and every fifth time the requirements.
fn entry(name: &str, package: usize, versions: usize, index: usize) -> Value {
    let number = versions - index;
    let version = format!("{}.{}.{}", number / 10 + 1, number % 10, package % 7);
    let commit = format!(
        "{:040x}",
        (package as u128) << 64 | (number as u128) << 8 | 0xa5
    );
    let mut entry = json!({
        "version": version,
        "version_normalized": format!("{version}.0"),
        "source": {"type": "git", "url": format!("https://git.example.com/{name}.git"), "reference": commit},
        "dist": {
            "type": "zip",
            "url": format!("https://git.example.com/api/{name}/zipball/{commit}"),
            "reference": commit,
            "shasum": commit,
        },
        "time": format!("20{:02}-{:02}-{:02}T10:11:12+00:00", 10 + number % 16, 1 + number % 12, 1 + number % 28),
        "published-time": format!("20{:02}-{:02}-{:02}T10:15:00+00:00", 10 + number % 16, 1 + number % 12, 1 + number % 28),
    });
    if index == 0 {
        let first = json!({
            "name": name,
            "description": format!("Package number {package}, with a sentence that says what it is good for"),
            "keywords": ["bench", "example", "library"],
            "homepage": format!("https://www.example.com/{name}"),
            "license": ["MIT"],
            "authors": [{"name": "A Person", "email": "person@example.com", "homepage": "https://www.example.com"}],
            "type": "library",
            "autoload": {"psr-4": {"Bench\\Package\\": "src/"}, "files": ["src/functions.php"]},
            "support": {"issues": format!("https://git.example.com/{name}/issues")},
        });
        merge(&mut entry, first);
    }
    if index.is_multiple_of(5) {
        let next = super::corpus::name((package + 1) % 1000);
        let require = json!({"php": format!(">=7.{}", number % 5), "ext-json": "*", "psr/log": "^1.1 || ^2.0", next: format!("^{}.0", number / 10 + 1)});
        merge(
            &mut entry,
            json!({"require": require, "require-dev": {"phpunit/phpunit": "^9.5 || ^10.0"}}),
        );
    }
    entry
}

fn merge(entry: &mut Value, more: Value) {
    if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
        entry.extend(more);
    }
}
