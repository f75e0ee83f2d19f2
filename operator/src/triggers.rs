//! Which changes have which objects looked at.

mod referrers;
mod surroundings;

use std::sync::{Arc, OnceLock};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use package_broker_crds::{AccessToken, PackageBroker, Repository};
use tokio::task::JoinSet;

use self::referrers::{Referrer, Referrers};
use crate::{
    access_token,
    children::{Children, INSTANCE, MANAGED_BY, OPERATOR},
    context::UnreadableKinds,
    member::{Member, home, members},
    package_broker::{
        self,
        build::job::{COMPONENT, SYNC},
    },
    repository::secrets_of,
    runtime::{
        guard::Unreadable,
        health::Health,
        watches::{Trigger, Watchable, watch, watch_guarded},
    },
};

/// What watches are made with.
pub(crate) struct Watches<'a> {
    client: Client,
    /// All namespaces, if none is named.
    namespace: Option<String>,
    health: &'a Health,
    tasks: &'a mut JoinSet<()>,
}

impl<'a> Watches<'a> {
    pub(crate) fn new(
        client: Client,
        namespace: Option<String>,
        health: &'a Health,
        tasks: &'a mut JoinSet<()>,
    ) -> Self {
        Self {
            client,
            namespace,
            health,
            tasks,
        }
    }

    fn start<K>(
        &mut self,
        kind: &'static str,
        config: watcher::Config,
        seen: impl Fn(&K) + Send + 'static,
    ) -> Store<K>
    where
        K: Watchable + Resource<Scope = NamespaceResourceScope>,
    {
        self.start_slim(kind, config, |_| {}, seen)
    }

    /// The same, keeping of each object only what `slim` leaves.
    fn start_slim<K>(
        &mut self,
        kind: &'static str,
        config: watcher::Config,
        slim: fn(&mut K),
        seen: impl Fn(&K) + Send + 'static,
    ) -> Store<K>
    where
        K: Watchable + Resource<Scope = NamespaceResourceScope>,
    {
        let progress = self.health.watch(kind);
        watch(self.tasks, (self.api(), config), progress, slim, seen)
    }

    /// The same of a kind of ours.
    fn start_guarded<K>(
        &mut self,
        kind: &'static str,
        guard: (Unreadable, impl Fn() + Send + 'static),
        seen: impl Fn(&K) + Send + 'static,
    ) -> Store<K>
    where
        K: Watchable + Resource<Scope = NamespaceResourceScope>,
    {
        let progress = self.health.watch(kind);
        let all = (self.api(), watcher::Config::default());
        watch_guarded(self.tasks, all, progress, guard, seen)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let client = self.client.clone();
        match &self.namespace {
            None => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
        }
    }
}

/// Who is looked at because of whom.
#[derive(Clone)]
pub(crate) struct Triggers {
    pub(crate) broker: Trigger<PackageBroker>,
    pub(crate) repository: Trigger<Repository>,
    pub(crate) token: Trigger<AccessToken>,
    /// The syncs of a broker.
    pub(crate) syncs: Trigger<PackageBroker>,
    /// Who names which Secret.
    referrers: Arc<Referrers>,
}

/// What users declare, as it is now.
pub(crate) type Stores = (Store<PackageBroker>, Store<Repository>, Store<AccessToken>);

impl Triggers {
    /// Triggers that nothing has reached yet.
    pub(crate) fn new(
        broker: Trigger<PackageBroker>,
        repository: Trigger<Repository>,
        token: Trigger<AccessToken>,
        syncs: Trigger<PackageBroker>,
    ) -> Self {
        Self {
            broker,
            repository,
            token,
            syncs,
            referrers: Arc::default(),
        }
    }

