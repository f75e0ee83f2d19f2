//! Where in a document something is.

use std::fmt;

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into the field of a map.
    Field(String),
    /// Into the item of a list, counted from 0.
    Index(usize),
}

/// The way from the root of a document to a field, shown as `spec.packages.include[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of a field in what this path leads to.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.then(Segment::Field(name.to_owned()))
    }

    /// The path of an item in what this path leads to.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    /// The path without its last step; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether `other` is this path or leads through it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Reads the form that `Display` writes, for names without dots and brackets.
    pub(crate) fn parse(text: &str) -> Self {
        let mut path = Self::root();
        for part in text.split(['.', '[']).filter(|part| !part.is_empty()) {
            let index = part
                .strip_suffix(']')
                .and_then(|number| number.parse().ok());
            path = match index {
                Some(index) => path.index(index),
                None => path.field(part),
            };
        }
        path
    }

    fn then(&self, segment: Segment) -> Self {
        let mut segments = Vec::with_capacity(self.0.len() + 1);
        segments.extend_from_slice(&self.0);
        segments.push(segment);
        Self(segments)
    }
}

impl FromIterator<Segment> for FieldPath {
    fn from_iter<T: IntoIterator<Item = Segment>>(segments: T) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Field(name) if name.contains(['.', '/', '[', ' ']) => {
                    write!(f, "[{name:?}]")?;
                }
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let path = FieldPath::root()
            .field("spec")
            .field("list")
            .index(2)
            .field("name");
        assert_eq!(path.to_string(), "spec.list[2].name");
        assert_eq!(FieldPath::parse("spec.list[2].name"), path);
        assert_eq!(
            FieldPath::root().field("data").field("tls.crt").to_string(),
            r#"data["tls.crt"]"#
        );
        assert!(FieldPath::parse("spec.list").contains(&path));
        assert!(!path.contains(&FieldPath::parse("spec.list")));
        assert_eq!(FieldPath::root().parent(), None);
    }
}
