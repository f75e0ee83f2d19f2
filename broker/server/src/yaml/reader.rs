//! Builds documents from the events of the parser.

use std::collections::HashMap;

use package_broker_crds::validation::FieldPath;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::{Document, MAX_DEPTH, MAX_NODES, Position, YamlError, scalar};

/// The key that takes over the fields of another map.
const MERGE_KEY: &str = "<<";

pub(super) struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Finished nodes that have an anchor.
    anchors: HashMap<usize, Value>,
    nodes: usize,
    fields: HashMap<FieldPath, Position>,
}

/// A map under construction.
#[derive(Default)]
struct Fields {
    map: Map<String, Value>,
    /// Maps whose fields come in where the map itself has none, the first with precedence.
    merged: Vec<Map<String, Value>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            nodes: 0,
            fields: HashMap::new(),
        }
    }

    pub(super) fn documents(mut self) -> Result<Vec<Document>, YamlError> {
        let mut documents = Vec::new();
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::Nothing
                | Event::DocumentStart(_) => {}
                // An anchor belongs to its document.
                Event::DocumentEnd => self.anchors.clear(),
                node => {
                    let start = position(span);
                    let value = self.node(node, span, &FieldPath::root(), 0)?;
                    let fields = std::mem::take(&mut self.fields);
                    documents.extend(Document::of(value, start, fields));
                }
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, YamlError> {
        self.parser
            .next_event()
            .transpose()
            .map_err(|error| not_yaml(&error))
    }

    /// Within a node: the parser reports an early end as an error of its own.
    fn next_inside(&mut self, opened: Span) -> Result<(Event<'a>, Span), YamlError> {
        self.next()?
            .ok_or_else(|| fail(opened, "is not closed", "close it"))
    }

    fn node(
        &mut self,
        event: Event<'a>,
        span: Span,
        path: &FieldPath,
        depth: usize,
    ) -> Result<Value, YamlError> {
        if depth > MAX_DEPTH {
            return Err(fail(span, "nested too deeply", "write fewer levels"));
        }
        self.count(1, span)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar_value(&text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                (self.list(span, path, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                (self.map(span, path, depth)?, anchor)
            }
            Event::Alias(anchor) => (self.aliased(anchor, span)?, 0),
            _ => return Err(fail(span, "not expected here", "correct the YAML")),
        };
        if anchor > 0 {
            self.count(size(&value), span)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self, opened: Span, path: &FieldPath, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next_inside(opened)?;
            if event == Event::SequenceEnd {
                return Ok(Value::Array(items));
            }
            let path = path.index(items.len());
            self.fields.insert(path.clone(), position(span));
            items.push(self.node(event, span, &path, depth + 1)?);
        }
    }

    fn map(&mut self, opened: Span, path: &FieldPath, depth: usize) -> Result<Value, YamlError> {
        let mut fields = Fields::default();
        loop {
            let (event, span) = self.next_inside(opened)?;
            let (key, style) = match event {
                Event::MappingEnd => return Ok(fields.finish()),
                Event::Scalar(key, style, _, _) => (key.into_owned(), style),
                _ => return Err(fail(span, "a name that is not a text", "write name: value")),
            };
            let (event, value_span) = self.next_inside(opened)?;
            if key == MERGE_KEY && style == ScalarStyle::Plain {
                let value = self.node(event, value_span, path, depth + 1)?;
                fields.merge(value, span)?;
                continue;
            }
            let path = path.field(&key);
            if fields.map.contains_key(&key) {
                let message = format!("field {key:?} appears twice");
                return Err(fail(span, &message, "keep one of the two"));
            }
            self.fields.insert(path.clone(), position(span));
            let value = self.node(event, value_span, &path, depth + 1)?;
            fields.map.insert(key, value);
        }
    }

    fn aliased(&mut self, anchor: usize, span: Span) -> Result<Value, YamlError> {
        let nodes = self.anchors.get(&anchor).map_or(0, size);
        self.count(nodes, span)?;
        self.anchors.get(&anchor).cloned().ok_or_else(|| {
            fail(
                span,
                "an alias of something that is in another document, or not complete yet",
                "write the value out",
            )
        })
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} fields and items, aliases included");
            return Err(fail(span, &message, "split the file, or use fewer aliases"));
        }
        Ok(())
    }
}

impl Fields {
    fn merge(&mut self, value: Value, span: Span) -> Result<(), YamlError> {
        let maps = match value {
            Value::Array(items) => items,
            single => vec![single],
        };
        for map in maps {
            let Value::Object(map) = map else {
                return Err(fail(
                    span,
                    "<< takes over the fields of a map",
                    "name an anchor of a map",
                ));
            };
            self.merged.push(map);
        }
        Ok(())
    }

    fn finish(mut self) -> Value {
        for (name, value) in self.merged.into_iter().flatten() {
            if !self.map.contains_key(&name) {
                self.map.insert(name, value);
            }
        }
        Value::Object(self.map)
    }
}

fn scalar_value(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: Span,
) -> Result<Value, YamlError> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(Value::from(text)),
        Some(_) => refuse_tag(tag, span).map(|()| Value::Null),
        None if style == ScalarStyle::Plain => {
            scalar::plain(text).map_err(|(message, fix)| fail(span, message, fix))
        }
        None => Ok(Value::from(text)),
    }
}

fn refuse_tag(tag: Option<&Tag>, span: Span) -> Result<(), YamlError> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && ["map", "seq"].contains(&tag.suffix.as_str()) => {
            Ok(())
        }
        Some(_) => Err(fail(
            span,
            "tags have no meaning here",
            "remove what begins with !",
        )),
        None => Ok(()),
    }
}

/// Nodes in a value, itself included. Not deeper than [`MAX_DEPTH`].
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

fn position(span: Span) -> Position {
    at(&span.start)
}

fn at(marker: &Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

fn fail(span: Span, message: &str, fix: &str) -> YamlError {
    YamlError {
        position: position(span),
        message: message.to_owned(),
        fix: fix.to_owned(),
    }
}

fn not_yaml(error: &ScanError) -> YamlError {
    YamlError {
        position: at(error.marker()),
        message: format!("not YAML: {}", error.info()),
        fix: "check indentation, quotes and brackets here and on the line above".to_owned(),
    }
}
