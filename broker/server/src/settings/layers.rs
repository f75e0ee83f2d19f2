//! Finds each setting's value: the environment before the file before the default.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use package_broker_crds::validation::{FieldError, FieldPath, nearest};
use serde_json::{Map, Number, Value};

use super::{
    Mistake, Origin, Process, Settings, SettingsError, Sourced, show,
    table::{Form, PREFIX, Setting, Table},
};
use crate::yaml;

/// The largest settings file, and the largest file with a secret, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Where to find the right word.
const LIST: &str = "`package-broker config` lists all settings";

/// Variables that begin like ours and are options of commands.
const OPTIONS: [&str; 1] = ["PACKAGE_BROKER_CONFIG"];

/// The settings in `file` and in `variables`, those of this process.
///
/// Reads from disk: call it where blocking is allowed.
///
/// # Errors
/// [`SettingsError`] with everything that is wrong.
pub(crate) fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    let table = Table::get()?;
    let mut layers = Layers {
        table,
        given: BTreeMap::new(),
        mistakes: Vec::new(),
    };
    if let Some(file) = file {
        layers.read_file(file);
    }
    layers.read_variables(&variables.into_iter().collect());
    layers.read_secret_files();
    layers.settings()
}

/// What was given so far, by key.
struct Layers<'a> {
    table: &'a Table,
    given: BTreeMap<String, (Value, Origin)>,
    mistakes: Vec<Mistake>,
}

