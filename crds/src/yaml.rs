//! Writes JSON values as YAML in block style: the definitions are read by people too.

use serde_json::Value;

/// The value as a YAML document that ends with a line break.
pub(crate) fn emit(value: &Value) -> String {
    let mut out = String::new();
    write_node(&mut out, value, 0);
    out.trim_start_matches('\n').to_owned()
}

/// Writes what follows a `key:` or `-`, starting with the space or line break between them.
fn write_node(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, field) in fields {
                new_line(out, indent);
                out.push_str(&scalar(key));
                out.push(':');
                write_node(out, field, indent + 2);
            }
            end_line(out);
        }
        Value::Array(items) if !items.is_empty() => {
            // Items stand at the indentation of their key, as kubectl writes them.
            let indent = indent.saturating_sub(2);
            for item in items {
                new_line(out, indent);
                out.push('-');
                write_item(out, item, indent + 2);
            }
            end_line(out);
        }
        Value::String(text) if text.contains('\n') => write_block(out, text, indent),
        Value::String(text) => {
            out.push(' ');
            out.push_str(&scalar(text));
            out.push('\n');
        }
        other => {
            out.push(' ');
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

/// A map in a list starts on the line of its dash.
fn write_item(out: &mut String, item: &Value, indent: usize) {
    let start = out.len();
    write_node(out, item, indent);
    if item.is_object() {
        let node = out.split_off(start);
        out.push(' ');
        out.push_str(node.trim_start());
    }
}

fn write_block(out: &mut String, text: &str, indent: usize) {
    out.push_str(" |-\n");
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn new_line(out: &mut String, indent: usize) {
    end_line(out);
    out.push_str(&" ".repeat(indent));
}

fn end_line(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// Plain where no reader could take it for anything but this text, else quoted as in JSON.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " ./_-(),;".contains(c))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn writes_block_style() {
        let value = json!({
            "kind": "X", "flag": true, "text": "yes", "rule": "self == oldSelf",
            "list": ["a", {"b": 1, "c": {"d": "two\nlines"}}],
        });
        assert_eq!(
            super::emit(&value),
            "kind: X\nflag: true\ntext: \"yes\"\nrule: \"self == oldSelf\"\nlist:\n- a\n- b: 1\n  c:\n    d: |-\n      two\n      lines\n"
        );
    }
}
