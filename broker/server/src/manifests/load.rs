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
    dialect::{Dialect, check_list, dialect},
    files,
    object::{Object, ObjectKey, Source},
    secret::{self, Secret},
};
use crate::yaml::{self, Document};

/// Documents that are right each on its own. [`resolve`](super::resolve) judges them together.
pub(crate) struct Manifests {
    pub(super) objects: Vec<Object>,
    pub(super) secrets: HashMap<ObjectKey, Secret>,
}

/// Reads files and folders: of a folder the visible `*.yaml`, `*.yml` and `*.json` files at its top
/// level. A file may hold several documents: the three kinds of this group, `v1/Secret`, and `v1/List`
/// with such items.
///
/// Reads from disk: call it where blocking is allowed.
///
/// # Errors
/// Every mistake in every document, and what could not be read.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Manifests, ManifestErrors> {
    let (files, failures) = files::list(paths);
    let mut loader = Loader {
        problems: failures.into_iter().map(Problem::from).collect(),
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
            Err(failure) => return self.problems.push(failure.into()),
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
        let dialect = dialect(&document.value);
        if matches!(dialect, Ok(Dialect::List)) {
            return self.list(file, &key, document);
        }
        let source = Source::new(file, document.positions, &key);
        let outcome = match dialect {
            Ok(Dialect::Ours) => self.ours(key, document.value, &source),
            Ok(Dialect::Secret) => self.secret(key, &document.value, &source),
            Ok(Dialect::List) => Ok(()),
            Err(error) => Err(vec![error]),
        };
        self.tell(&source, outcome);
    }

    fn list(&mut self, file: &Arc<Path>, key: &ObjectKey, document: Document) {
        match check_list(&document.value) {
            Ok(()) => {
                for item in document.into_items() {
                    self.document(file, item);
                }
            }
            errors => self.tell(&Source::new(file, document.positions, key), errors),
        }
    }

    fn tell(&mut self, source: &Source, outcome: Result<(), Vec<FieldError>>) {
        let errors = outcome.err().into_iter().flatten();
        self.problems
            .extend(errors.map(|error| source.problem(error)));
    }

    fn ours(
        &mut self,
        key: ObjectKey,
        document: Value,
        source: &Source,
    ) -> Result<(), Vec<FieldError>> {
        self.unique(&key, source)?;
        let admitted = admit(&document)?;
        self.objects.push(Object {
            key,
            admitted,
            document,
            source: source.clone(),
        });
        Ok(())
    }

    fn secret(
        &mut self,
        key: ObjectKey,
        document: &Value,
        source: &Source,
    ) -> Result<(), Vec<FieldError>> {
        self.unique(&key, source)?;
        let secret = secret::read(document, source)?;
        self.secrets.insert(key, secret);
        Ok(())
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
