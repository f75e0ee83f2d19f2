//! What a remote's branches and tags are at one moment.

mod choice;

use std::{collections::BTreeMap, fmt::Write as _, ops::Bound};

use gix::{ObjectId, bstr::ByteSlice as _, protocol::handshake::Ref};
use package_broker_core::domain::selection::RefPattern;
use sha2::{Digest, Sha256};

/// The most branches and tags together that are read of a repository.
pub(super) const MAX_REFS: usize = 10_000;

/// The namespaces that make versions.
pub(super) const HEADS: &str = "refs/heads/";
pub(super) const TAGS: &str = "refs/tags/";

/// A branch or tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// What it names: a commit as a rule, a tag object for annotated tags.
    pub(super) id: ObjectId,
    /// What the tag object names in the end; the same as `id` where there is none.
    pub(super) peeled: ObjectId,
}

/// The branches and tags of a remote, by full name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RemoteRefs {
    /// The branch `HEAD` stands for, as a full name, whether it exists or not.
    pub(super) head: Option<String>,
    /// `refs/heads/…` and `refs/tags/…`, sorted.
    pub(super) refs: BTreeMap<String, Target>,
    /// How many more the remote has, beyond [`MAX_REFS`].
    pub(super) left_out: usize,
}

/// Whether a ref is read: one of the patterns has it, or there are none.
pub(super) fn is_wanted(wanted: &[RefPattern], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|pattern| pattern.matches(name))
}

impl RemoteRefs {
    /// Takes over what a remote advertised of what is wanted, and its default branch, which names the package: the first
    /// [`MAX_REFS`] of these as [`choice::take`] has it. Names that are no ref names are left out: git itself would not fetch
    /// them.
    pub(super) fn of(advertised: &[Ref], wanted: &[RefPattern]) -> Self {
        let mut found = Self::default();
        let mut detached = None;
        for reference in advertised {
            let (name, id, peeled) = reference.unpack();
            let Ok(name) = name.to_str() else { continue };
            if name == "HEAD" {
                found.head = head_target(reference);
                detached = peeled.or(id).map(ToOwned::to_owned);
            } else if let Some(id) = id.filter(|_| is_version_ref(name)) {
                let peeled = peeled.unwrap_or(id).to_owned();
                found.refs.insert(
                    name.to_owned(),
                    Target {
                        id: id.to_owned(),
                        peeled,
                    },
                );
            }
        }
        if found.head.is_none() {
            found.head = detached.and_then(|id| found.branch_at(id));
        }
        let default = found.default_branch().map(|(name, _)| name.to_owned());
        let stays = |name: &str| is_wanted(wanted, name) || default.as_deref() == Some(name);
        found.refs.retain(|name, _| stays(name));
        if found.refs.len() > MAX_REFS {
            found.left_out = choice::take(&mut found.refs, default.as_deref(), MAX_REFS);
        }
        found
    }

    /// Whether the two name the same objects by the same names, so that nothing has to be fetched between them.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.head == other.head && self.refs == other.refs
    }

    /// For a `HEAD` that names a commit: the branch of that commit, `main` and `master` before others.
    fn branch_at(&self, id: ObjectId) -> Option<String> {
        let there = |name: &str| self.refs.get(name).is_some_and(|target| target.id == id);
        let usual = ["refs/heads/main", "refs/heads/master"]
            .into_iter()
            .find(|name| there(name));
        usual
            .or_else(|| {
                self.refs
                    .keys()
                    .map(String::as_str)
                    .find(|name| name.starts_with(HEADS) && there(name))
            })
            .map(str::to_owned)
    }

    /// The default branch: its full name and where it is. A remote whose `HEAD` is of no use has `main` or `master`,
    /// or its only branch.
    pub(super) fn default_branch(&self) -> Option<(&str, Target)> {
        let usual = ["refs/heads/main", "refs/heads/master"].into_iter();
        let mut branches = self.branches();
        let only = match (branches.next(), branches.next()) {
            (Some((name, _)), None) => Some(name),
            _ => None,
        };
        let found = self.head.as_deref().into_iter().chain(usual).chain(only);
        found
            .into_iter()
            .find_map(|name| self.refs.get_key_value(name))
            .map(|(name, target)| (name.as_str(), *target))
    }

    /// Branches by full name.
    pub(super) fn branches(&self) -> impl Iterator<Item = (&str, Target)> {
        self.within(HEADS)
    }

    /// Tags by full name.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&str, Target)> {
        self.within(TAGS)
    }

    fn within<'a>(&'a self, space: &'a str) -> impl Iterator<Item = (&'a str, Target)> {
        let all = self
            .refs
            .range::<str, _>((Bound::Included(space), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(space));
        all.map(|(name, target)| (name.as_str(), *target))
    }

    /// A digest of all of it, in hexadecimal.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.head.as_deref().unwrap_or_default());
        for (name, target) in &self.refs {
            digest.update(b"\0");
            digest.update(name);
            digest.update(target.id.as_slice());
        }
        if self.left_out > 0 {
            digest.update(self.left_out.to_string());
        }
        hex::encode(digest.finalize())
    }

    /// In git's `packed-refs` format.
    pub(super) fn to_packed(&self) -> String {
        let mut text = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        for (name, Target { id, peeled }) in &self.refs {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{id} {name}");
            if id != peeled {
                let _ = writeln!(text, "^{peeled}");
            }
        }
        text
    }

    /// From the text of [`RemoteRefs::to_packed`]; `None` for any other text.
    pub(super) fn from_packed(head: Option<String>, text: &str) -> Option<Self> {
        let mut refs = BTreeMap::new();
        let mut last: Option<&mut Target> = None;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(peeled) = line.strip_prefix('^') {
                last.as_deref_mut()?.peeled = ObjectId::from_hex(peeled.as_bytes()).ok()?;
                continue;
            }
            let (id, name) = line
                .split_once(' ')
                .filter(|(_, name)| is_version_ref(name))?;
            let id = ObjectId::from_hex(id.as_bytes()).ok()?;
            last = Some(
                refs.entry(name.to_owned())
                    .or_insert(Target { id, peeled: id }),
            );
        }
        Some(Self {
            head,
            refs,
            left_out: 0,
        })
    }
}

fn head_target(reference: &Ref) -> Option<String> {
    match reference {
        Ref::Symbolic { target, .. } | Ref::Unborn { target, .. } => target
            .to_str()
            .ok()
            .filter(|name| is_version_ref(name))
            .map(str::to_owned),
        Ref::Direct { .. } | Ref::Peeled { .. } => None,
    }
}

fn is_version_ref(name: &str) -> bool {
    (name.starts_with(HEADS) || name.starts_with(TAGS))
        && gix::validate::reference::name(name.into()).is_ok()
}

#[cfg(test)]
mod tests;
