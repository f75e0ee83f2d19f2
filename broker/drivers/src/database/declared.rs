//! What to write of declared repositories: the part of it that is the same in every database.

use std::collections::HashMap;

use package_broker_core::{
    domain::names::RepositoryName,
    ports::{
        database::Revisions,
        declared::{Declaration, DeclaredContent, DeclaredRecord, Generation, Redeclared},
    },
};

/// The setting with what is declared of the installation as a whole.
pub(super) const INSTALLATION: &str = "installation";

/// What to write so that repositories are declared as wanted.
pub(super) struct DeclaredPlan<'a> {
    /// The rows to write.
    pub(super) save: Vec<(&'a RepositoryName, &'a DeclaredContent)>,
    /// The generation they get.
    pub(super) generation: Generation,
    /// The names of the rows to remove.
    pub(super) delete: Vec<RepositoryName>,
    /// The revisions afterwards.
    pub(super) revisions: Revisions,
}

impl<'a> DeclaredPlan<'a> {
    /// `None` if a row is not the one that was seen. Stored rows that are not wanted go.
    pub(super) fn new(
        wanted: &'a [Declaration],
        stored: Vec<DeclaredRecord>,
        mut revisions: Revisions,
    ) -> Option<Self> {
        let mut stored: HashMap<RepositoryName, DeclaredRecord> = stored
            .into_iter()
            .map(|record| (record.name.clone(), record))
            .collect();
        let mut save = Vec::new();
        for declaration in wanted {
            let known = stored.remove(&declaration.name);
            if known.as_ref().map(|known| known.generation) != declaration.seen {
                return None;
            }
            let before = known.map(|known| known.content);
            let content = declaration.content.as_ref();
            let changed = content.filter(|content| before.as_ref() != Some(*content));
            save.extend(changed.map(|content| (&declaration.name, content)));
        }
        let mut delete: Vec<RepositoryName> = stored.into_keys().collect();
        delete.sort();
        if !save.is_empty() || !delete.is_empty() {
            revisions.declared += 1;
        }
        Some(Self {
            save,
            generation: revisions.declared,
            delete,
            revisions,
        })
    }

    /// What comes of it.
    pub(super) fn outcome(&self) -> Redeclared {
        Redeclared {
            changed: self.save.iter().map(|(name, _)| (*name).clone()).collect(),
            removed: self.delete.clone(),
        }
    }
}