    /// Starts all watches. Of our own kinds, what cannot be read is noted in `unreadable`.
    pub(crate) fn watch_all(
        &self,
        mut watches: Watches<'_>,
        unreadable: &UnreadableKinds,
    ) -> (Stores, Children) {
        let all = watcher::Config::default;
        let ours = || all().labels(&format!("{MANAGED_BY}={OPERATOR}"));
        let (brokers, repositories, tokens) = self.watch_own(&mut watches, unreadable);
        let me = self.clone();
        let deployments = watches.start("Deployment", ours(), move |child: &Deployment| {
            me.child_seen(child);
        });
        let me = self.clone();
        let jobs = watches.start_slim(
            "Job",
            ours(),
            // What pods are made from is most of it.
            |job: &mut Job| job.spec = None,
            move |child: &Job| me.job_seen(child),
        );
        let me = self.clone();
        let settings = watches.start(
            "ConfigMap",
            ours(),
            move |child: &PartialObjectMeta<ConfigMap>| me.child_seen(child),
        );
        let me = self.clone();
        let services = watches.start(
            "Service",
            ours(),
            move |child: &PartialObjectMeta<Service>| me.child_seen(child),
        );
        let me = self.clone();
        let volumes = watches.start(
            "PersistentVolumeClaim",
            ours(),
            move |child: &PartialObjectMeta<PersistentVolumeClaim>| me.child_seen(child),
        );
        let me = self.clone();
        let stores = (brokers.clone(), repositories.clone(), tokens.clone());
        let secrets = watches.start_slim(
            "Secret",
            all(),
            slim_secret,
            move |secret: &PartialObjectMeta<Secret>| {
                me.secret_seen(secret, &stores);
            },
        );
        let surroundings = self.watch_surroundings(&mut watches);
        let children = Children {
            deployments,
            jobs,
            settings,
            services,
            volumes,
            secrets,
            surroundings,
            namespaces: self.watch_namespaces(&mut watches, &repositories, &tokens),
        };
        ((brokers, repositories, tokens), children)
    }

    /// The kinds that users declare.
    fn watch_own(&self, watches: &mut Watches<'_>, unreadable: &UnreadableKinds) -> Stores {
        let me = self.clone();
        let known = Arc::<OnceLock<Store<PackageBroker>>>::default();
        let of_repositories = (unreadable.repositories.clone(), self.all_brokers(&known));
        let seen = move |repository: &Repository| {
            me.note_secrets(repository);
            me.member_seen(repository, &me.repository);
        };
        let repositories = watches.start_guarded("Repository", of_repositories, seen);
        let me = self.clone();
        let of_tokens = (unreadable.tokens.clone(), self.all_brokers(&known));
        let seen = move |token: &AccessToken| {
            me.note_token(token);
            me.member_seen(token, &me.token);
        };
        let tokens = watches.start_guarded("AccessToken", of_tokens, seen);
        let (me, of, to) = (self.clone(), repositories.clone(), tokens.clone());
        let of_brokers = (unreadable.brokers.clone(), || {});
        let seen = move |broker: &PackageBroker| me.broker_seen(broker, &of, &to);
        let brokers = watches.start_guarded("PackageBroker", of_brokers, seen);
        let _ = known.set(brokers.clone());
        (brokers, repositories, tokens)
    }

    /// Has all brokers looked at: whose a member is that cannot be read is found out by them.
    fn all_brokers(
        &self,
        known: &Arc<OnceLock<Store<PackageBroker>>>,
    ) -> impl Fn() + Send + 'static {
        let (trigger, known) = (self.broker.clone(), Arc::clone(known));
        move || {
            // Before there are any, each will be looked at anyway.
            for broker in known.get().iter().flat_map(|brokers| brokers.state()) {
                trigger.look_at(&broker.name_any(), &broker.namespace().unwrap_or_default());
            }
        }
    }

    /// Namespaces, which brokers may select by their labels.
    fn watch_namespaces(
        &self,
        watches: &mut Watches<'_>,
        repositories: &Store<Repository>,
        tokens: &Store<AccessToken>,
    ) -> Option<Store<PartialObjectMeta<Namespace>>> {
        if watches.namespace.is_some() {
            return None;
        }
        let progress = watches.health.watch("Namespace");
        let all = (Api::all(watches.client.clone()), watcher::Config::default());
        let (me, of, to) = (self.clone(), repositories.clone(), tokens.clone());
        let seen = move |namespace: &PartialObjectMeta<Namespace>| {
            let name = namespace.name_any();
            for repository in strangers(&of, &name) {
                me.member_seen(repository.as_ref(), &me.repository);
            }
            for token in strangers(&to, &name) {
                me.member_seen(token.as_ref(), &me.token);
            }
        };
        Some(watch(watches.tasks, all, progress, |_| {}, seen))
    }

    /// An object changed, or something that it needs; its broker takes that in.
    fn member_seen<K: Member>(&self, member: &K, trigger: &Trigger<K>) {
        let namespace = member.namespace().unwrap_or_default();
        trigger.look_at(&member.name_any(), &namespace);
        let (namespace, name) = home(member);
        self.broker.look_at(&name, &namespace);
    }

