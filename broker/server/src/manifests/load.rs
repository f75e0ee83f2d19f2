//! Reads manifests and admits each document on its own.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use package_broker_crds::validation::{FieldError, FieldPath, admit, admit_update};
use serde_json::Value;

use super::{
    ManifestErrors, Problem,
    dialect::{Dialect, dialect},
    files,
    object::{Object, ObjectKey, Source},
    secret::{self, Secret},
    yaml::{self, Document},
};

/// Documents that are right each on its own. [`resolve`](super::resolve) judges them together.
pub(crate) struct Manifests {
    pub(super) objects: Vec<Object>,
    pub(super) secrets: HashMap<ObjectKey, Secret>,
}

/// Reads files and folders: of a folder the visible `*.yaml`, `*.yml` and `*.json` files at its top
/// level. A file may hold several documents: the three kinds of this group, and `v1/Secret`.
///
/// Reads from disk: call it where blocking is allowed.
///
/// # Errors
/// Every mistake in every document, and what could not be read.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Manifests, ManifestErrors> {
    let (files, problems) = files::list(paths);
    let mut loader = Loader {
        problems,
        ..Loader::default()
    };
    for file in files {
        loader.read(&file);
    }
    ManifestErrors::check(loader.problems)?;
    Ok(Manifests {
        objects: loader.objects,
        secrets: loader.secrets,
    })
}

impl Manifests {
    /// Whether these may take the place of `previous`: what cannot change did not.
    ///
    /// # Errors
    /// Every field that changed and must not.
    pub(crate) fn check_change_from(&self, previous: &Self) -> Result<(), ManifestErrors> {
        let before: HashMap<&ObjectKey, &Value> = previous
            .objects
            .iter()
            .map(|object| (&object.key, &object.document))
            .collect();
        let mut problems = Vec::new();
        for object in &self.objects {
            let Some(old) = before.get(&object.key) else {
                continue;
            };
            if let Err(errors) = admit_update(old, &object.document) {
                problems.extend(errors.into_iter().map(|error| object.source.problem(error)));
            }
        }
        for (key, secret) in &self.secrets {
            let Some(old) = previous.secrets.get(key) else {
                continue;
            };
            let errors = secret.check_change_from(old);
            problems.extend(errors.into_iter().map(|error| secret.source.problem(error)));
        }
        ManifestErrors::check(problems)
    }
}

#[derive(Default)]
struct Loader {
    objects: Vec<Object>,
    secrets: HashMap<ObjectKey, Secret>,
    /// Where each name was declared, also of documents with mistakes.
    declared: HashMap<ObjectKey, String>,
    problems: Vec<Problem>,
}

impl Loader {
    fn read(&mut self, file: &Path) {
        let text = match files::read(file) {
            Ok(text) => text,
            Err(problem) => return self.problems.push(problem),
        };
        match yaml::parse(&text) {
            Ok(documents) => {
                let file: Arc<Path> = file.into();
                for document in documents {
                    self.document(&file, document);
                }
            }
            Err(error) => self.problems.push(Problem {
                file: file.to_owned(),
                line: error.position.line,
                column: error.position.column,
                message: error.message,
                fix: error.fix,
                ..Problem::default()
            }),
        }
    }

    fn document(&mut self, file: &Arc<Path>, document: Document) {
        let key = ObjectKey::of(&document.value);
        let source = Source::new(file, document.positions, &key);
        let outcome = self
            .unique(&key, &source)
            .and(match dialect(&document.value) {
                Ok(Dialect::Ours) => admit(&document.value).map(|admitted| {
                    let source = source.clone();
                    let document = document.value;
                    self.objects.push(Object {
                        key,
                        admitted,
                        document,
                        source,
                    });
                }),
                Ok(Dialect::Secret) => secret::read(&document.value, &source).map(|secret| {
                    self.secrets.insert(key, secret);
                }),
                Err(error) => Err(vec![error]),
            });
        if let Err(errors) = outcome {
            self.problems
                .extend(errors.into_iter().map(|error| source.problem(error)));
        }
    }

    fn unique(&mut self, key: &ObjectKey, source: &Source) -> Result<(), Vec<FieldError>> {
        if key.name.is_empty() {
            return Ok(());
        }
        let Some(first) = self.declared.get(key) else {
            self.declared.insert(key.clone(), source.place());
            return Ok(());
        };
        Err(vec![FieldError::new(
            FieldPath::root().field("metadata").field("name"),
            format!("is declared twice, first at {first}"),
            "remove one of the two, or give it another name",
        )])
    }
}
