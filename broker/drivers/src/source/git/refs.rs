//! What a remote's branches and tags are at one moment.

use std::{collections::BTreeMap, fmt::Write as _, ops::Bound};

use gix::{ObjectId, bstr::ByteSlice as _, protocol::handshake::Ref};
use package_broker_core::ports::source::SourceError;
use sha2::{Digest, Sha256};

/// The most branches and tags together. A repository with more is no package.
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
}

impl RemoteRefs {
    /// Takes over what a remote advertised. Names that are no ref names are left out: git itself would not fetch them.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] past [`MAX_REFS`].
    pub(super) fn of(what: &str, advertised: &[Ref]) -> Result<Self, SourceError> {
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
        if found.refs.len() > MAX_REFS {
            let problem = format!(
                "it has {} branches and tags, more than {MAX_REFS}",
                found.refs.len()
            );
            return Err(SourceError::Invalid {
                what: what.to_owned(),
                problem,
            });
        }
        if found.head.is_none() {
            found.head = detached.and_then(|id| found.branch_at(id));
        }
        Ok(found)
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
        Some(Self { head, refs })
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
mod tests {
    use super::*;

    fn id(digit: char) -> ObjectId {
        ObjectId::from_hex(digit.to_string().repeat(40).as_bytes()).unwrap()
    }

    fn direct(name: &str, digit: char) -> Ref {
        Ref::Direct {
            full_ref_name: name.into(),
            object: id(digit),
        }
    }

    fn refs(advertised: &[Ref]) -> RemoteRefs {
        RemoteRefs::of("it", advertised).unwrap()
    }

    #[test]
    fn packed_refs_are_read_back() {
        let annotated = Ref::Peeled {
            full_ref_name: "refs/tags/v1".into(),
            tag: id('a'),
            object: id('b'),
        };
        let found = refs(&[
            direct("refs/heads/main", 'c'),
            annotated,
            direct("refs/tags/v2", 'd'),
        ]);
        assert_eq!(
            RemoteRefs::from_packed(None, &found.to_packed()),
            Some(found)
        );
        assert_eq!(RemoteRefs::from_packed(None, "nonsense"), None);
        assert_eq!(
            RemoteRefs::from_packed(None, &format!("^{}", id('a'))),
            None
        );
    }

    #[test]
    fn only_branches_and_tags_with_proper_names_count() {
        let found = refs(&[
            direct("refs/heads/main", '1'),
            direct("refs/pull/1/head", '2'),
            direct("refs/heads/../../config", '3'),
            direct("refs/heads/a\nb", '4'),
            direct("refs/tags/1.0", '5'),
            direct("refs/tags/1.0^{}", '5'),
        ]);
        assert_eq!(
            found.refs.keys().collect::<Vec<_>>(),
            ["refs/heads/main", "refs/tags/1.0"]
        );
    }

    #[test]
    fn the_default_branch_is_found() {
        let symbolic = |target: &str| Ref::Symbolic {
            full_ref_name: "HEAD".into(),
            target: target.into(),
            tag: None,
            object: id('1'),
        };
        let branches = [
            direct("refs/heads/a", '1'),
            direct("refs/heads/b", '2'),
            direct("refs/heads/main", '3'),
        ];
        for (head, expected) in [
            (Some(symbolic("refs/heads/b")), Some("refs/heads/b")),
            (Some(direct("HEAD", '2')), Some("refs/heads/b")),
            (Some(symbolic("refs/heads/gone")), Some("refs/heads/main")),
            (None, Some("refs/heads/main")),
        ] {
            let all: Vec<_> = branches.iter().cloned().chain(head.clone()).collect();
            assert_eq!(
                refs(&all)
                    .default_branch()
                    .map(|(name, _)| name.to_owned())
                    .as_deref(),
                expected,
                "{head:?}"
            );
        }
        assert_eq!(
            refs(&branches[..1])
                .default_branch()
                .map(|(name, _)| name.to_owned())
                .as_deref(),
            Some("refs/heads/a")
        );
        assert_eq!(refs(&branches[..2]).default_branch(), None);
    }

    #[test]
    fn the_digest_follows_every_ref_and_head() {
        let base = refs(&[direct("refs/heads/main", '1')]);
        let moved = refs(&[direct("refs/heads/main", '2')]);
        let more = refs(&[direct("refs/heads/main", '1'), direct("refs/tags/1", '1')]);
        let head = RemoteRefs {
            head: Some("refs/heads/x".to_owned()),
            ..base.clone()
        };
        let digests = [base.digest(), moved.digest(), more.digest(), head.digest()];
        assert_eq!(
            digests
                .iter()
                .collect::<std::collections::HashSet<_>>()
                .len(),
            4
        );
        assert_eq!(base.digest(), base.clone().digest());
    }

    #[test]
    fn too_many_refs_are_an_error() {
        let many: Vec<_> = (0..=MAX_REFS)
            .map(|n| direct(&format!("refs/tags/{n}"), '1'))
            .collect();
        let refusal = RemoteRefs::of("ssh://h/x", &many).unwrap_err().to_string();
        assert!(
            refusal.contains("ssh://h/x") && refusal.contains("10001"),
            "{refusal}"
        );
    }
}
