//! The manifests a test gives to `package-broker run -f`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

/// Documents of the three kinds, all belonging to one `PackageBroker`.
#[derive(Debug, Clone)]
pub struct Manifests {
    documents: Vec<Value>,
}

impl Manifests {
    /// Name of the `PackageBroker` in every set.
    pub const BROKER: &str = "broker";
    /// Name of the `AccessToken` in every set; it may read everything.
    pub const TOKEN: &str = "team";

    /// A broker that may read from loopback over plain HTTP and from local files, and one token.
    pub fn on_loopback() -> Self {
        Self::with_broker(&json!({"egress": {
            "allowedNetworks": ["127.0.0.0/8"],
            "allowHttp": true,
            "allowFileUrls": true,
        }}))
    }

    /// A broker with that spec, and one token.
    pub fn with_broker(spec: &Value) -> Self {
        Self {
            documents: Vec::new(),
        }
        .with("PackageBroker", Self::BROKER, spec)
        .with(
            "AccessToken",
            Self::TOKEN,
            &json!({"brokerRef": {"name": Self::BROKER}}),
        )
    }

    /// Itself with a `Repository` of that type and URL; `more` (an object) adds fields to its
    /// spec.
    #[must_use]
    pub fn repository(self, name: &str, kind: &str, url: &str, more: &Value) -> Self {
        let mut spec = json!({"brokerRef": {"name": Self::BROKER}, "type": kind, "url": url});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        self.with("Repository", name, &spec)
    }

    /// Itself with one more document of our group, in place of the one of that kind and name.
    #[must_use]
    pub fn with(self, kind: &str, name: &str, spec: &Value) -> Self {
        let mut this = self.without(kind, name);
        this.documents.push(json!({
            "apiVersion": "package.broker/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }));
        this
    }

    /// Itself with a `Secret` that holds `data` (an object of texts), in place of one of that name.
    #[must_use]
    pub fn secret(self, name: &str, data: &Value) -> Self {
        let mut this = self.without("Secret", name);
        this.documents.push(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": data,
        }));
        this
    }

    /// Itself without the document of that kind and name.
    #[must_use]
    pub fn without(mut self, kind: &str, name: &str) -> Self {
        self.documents
            .retain(|document| !(document["kind"] == kind && document["metadata"]["name"] == name));
        self
    }

    /// Itself with the spec of a document changed by a merge patch (RFC 7386).
    #[must_use]
    pub fn patched(mut self, kind: &str, name: &str, patch: &Value) -> Self {
        for document in &mut self.documents {
            if document["kind"] == kind && document["metadata"]["name"] == name {
                merge(&mut document["spec"], patch);
            }
        }
        self
    }

    /// The names of all documents of that kind.
    pub fn names<'m>(&'m self, kind: &'m str) -> impl Iterator<Item = &'m str> {
        let of_kind = self
            .documents
            .iter()
            .filter(move |document| document["kind"] == kind);
        of_kind.filter_map(|document| document["metadata"]["name"].as_str())
    }

    /// All documents as the text of one file.
    pub fn text(&self) -> Result<String> {
        let mut text = String::new();
        for document in &self.documents {
            text.push_str("---\n");
            text.push_str(&serde_json::to_string_pretty(document)?);
            text.push('\n');
        }
        Ok(text)
    }

    /// Writes all documents into one file, which changes from the old to the new in one step.
    pub fn write_file(&self, file: &Path) -> Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, self.text()?)?;
        Ok(fs::rename(&new, file)?)
    }

    /// Writes a file a document into `directory`, which is made.
    pub fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        for document in &self.documents {
            let kind = document["kind"]
                .as_str()
                .unwrap_or_default()
                .to_ascii_lowercase();
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            let file = directory.join(format!("{kind}-{name}.json"));
            fs::write(file, serde_json::to_vec_pretty(document)?)?;
        }
        Ok(())
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            if let Some(object) = target.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge(&mut target[key], value);
        }
    }
}
