//! Package trees: the files of one version of a package, on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// The files of one version of one package. Its `composer.json` names it; the version comes
/// from outside, as it does with a tag.
#[derive(Debug, Clone)]
pub struct PackageTree {
    /// `vendor/name`, from `composer.json`.
    pub name: String,
    /// Pretty version without a leading `v`, such as `1.2.0`.
    pub version: String,
    /// The folder that holds `composer.json`.
    pub path: PathBuf,
    /// `composer.json`, decoded.
    pub composer: Map<String, Value>,
}

impl PackageTree {
    /// Reads the tree below `path`, whose `composer.json` must carry a `name`.
    pub fn read(path: &Path, version: &str) -> Result<Self> {
        let file = path.join("composer.json");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let composer: Map<String, Value> = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a JSON object", file.display()))?;
        let name = composer
            .get("name")
            .and_then(Value::as_str)
            .with_context(|| format!("{} has no name", file.display()))?
            .to_owned();
        Ok(Self {
            name,
            version: version.to_owned(),
            path: path.to_owned(),
            composer,
        })
    }

    /// Writes a small library below `path`: one class `CLASS` (fully qualified) with a constant
    /// `VERSION`, autoloaded by PSR-4. `require` is the map of `composer.json`.
    pub fn write(
        path: &Path,
        name: &str,
        version: &str,
        class: &str,
        require: &Value,
    ) -> Result<Self> {
        let (namespace, short) = class
            .rsplit_once('\\')
            .context("the class needs a namespace")?;
        let composer = json!({
            "name": name,
            "description": format!("{short}, a package of the tests"),
            "type": "library",
            "license": "Apache-2.0",
            "require": require,
            "autoload": {"psr-4": {format!("{namespace}\\"): "src/"}},
        });
        let code = format!(
            "<?php\nnamespace {namespace};\n\nfinal class {short}\n{{\n    public const VERSION = '{version}';\n}}\n"
        );
        fs::create_dir_all(path.join("src"))?;
        fs::write(
            path.join("composer.json"),
            serde_json::to_vec_pretty(&composer)?,
        )?;
        fs::write(path.join(format!("src/{short}.php")), code)?;
        Self::read(path, version)
    }

    /// The packages (not platform requirements) it requires.
    pub fn requires(&self) -> impl Iterator<Item = &str> {
        self.composer
            .get("require")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .filter(|name| name.contains('/'))
    }
}

/// Every regular file below `root`, as sorted relative paths; `.git` is left out.
pub fn files_below(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != ".git" {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(root)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_tree_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let require = json!({"php": ">=8.1", "acme/base": "^1.0"});
        let tree = PackageTree::write(
            directory.path(),
            "acme/lib",
            "1.2.0",
            "Acme\\Lib\\Greeter",
            &require,
        )
        .unwrap();
        assert_eq!(tree.name, "acme/lib");
        assert_eq!(tree.requires().collect::<Vec<_>>(), ["acme/base"]);
        let files = files_below(directory.path()).unwrap();
        assert_eq!(
            files,
            [
                PathBuf::from("composer.json"),
                PathBuf::from("src/Greeter.php")
            ]
        );
    }

    #[test]
    fn a_tree_without_a_name_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("composer.json"), "{}").unwrap();
        let error = PackageTree::read(directory.path(), "1.0.0").unwrap_err();
        assert!(
            error.to_string().ends_with("composer.json has no name"),
            "{error}"
        );
    }
}
