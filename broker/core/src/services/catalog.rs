//! What the broker keeps in memory of its packages: which repository holds which names, who owns each, and the stamps
//! of what is published. Everything here can be read again from the database.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
    sync::{Arc, PoisonError},
};

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
use hashbrown::DefaultHashBuilder;

use super::reach::{Demand, Reach, reaches};
use crate::{
    domain::{
        installation::Installation,
        metadata::Channel,
        names::{PackageName, RepositoryName},
        repository::Repository,
        stamp::{HttpDate, Stamp},
    },
    ports::database::{Applied, Delta, Held, Index, Published, Revision},
};

/// Names that are copied under one lock when all of them are gone through.
const PAGE: usize = 512;

/// A stamp with its HTTP date, formatted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The stamp.
    pub stamp: Stamp,
    /// The text of `Last-Modified`.
    pub date: HttpDate,
}

impl From<Stamp> for Dated {
    fn from(stamp: Stamp) -> Self {
        Self {
            stamp,
            date: stamp.http_date(),
        }
    }
}

impl Dated {
    /// Whether a client that sends this `If-Modified-Since` has what is dated so: compared as text (protocol A.5).
    pub fn is(&self, since: Option<&[u8]>) -> bool {
        since.is_some_and(|since| since == &self.date[..])
    }
}

/// A served name.
#[derive(Debug)]
pub struct Entry {
    /// What the database says of it.
    pub published: Published,
    stable: Dated,
    dev: Dated,
}

impl Entry {
    fn new(published: Published) -> Self {
        Self {
            stable: published.stable.into(),
            dev: published.dev.into(),
            published,
        }
    }

    /// When a channel's document last changed.
    pub fn dated(&self, channel: Channel) -> &Dated {
        match channel {
            Channel::Stable => &self.stable,
            Channel::Dev => &self.dev,
        }
    }
}

/// What is known of a name.
#[derive(Debug)]
pub struct Known {
    /// As it is served.
    pub entry: Option<Arc<Entry>>,
    /// The repositories that may have it and would own it before its owner, the first of them first.
    pub to_ask: Vec<(Arc<Repository>, Demand)>,
}

/// The shared memory. Locks are held for look-ups and for swaps of small values, never across I/O.
#[derive(Debug)]
pub struct Catalog {
    /// Every request looks into it several times, from every core: with a lock in one piece, the cores would pass it to
    /// and fro.
    state: ShardedLock<State>,
}

#[derive(Debug)]
struct State {
    installation: Arc<Installation>,
    /// Sorted, so that lists come out sorted.
    published: BTreeMap<PackageName, Arc<Entry>>,
    /// Looked into by every request, so with a hash that is quicker than the standard one.
    by_name: HashMap<PackageName, Arc<Entry>, DefaultHashBuilder>,
    held: HashMap<RepositoryName, HashMap<PackageName, Held>>,
    reach: HashMap<RepositoryName, Reach>,
    absent: Dated,
    generation: u64,
    /// Every change of the database up to this one is in here.
    revision: Revision,
}

impl Catalog {
    /// Memory of what the database holds.
    pub fn new(installation: Arc<Installation>, index: Index) -> Self {
        let mut state = State {
            installation,
            published: BTreeMap::new(),
            by_name: HashMap::with_capacity_and_hasher(
                index.published.len(),
                DefaultHashBuilder::default(),
            ),
            held: HashMap::new(),
            reach: HashMap::new(),
            absent: index.absent.into(),
            generation: 0,
            revision: index.revision,
        };
        for held in index.held {
            state.hold(held);
        }
        for published in index.published {
            state.publish(published);
        }
        Self {
            state: ShardedLock::new(state),
        }
    }

    fn read(&self) -> ShardedLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> ShardedLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present installation.
    pub fn installation(&self) -> Arc<Installation> {
        Arc::clone(&self.read().installation)
    }

    /// What `look` finds in the present installation: for a moment's look, on every request.
    pub fn in_installation<T>(&self, look: impl FnOnce(&Installation) -> T) -> T {
        look(&self.read().installation)
    }

