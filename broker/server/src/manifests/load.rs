//! Reads manifests and admits each document on its own.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use package_broker_crds::{
    API_VERSION, GROUP,
    validation::{Admitted, FieldError, FieldPath, Kind, admit, admit_update, nearest},
};
use serde_json::Value;

use super::{
    ManifestErrors, Problem, SecretData, files, secret,
    yaml::{self, Document, Positions},
};

/// Largest file that is read, in bytes.
pub(super) const MAX_FILE_SIZE: u64 = 8 << 20;

/// Documents that are right each on its own. [`resolve`](super::resolve) judges them together.
pub(crate) struct Manifests {
    pub(super) objects: Vec<Object>,
    pub(super) secrets: HashMap<ObjectKey, SecretData>,
}

/// An admitted document of our kinds.
pub(super) struct Object {
    pub(super) key: ObjectKey,
    pub(super) admitted: Admitted,
    /// As it was written, for comparison with its next form.
    document: Value,
    pub(super) source: Source,
}

/// What no two documents have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectKey {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl ObjectKey {
    /// The key of a Secret.
    pub(super) fn secret(namespace: &str, name: &str) -> Self {
        Self {
            kind: "Secret".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn of(document: &Value) -> Self {
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let metadata = |field: &str| {
            document
                .get("metadata")
                .and_then(|metadata| metadata.get(field))
        };
        let namespace = match text(metadata("namespace")) {
            none if none.is_empty() => "default".to_owned(),
            namespace => namespace,
        };
        Self {
            kind: text(document.get("kind")),
            namespace,
            name: text(metadata("name")),
        }
    }

    fn label(&self) -> String {
        match self.name.as_str() {
            "" => self.kind.clone(),
            name => format!("{}/{name}", self.kind),
        }
    }
}

/// Where a document came from.
#[derive(Clone)]
pub(super) struct Source {
    file: Arc<Path>,
    positions: Positions,
    label: String,
}

impl Source {
    /// A mistake in this document.
    pub(super) fn problem(&self, error: FieldError) -> Problem {
        let position = self.positions.of(&error.path);
        Problem {
            file: self.file.to_path_buf(),
            line: position.line,
            column: position.column,
            object: self.label.clone(),
            field: error.path.to_string(),
            message: error.message,
            fix: error.fix,
        }
    }

    /// `file:line` of the document.
    pub(super) fn place(&self) -> String {
        format!(
            "{}:{}",
            self.file.display(),
            self.positions.of(&FieldPath::root()).line
        )
    }
}

/// Reads files and folders: of a folder the visible `*.yaml`, `*.yml` and `*.json` files at its top
/// level. A file may hold several documents: the three kinds of this group, and `v1/Secret`.
///
/// Reads from disk: call it where blocking is allowed.
///
/// # Errors
/// Every mistake in every document, and what could not be read.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Manifests, ManifestErrors> {
    let (files, failures) = files::list(paths);
    let mut loader = Loader::default();
    for (path, message) in failures {
        loader.problems.push(file_problem(
            &path,
            message,
            "name files or folders that exist with -f",
        ));
    }
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
        ManifestErrors::check(problems)
    }
}

#[derive(Default)]
struct Loader {
    objects: Vec<Object>,
    secrets: HashMap<ObjectKey, SecretData>,
    /// Where each name was declared, also of documents with mistakes.
    declared: HashMap<ObjectKey, String>,
    problems: Vec<Problem>,
}

impl Loader {
    fn read(&mut self, file: &Path) {
        let text = match read_text(file) {
            Ok(text) => text,
            Err((message, fix)) => return self.problems.push(file_problem(file, message, fix)),
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
        let source = Source {
            file: Arc::clone(file),
            positions: document.positions,
            label: key.label(),
        };
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
                Ok(Dialect::Secret) => secret::read(&document.value).map(|data| {
                    self.secrets.insert(key, data);
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

enum Dialect {
    Ours,
    Secret,
}

/// Which documents are read; everything else has no place among these manifests.
fn dialect(document: &Value) -> Result<Dialect, FieldError> {
    let root = FieldPath::root();
    if !document.is_object() {
        return Err(FieldError::new(
            root,
            "is not a map",
            "write apiVersion, kind, metadata and spec",
        ));
    }
    let text = |field: &str| document.get(field).and_then(Value::as_str);
    let missing =
        |field: &str, fix: String| Err(FieldError::new(root.field(field), "is required", fix));
    let Some(kind) = text("kind") else {
        return missing(
            "kind",
            "add kind: PackageBroker, Repository, AccessToken or Secret".to_owned(),
        );
    };
    let is_ours = Kind::named(kind).is_some();
    let Some(version) = text("apiVersion") else {
        let version = if kind == "Secret" { "v1" } else { API_VERSION };
        return missing("apiVersion", format!("add apiVersion: {version}"));
    };
    match (version, kind) {
        ("v1", "Secret") => Ok(Dialect::Secret),
        // A wrong version or a mistyped kind: admission knows the words for it.
        _ if is_ours || version.split('/').next() == Some(GROUP) => Ok(Dialect::Ours),
        _ => Err(foreign(&root, kind)),
    }
}

fn foreign(root: &FieldPath, kind: &str) -> FieldError {
    let known = Kind::ALL.iter().map(|kind| kind.as_str()).chain(["Secret"]);
    let fix = match nearest(kind, known) {
        Some("Secret") => "write apiVersion: v1 and kind: Secret".to_owned(),
        Some(meant) => format!("write apiVersion: {API_VERSION} and kind: {meant}"),
        None => format!("keep only kinds of {API_VERSION} and v1 Secrets here"),
    };
    FieldError::new(root.field("kind"), "is not a kind that is read here", fix)
}

fn read_text(file: &Path) -> Result<String, (String, &'static str)> {
    let bytes = read_bounded(file).map_err(|error| {
        (
            format!("cannot be read: {error}"),
            "check that it exists and who may read it",
        )
    })?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err((
            "is larger than 8 MiB".to_owned(),
            "split it into several files",
        ));
    }
    String::from_utf8(bytes).map_err(|_| ("is not UTF-8".to_owned(), "save it as UTF-8"))
}

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?
        .take(MAX_FILE_SIZE + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn file_problem(file: &Path, message: String, fix: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        message,
        fix: fix.to_owned(),
        ..Problem::default()
    }
}
