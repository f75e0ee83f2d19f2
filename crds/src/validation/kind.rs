//! The three kinds with their schemas, compiled once.

use std::sync::OnceLock;

use kube_cel::{CompiledSchema, compile_schema};
use serde_json::json;

use super::{Structure, metadata_schema};
use crate::definitions;

/// One of the kinds of this group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An installation.
    PackageBroker,
    /// A source of packages.
    Repository,
    /// A client's token.
    AccessToken,
}

/// A kind's schema in the forms that the checks need.
pub(super) struct KindSchema {
    /// The schema of the CustomResourceDefinition, with the fields every object has.
    pub(super) structure: Structure,
    pub(super) rules: CompiledSchema,
}

impl Kind {
    /// All kinds, in the order of [`definitions`].
    pub const ALL: [Self; 3] = [Self::PackageBroker, Self::Repository, Self::AccessToken];

    /// The kind as it is written in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PackageBroker => "PackageBroker",
            Self::Repository => "Repository",
            Self::AccessToken => "AccessToken",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    pub(super) fn schema(self) -> Result<&'static KindSchema, String> {
        static SCHEMAS: [OnceLock<Result<KindSchema, String>>; 3] = [const { OnceLock::new() }; 3];
        SCHEMAS[self as usize]
            .get_or_init(|| compile(self))
            .as_ref()
            .map_err(Clone::clone)
    }
}

fn compile(kind: Kind) -> Result<KindSchema, String> {
    let mut definition = definitions().swap_remove(kind as usize);
    let mut openapi = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
    let rules = compile_schema(&openapi);
    let field = |description: &str| json!({"type": "string", "description": description});
    if let Some(properties) = openapi["properties"].as_object_mut() {
        properties.insert(
            "apiVersion".to_owned(),
            field("What schema the document follows."),
        );
        properties.insert("kind".to_owned(), field("What the document declares."));
        properties.insert("metadata".to_owned(), metadata_schema());
    }
    openapi["required"] = json!(["metadata", "spec"]);
    let structure = Structure::new(&openapi)?;
    Ok(KindSchema { structure, rules })
}