    /// Replaces the installation, and what is known of the names of those repositories that are new or have other
    /// settings, in one step. Owners are looked over by the caller.
    pub fn install(
        &self,
        installation: Arc<Installation>,
        first_reach: impl Fn(&Repository) -> Option<Reach>,
    ) {
        let mut state = self.write();
        let mut before = std::mem::take(&mut state.reach);
        for repository in installation.repositories() {
            let stands = state
                .installation
                .repository(&repository.name)
                .is_some_and(|known| Arc::ptr_eq(known, repository));
            let reach = if stands {
                before.remove(&repository.name)
            } else {
                first_reach(repository)
            };
            if let Some(reach) = reach {
                state.reach.insert(repository.name.clone(), reach);
            }
        }
        state.installation = installation;
        state.generation += 1;
    }

    /// A served name.
    pub fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.read().by_name.get(name).cloned()
    }

    /// What is known of a name. An entry that is not `visible` counts as none.
    pub fn look_up(&self, name: &str, visible: impl Fn(&Entry) -> bool) -> Known {
        let state = self.read();
        let entry = state.by_name.get(name).filter(|entry| visible(entry));
        let owner = entry.map(|entry| &entry.published.owner);
        Known {
            entry: entry.cloned(),
            to_ask: state.to_ask(name, owner),
        }
    }

    /// Calls `visit` for every served name in order. Others may change the catalog in between: a visit of all names
    /// holds nobody up, and [`Catalog::generation`] tells whether it saw one state.
    pub fn each(&self, mut visit: impl FnMut(&PackageName, &Entry)) {
        let mut last: Option<PackageName> = None;
        loop {
            let page = self.page(last.as_ref());
            for (name, entry) in &page {
                visit(name, entry);
            }
            match page.into_iter().next_back() {
                Some((name, _)) => last = Some(name),
                None => return,
            }
        }
    }

    /// The next served names after one.
    fn page(&self, after: Option<&PackageName>) -> Vec<(PackageName, Arc<Entry>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.read();
        let names = state
            .published
            .range::<PackageName, _>((from, Bound::Unbounded));
        names
            .take(PAGE)
            .map(|(name, entry)| (name.clone(), Arc::clone(entry)))
            .collect()
    }

    /// When a served name last disappeared.
    pub fn absent(&self) -> Dated {
        self.read().absent
    }

    /// Grows with every change of names, owners or settings: what root files are cached by.
    pub fn generation(&self) -> u64 {
        self.read().generation
    }

    /// How many names are served.
    pub fn len(&self) -> usize {
        self.read().by_name.len()
    }

    /// Whether nothing is served.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a repository has of a package.
    pub fn held(&self, repository: &RepositoryName, package: &str) -> Option<Held> {
        self.read().held.get(repository)?.get(package).cloned()
    }

    /// The names that a repository has.
    pub fn held_by(&self, repository: &RepositoryName) -> Vec<PackageName> {
        self.read()
            .held
            .get(repository)
            .map(|packages| packages.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Repositories that have packages, configured or not.
    pub fn holders(&self) -> Vec<RepositoryName> {
        self.read()
            .held
            .iter()
            .filter(|(_, held)| !held.is_empty())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Who owns a name by the rule: the first repository in the order of precedence that has it and may serve it.
    pub fn rightful_owner(
        &self,
        name: &str,
        also: Option<&RepositoryName>,
        without: Option<&RepositoryName>,
    ) -> Option<RepositoryName> {
        let state = self.read();
        let owner = state
            .installation
            .repositories()
            .iter()
            .find(|repository| {
                let holds = also == Some(&repository.name)
                    || state
                        .held
                        .get(&repository.name)
                        .is_some_and(|held| held.contains_key(name));
                holds
                    && without != Some(&repository.name)
                    && state.installation.may_ask(repository, name)
            })?;
        Some(owner.name.clone())
    }

    /// The revision of the database up to which every change is known here.
    pub fn seen(&self) -> Revision {
        self.read().revision
    }

    /// Takes over what others changed.
    pub fn take_over(&self, delta: Delta) {
        let mut state = self.write();
        for package in &delta.packages {
            for held in state.held.values_mut() {
                held.remove(package);
            }
        }
        for held in delta.held {
            state.hold(held);
        }
        let served: HashSet<PackageName> = delta
            .published
            .iter()
            .map(|published| published.package.clone())
            .collect();
        for published in delta.published {
            state.publish(published);
        }
        for package in delta.packages.iter().filter(|name| !served.contains(*name)) {
            state.withdraw(package);
        }
        state.set_absent(delta.absent);
        state.revision = delta.revision;
    }

    /// Notes what the database made of a change.
    pub fn apply(
        &self,
        applied: Applied,
        put: Vec<Held>,
        removed: &[(RepositoryName, PackageName)],
        withdrawn: &[PackageName],
    ) {
        let mut state = self.write();
        for held in put {
            state.hold(held);
        }
        for (repository, package) in removed {
            if let Some(held) = state.held.get_mut(repository) {
                held.remove(package);
            }
        }
        for published in applied.published {
            state.publish(published);
        }
        for package in withdrawn {
            state.withdraw(package);
        }
        state.set_absent(applied.absent);
        // If others made changes in between, they are still to be taken over.
        if applied.revision == state.revision + 1 {
            state.revision = applied.revision;
        }
    }

    /// Notes how far a repository's names are known. `None`: all of them are held.
    pub fn set_reach(&self, repository: &RepositoryName, reach: Option<Reach>) {
        let mut state = self.write();
        if state.reach.get(repository) == reach.as_ref() {
            return;
        }
        match reach {
            Some(reach) => state.reach.insert(repository.clone(), reach),
            None => state.reach.remove(repository),
        };
        state.generation += 1;
    }

    /// How far a repository's names are known; `None` if all of them are held.
    pub fn reach(&self, repository: &RepositoryName) -> Option<Reach> {
        self.read().reach.get(repository).cloned()
    }

    /// The repositories whose first sync is under way.
    pub fn waiting(&self) -> Vec<RepositoryName> {
        let state = self.read();
        let waiting = state
            .reach
            .iter()
            .filter(|(_, reach)| reach.demand == Demand::Wait);
        waiting.map(|(name, _)| name.clone()).collect()
    }

    /// Every repository whose names are not all held, with how far they are known.
    pub fn reaches(&self) -> Vec<(Arc<Repository>, Reach)> {
        let state = self.read();
        let known = state.installation.repositories().iter();
        known
            .filter_map(|repository| {
                Some((
                    Arc::clone(repository),
                    state.reach.get(&repository.name)?.clone(),
                ))
            })
            .collect()
    }
}

impl State {
    /// The repositories that may have a name that we do not hold of them, and would own it before `owner`; the one
    /// that would own it first comes first. What is served already goes on being served while a repository that came
    /// later is read for the first time.
    fn to_ask(&self, name: &str, owner: Option<&RepositoryName>) -> Vec<(Arc<Repository>, Demand)> {
        if self.reach.is_empty() {
            return Vec::new();
        }
        let before_owner = self
            .installation
            .repositories()
            .iter()
            .take_while(|r| Some(&r.name) != owner);
        let asked = before_owner.filter_map(|repository| {
            let reach = self.reach.get(&repository.name)?;
            let matters = owner.is_none() || reach.doubts_owners(repository);
            let may_have = matters
                && self.installation.may_ask(repository, name)
                && reaches(&reach.listing, name);
            may_have.then(|| (Arc::clone(repository), reach.demand))
        });
        asked.collect()
    }

    fn set_absent(&mut self, absent: Stamp) {
        if self.absent.stamp != absent {
            self.absent = absent.into();
        }
    }

    /// What is known by a name already shares the text of that name: there are many of them.
    fn hold(&mut self, mut held: Held) {
        if let Some((repository, _)) = self.held.get_key_value(&held.repository) {
            held.repository = repository.clone();
        }
        if let Some((package, _)) = self.by_name.get_key_value(&held.package) {
            held.package = package.clone();
        }
        let packages = self.held.entry(held.repository.clone()).or_default();
        packages.insert(held.package.clone(), held);
    }

    fn publish(&mut self, mut published: Published) {
        if let Some((owner, held)) = self.held.get_key_value(&published.owner) {
            published.owner = owner.clone();
            if let Some((package, _)) = held.get_key_value(&published.package) {
                published.package = package.clone();
            }
        }
        let name = published.package.clone();
        let entry = Arc::new(Entry::new(published));
        self.by_name.insert(name.clone(), Arc::clone(&entry));
        let before = self.published.insert(name, Arc::clone(&entry));
        if before.is_none_or(|before| before.published.owner != entry.published.owner) {
            self.generation += 1;
        }
    }

    fn withdraw(&mut self, package: &PackageName) {
        self.by_name.remove(package);
        if self.published.remove(package).is_some() {
            self.generation += 1;
        }
    }
}
