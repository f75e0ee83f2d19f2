//! Builds documents from JSON (RFC 8259).

use std::collections::HashMap;

use package_broker_crds::validation::FieldPath;
use serde_json::{Map, Value};

use super::{Document, MAX_DEPTH, MAX_NODES, Position, YamlError, scalar};

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Whether a text begins as an object in JSON does, rather than a map of YAML.
pub(super) fn is_likely(text: &str) -> bool {
    let inside = text.trim_start_matches(BLANKS).strip_prefix('{');
    inside.is_some_and(|inside| inside.trim_start_matches(BLANKS).starts_with(['"', '}']))
}

pub(super) struct Reader<'a> {
    text: &'a str,
    /// Bytes that were read.
    at: usize,
    /// A place at or before `at`, with its offset.
    marker: (usize, Position),
    nodes: usize,
    fields: HashMap<FieldPath, Position>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            marker: (0, Position { line: 1, column: 1 }),
            nodes: 0,
            fields: HashMap::new(),
        }
    }

    /// Objects one after the other, with or without `---` in between.
    pub(super) fn documents(mut self) -> Result<Vec<Document>, YamlError> {
        let mut documents = Vec::new();
        while self.peek().is_some() {
            if self.take("---") {
                continue;
            }
            let start = self.position();
            let value = self.node(&FieldPath::root(), 0)?;
            let fields = std::mem::take(&mut self.fields);
            documents.extend(Document::of(value, start, fields));
        }
        Ok(documents)
    }

    fn node(&mut self, path: &FieldPath, depth: usize) -> Result<Value, YamlError> {
        if depth > MAX_DEPTH {
            return Err(self.fail("nested too deeply", "write fewer levels"));
        }
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} fields and items");
            return Err(self.fail(&message, "split the file"));
        }
        match self.peek() {
            Some('{') => self.map(path, depth),
            Some('[') => self.list(path, depth),
            Some('"') => self.string().map(Value::String),
            _ => self.word(),
        }
    }

    fn map(&mut self, path: &FieldPath, depth: usize) -> Result<Value, YamlError> {
        let mut map = Map::new();
        self.take("{");
        while !self.take("}") {
            if !map.is_empty() {
                self.expect(",")?;
            }
            if self.peek() != Some('"') {
                return Err(self.not_json("a name in double quotes is expected"));
            }
            let position = self.position();
            let key = self.string()?;
            if map.contains_key(&key) {
                return Err(YamlError {
                    position,
                    message: format!("field {key:?} appears twice"),
                    fix: "keep one of the two".to_owned(),
                });
            }
            self.expect(":")?;
            let path = path.field(&key);
            self.fields.insert(path.clone(), position);
            let value = self.node(&path, depth + 1)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn list(&mut self, path: &FieldPath, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        self.take("[");
        while !self.take("]") {
            if !items.is_empty() {
                self.expect(",")?;
            }
            self.peek();
            let path = path.index(items.len());
            let position = self.position();
            self.fields.insert(path.clone(), position);
            items.push(self.node(&path, depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn string(&mut self) -> Result<String, YamlError> {
        let mut escaped = false;
        let end = self.text[self.at..].char_indices().skip(1).find(|&(_, c)| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let Some((end, _)) = end else {
            return Err(self.not_json("a string is not closed"));
        };
        let quoted = &self.text[self.at..=self.at + end];
        let text = serde_json::from_str(quoted).map_err(|error| self.not_json(&reason(&error)))?;
        self.at += quoted.len();
        Ok(text)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<Value, YamlError> {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c| BLANKS.contains(&c) || ",:]}[{\"".contains(c))
            .unwrap_or(rest.len());
        let word = &rest[..end];
        if word.is_empty() {
            return Err(self.not_json("a value is expected"));
        }
        // The strict reader judges the form, the one of YAML the value: both know the same numbers.
        serde_json::from_str::<Value>(word).map_err(|error| self.not_json(&reason(&error)))?;
        let value = scalar::plain(word).map_err(|(message, fix)| self.fail(message, fix))?;
        self.at += end;
        Ok(value)
    }

    /// What comes next, after blanks.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(BLANKS).len();
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), YamlError> {
        if self.take(token) {
            return Ok(());
        }
        Err(self.not_json(&format!("a {token:?} is expected")))
    }

    fn position(&mut self) -> Position {
        let (from, mut position) = self.marker;
        for c in self.text[from..self.at].chars() {
            if c == '\n' {
                position.line += 1;
                position.column = 1;
            } else {
                position.column += 1;
            }
        }
        self.marker = (self.at, position);
        position
    }

    fn fail(&mut self, message: &str, fix: &str) -> YamlError {
        YamlError {
            position: self.position(),
            message: message.to_owned(),
            fix: fix.to_owned(),
        }
    }

    fn not_json(&mut self, reason: &str) -> YamlError {
        let message = format!("not JSON: {reason}");
        self.fail(
            &message,
            "check commas, quotes and brackets here and on the line above",
        )
    }
}

/// What a parser says, without the place in the piece that it was given.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.contains("surrogate") || text.contains("hex escape") {
        return "a \\u escape that stands for no character".to_owned();
    }
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