    /// Whoever belongs to a broker waits for it.
    fn broker_seen(
        &self,
        broker: &PackageBroker,
        repositories: &Store<Repository>,
        tokens: &Store<AccessToken>,
    ) {
        let (namespace, name) = (broker.namespace().unwrap_or_default(), broker.name_any());
        self.broker.look_at(&name, &namespace);
        for repository in members(repositories, &namespace, &name) {
            let namespace = repository.namespace().unwrap_or_default();
            self.repository.look_at(&repository.name_any(), &namespace);
        }
        for token in members(tokens, &namespace, &name) {
            let namespace = token.namespace().unwrap_or_default();
            self.token.look_at(&token.name_any(), &namespace);
        }
    }

    /// A child of a broker was changed, by us or by somebody else.
    fn child_seen<K: Resource<DynamicType = ()>>(&self, child: &K) {
        if let Some(broker) = child.labels().get(INSTANCE) {
            self.broker
                .look_at(broker, &child.namespace().unwrap_or_default());
        }
    }

    /// A Job began or ended: one that syncs concerns a repository, and says nothing of its broker.
    fn job_seen(&self, job: &Job) {
        let Some(broker) = job.labels().get(INSTANCE) else {
            return;
        };
        let namespace = job.namespace().unwrap_or_default();
        if job.labels().get(COMPONENT).is_some_and(|of| of == SYNC) {
            self.syncs.look_at(broker, &namespace);
        } else {
            self.broker.look_at(broker, &namespace);
        }
    }

    /// A Secret came, changed or went: one of ours, or one that somebody names.
    fn secret_seen(
        &self,
        secret: &PartialObjectMeta<Secret>,
        (brokers, repositories, tokens): &Stores,
    ) {
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        if secret
            .labels()
            .get(MANAGED_BY)
            .is_some_and(|by| by == OPERATOR)
        {
            self.child_seen(secret);
        }
        for broker in brokers.state() {
            if broker.namespace().as_deref() == Some(&namespace)
                && package_broker::names_secret(&broker, &name)
            {
                self.broker.look_at(&broker.name_any(), &namespace);
            }
        }
        let at = |name: &str| (name.to_owned(), namespace.clone());
        let repository = |name: &str| {
            let (name, namespace) = at(name);
            repositories.get(&ObjectRef::new(&name).within(&namespace))
        };
        let token = |name: &str| {
            let (name, namespace) = at(name);
            let found = tokens.get(&ObjectRef::new(&name).within(&namespace))?;
            let names = access_token::secret_of(&found);
            Some((found, names))
        };
        let stands = |referrer: &Referrer| match referrer {
            Referrer::Repository(of) => {
                repository(of).is_some_and(|found| secrets_of(&found).any(|named| named == name))
            }
            Referrer::Token(of) => token(of).is_some_and(|(_, names)| names == name),
        };
        for referrer in self.referrers.of(&namespace, &name, stands) {
            match referrer {
                Referrer::Repository(of) => {
                    if let Some(found) = repository(&of) {
                        self.member_seen(found.as_ref(), &self.repository);
                    }
                }
                Referrer::Token(of) => {
                    if let Some((found, _)) = token(&of) {
                        self.member_seen(found.as_ref(), &self.token);
                    }
                }
            }
        }
    }

    fn note_secrets(&self, repository: &Repository) {
        let namespace = repository.namespace().unwrap_or_default();
        for secret in secrets_of(repository) {
            let referrer = Referrer::Repository(repository.name_any());
            self.referrers.note(&namespace, secret, referrer);
        }
    }

    fn note_token(&self, token: &AccessToken) {
        let namespace = token.namespace().unwrap_or_default();
        let referrer = Referrer::Token(token.name_any());
        self.referrers
            .note(&namespace, &access_token::secret_of(token), referrer);
    }
}

/// Leaves of a Secret what is read here: there may be very many, most of them of others.
fn slim_secret(secret: &mut PartialObjectMeta<Secret>) {
    let all = std::mem::take(&mut secret.metadata);
    let labels = all.labels.unwrap_or_default();
    let is_ours = labels.get(MANAGED_BY).is_some_and(|by| by == OPERATOR);
    let read = labels
        .into_iter()
        .filter(|(key, _)| is_ours && [MANAGED_BY, INSTANCE].contains(&key.as_str()));
    secret.metadata = ObjectMeta {
        name: all.name,
        namespace: all.namespace,
        resource_version: all.resource_version,
        labels: is_ours.then(|| read.collect()),
        ..ObjectMeta::default()
    };
    secret.types = None;
}

/// Objects of a namespace that belong to a broker of another.
fn strangers<K: Member>(store: &Store<K>, namespace: &str) -> Vec<Arc<K>> {
    let mut found = store.state();
    found.retain(|member| {
        member.namespace().as_deref() == Some(namespace) && home(member.as_ref()).0 != namespace
    });
    found
}