impl Layers<'_> {
    fn mistake(
        &mut self,
        key: &str,
        origin: Origin,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.mistakes.push(Mistake {
            key: key.to_owned(),
            origin,
            message: message.into(),
            fix: fix.into(),
        });
    }

    fn read_file(&mut self, file: &Path) {
        let whole = |line| Origin::File(file.to_owned(), line);
        let text = match read_bounded(file) {
            Ok(text) => text,
            Err(message) => {
                let fix = "name a settings file that can be read, or leave --config out";
                return self.mistake("", whole(1), message, fix);
            }
        };
        let documents = match yaml::parse(&text) {
            Ok(documents) => documents,
            Err(error) => {
                return self.mistake("", whole(error.position.line), error.message, error.fix);
            }
        };
        let mut documents = documents.into_iter();
        let (document, more) = (documents.next(), documents.next());
        if more.is_some() {
            return self.mistake("", whole(1), "holds several documents", "write one");
        }
        let Some(document) = document else { return };
        let Value::Object(fields) = document.value else {
            let fix = "write settings such as listen: 0.0.0.0:8080, a line each";
            return self.mistake("", whole(1), "is no map of settings", fix);
        };
        let at = |path: &FieldPath| Origin::File(file.to_owned(), document.positions.of(path).line);
        self.take_fields(&FieldPath::root(), fields, &at);
    }

    fn take_fields(
        &mut self,
        parent: &FieldPath,
        fields: Map<String, Value>,
        at: &dyn Fn(&FieldPath) -> Origin,
    ) {
        for (name, value) in fields {
            let path = parent.field(&name);
            let key = path.to_string();
            let known = self.table.setting(&key).is_some() || self.secret_of(&key).is_some();
            match value {
                _ if known => {
                    self.given.insert(key, (value, at(&path)));
                }
                Value::Object(fields) if self.is_group(&key) => self.take_fields(&path, fields, at),
                Value::Null if self.is_group(&key) => {}
                _ if self.is_group(&key) => {
                    self.mistake(
                        &key,
                        at(&path),
                        "is no map",
                        "write its settings below it, indented",
                    );
                }
                _ => {
                    let fix = self.nearest_fix(&key);
                    self.mistake(&key, at(&path), "is no setting", fix);
                }
            }
        }
    }

    /// Whether there are settings below a key.
    fn is_group(&self, key: &str) -> bool {
        let below = |setting: &Setting| {
            setting
                .key
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.table.settings.iter().any(below)
    }

    /// The secret that the setting of this key names a file for.
    fn secret_of(&self, key: &str) -> Option<&Setting> {
        let secrets = self
            .table
            .settings
            .iter()
            .filter(|setting| setting.is_secret());
        secrets
            .into_iter()
            .find(|setting| setting.file_key() == key)
    }

    fn nearest_fix(&self, key: &str) -> String {
        let keys = self
            .table
            .settings
            .iter()
            .map(|setting| setting.key.as_str());
        let groups = keys.clone().filter_map(|key| Some(key.rsplit_once('.')?.0));
        match nearest(key, groups.chain(keys)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => LIST.to_owned(),
        }
    }

    fn read_variables(&mut self, variables: &BTreeMap<String, String>) {
        let table = self.table;
        let mut unknown: Vec<&String> = variables
            .keys()
            .filter(|name| name.starts_with(PREFIX))
            .filter(|name| !OPTIONS.contains(&name.as_str()) && !is_of_kubernetes(name))
            .collect();
        for setting in &table.settings {
            let name = setting.variable();
            unknown.retain(|known| **known != name);
            let alias = setting.alias().map(str::to_owned);
            let alias = alias.filter(|_| !self.given.contains_key(&setting.key));
            if let Some((name, text)) = [Some(name), alias]
                .into_iter()
                .flatten()
                .find_map(|name| Some((name.clone(), variables.get(&name)?)))
            {
                self.take_variable(setting, name, text);
            }
            if setting.is_secret() {
                let name = setting.variable() + "_FILE";
                unknown.retain(|known| **known != name);
                if let Some(path) = variables.get(&name) {
                    // One or the other, and the environment goes before the file.
                    if !matches!(self.given.get(&setting.key), Some((_, Origin::Variable(_)))) {
                        self.given.remove(&setting.key);
                    }
                    let value = Value::String(path.clone());
                    self.given
                        .insert(setting.file_key(), (value, Origin::Variable(name)));
                }
            }
        }
        for name in unknown {
            let names: Vec<String> = table.settings.iter().map(Setting::variable).collect();
            let fix = match nearest(name, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean {meant}?"),
                None => LIST.to_owned(),
            };
            self.mistake("", Origin::Variable(name.clone()), "is no setting", fix);
        }
    }

    fn take_variable(&mut self, setting: &Setting, name: String, text: &str) {
        let value = match setting.form {
            Form::Switch => text
                .parse()
                .map(Value::Bool)
                .map_err(|_| "write true or false"),
            Form::Number => text
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| "write a whole number"),
            // What JSON has no number for, such as NaN, would else count as not given.
            Form::Fraction => text
                .parse()
                .ok()
                .and_then(Number::from_f64)
                .map(Value::Number)
                .ok_or("write a number such as 0.25"),
            Form::Text | Form::Secret | Form::SecretUrl => Ok(Value::from(text)),
        };
        match value {
            Ok(value) => {
                if setting.is_secret() {
                    self.given.remove(&setting.file_key());
                }
                self.given
                    .insert(setting.key.clone(), (value, Origin::Variable(name)));
            }
            Err(fix) => self.mistake(
                &setting.key,
                Origin::Variable(name),
                "is of the wrong form",
                fix,
            ),
        }
    }

    /// Puts the content of the files that are named for secrets in their place.
    fn read_secret_files(&mut self) {
        let table = self.table;
        for setting in table.settings.iter().filter(|setting| setting.is_secret()) {
            let Some((path, named)) = self.given.remove(&setting.file_key()) else {
                continue;
            };
            if let Some((_, origin)) = self.given.get(&setting.key) {
                let message = format!("is given here, and as a value in {origin}");
                self.mistake(&setting.file_key(), named, message, "keep one of both");
                continue;
            }
            let Some(path) = path.as_str().map(PathBuf::from) else {
                self.mistake(
                    &setting.file_key(),
                    named,
                    "is no path",
                    "write the path of a file",
                );
                continue;
            };
            match read_bounded(&path) {
                Ok(text) => {
                    let value = Value::from(text.trim_end_matches(['\r', '\n']));
                    let origin = Origin::SecretFile(path, Box::new(named));
                    self.given.insert(setting.key.clone(), (value, origin));
                }
                Err(message) => {
                    let message = format!("{}: {message}", path.display());
                    let fix = "name a file with nothing but the value, that this user can read";
                    self.mistake(&setting.file_key(), named, message, fix);
                }
            }
        }
    }

    fn settings(mut self) -> Result<Settings, SettingsError> {
        let mut document = Value::Object(Map::new());
        for (key, (value, _)) in &self.given {
            insert(&mut document, key, value.clone());
        }
        let document = self.table.structure.complete(&document);
        for error in self.table.structure.check(&document) {
            self.take_error(error);
        }
        if !self.mistakes.is_empty() {
            return Err(SettingsError::Wrong(self.mistakes));
        }
        // What the schema cannot say is told by the types.
        let process = serde_path_to_error::deserialize::<_, Process>(document);
        match process {
            Ok(process) => Ok(Settings {
                process,
                values: self
                    .table
                    .settings
                    .iter()
                    .map(|setting| self.sourced(setting))
                    .collect(),
            }),
            Err(error) => {
                let origin = self.origin(&error.path().to_string());
                let (key, message) = (error.path().to_string(), error.inner().to_string());
                self.mistake(&key, origin, message, "correct the value");
                Err(SettingsError::Wrong(self.mistakes))
            }
        }
    }

    /// A wrong value, with where it was given.
    fn take_error(&mut self, error: FieldError) {
        let key = error.path.to_string();
        let origin = self.origin(&key);
        self.mistake(&key, origin, error.message, error.fix);
    }

    /// Where the value of a key was given.
    fn origin(&self, key: &str) -> Origin {
        let given = self.given.get(key);
        given.map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    fn sourced(&self, setting: &Setting) -> Sourced {
        let (value, origin) = match self.given.get(&setting.key) {
            Some((value, origin)) => (Some(value), origin.clone()),
            None => (setting.default.as_ref(), Origin::Default),
        };
        Sourced {
            key: setting.key.clone(),
            shown: value
                .map(|value| show::value(setting.form, value))
                .unwrap_or_default(),
            origin,
        }
    }
}

/// Sets a value in a tree of maps.
fn insert(document: &mut Value, key: &str, value: Value) {
    let mut at = document;
    for name in key.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name];
    }
    *at = value;
}

/// Whether Kubernetes gives a variable of that name to pods beside a Service called `package-broker`.
fn is_of_kubernetes(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    let of_port = |rest: &str| rest == "PORT" || rest.starts_with("PORT_");
    rest == "SERVICE_HOST"
        || rest.starts_with("SERVICE_PORT")
        || of_port(rest)
        // A Service whose name goes on after ours.
        || rest.contains("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.split_once("_PORT_").is_some_and(|(_, port)| port.starts_with(|c: char| c.is_ascii_digit()))
        || rest.ends_with("_PORT")
}

fn read_bounded(file: &Path) -> Result<String, String> {
    let length = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if length > MAX_FILE {
        return Err("is larger than 1 MiB".to_owned());
    }
    fs::read_to_string(file).map_err(|error| error.to_string())
}
