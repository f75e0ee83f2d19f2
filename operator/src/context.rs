//! What every reconcile has at hand.

use std::{collections::BTreeMap, sync::Arc};

use kube::{
    Client, Resource, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use package_broker_crds::{AccessToken, PackageBroker, Repository};

use crate::{
    access_token::{self, looks::Looks},
    args::Images,
    children::Children,
    database::Databases,
    member::{Member, local_name, members},
    metrics::{Kinds, Metrics},
    package_broker::{migration::Attempts, pace::Pace, settled::Settlements},
    runtime::{
        apply::Applier,
        events::Events,
        guard::Unreadable,
        live::{Answers, Live},
        once::Once,
        requeue::Backoffs,
        watches::Trigger,
        written::Written,
    },
    syncs::Syncs,
};

/// Shared by all controllers.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) images: Images,
    pub(crate) brokers: Store<PackageBroker>,
    pub(crate) repositories: Store<Repository>,
    pub(crate) tokens: Store<AccessToken>,
    pub(crate) children: Children,
    pub(crate) answers: Answers,
    /// Where brokers are asked, with `{name}` and `{namespace}`.
    pub(crate) status_url: String,
    /// The states that pods were told to look at.
    pub(crate) hurried: Once,
    pub(crate) applier: Applier,
    pub(crate) events: Events,
    /// Statuses that the watches have not told of yet.
    pub(crate) written: Written,
    pub(crate) backoffs: Backoffs,
    /// Tokens of which there is nothing new to say.
    pub(crate) token_looks: access_token::settled::Settlements,
    /// What was found in the Secrets of tokens.
    pub(crate) looks: Looks,
    /// Tokens that nothing is said of for a moment.
    pub(crate) holds: access_token::held::Holds,
    /// How often brokers are looked at.
    pub(crate) pace: Pace,
    /// Brokers that were brought to what their spec says.
    pub(crate) settled: Settlements,
    /// Migrations that failed.
    pub(crate) attempts: Attempts,
    /// The databases of brokers that have one.
    pub(crate) databases: Databases,
    /// What is known of sync Jobs.
    pub(crate) syncs: Syncs,
    /// What users declare and this release cannot read.
    pub(crate) unreadable: UnreadableKinds,
    /// Has the syncs of a broker looked at.
    pub(crate) look_at_syncs: Trigger<PackageBroker>,
    pub(crate) look_at_repository: Trigger<Repository>,
    pub(crate) look_at_token: Trigger<AccessToken>,
}

/// Objects that cannot be read, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnreadableKinds {
    pub(crate) brokers: Unreadable,
    pub(crate) repositories: Unreadable,
    pub(crate) tokens: Unreadable,
}

impl Context {
    /// Waits until all that there is was seen once.
    pub(crate) async fn complete(&self) {
        async fn of<K>(store: &Store<K>)
        where
            K: Resource<DynamicType = ()> + Clone + 'static,
        {
            // It ends early only when the watch does, and then the process does too.
            let _ = store.wait_until_ready().await;
        }
        let children = &self.children;
        tokio::join!(
            of(&self.brokers),
            of(&self.repositories),
            of(&self.tokens),
            of(&children.deployments),
            of(&children.jobs),
            of(&children.settings),
            of(&children.services),
            of(&children.volumes),
            of(&children.secrets),
            children.surroundings.complete(),
        );
        if let Some(namespaces) = &children.namespaces {
            of(namespaces).await;
        }
    }

    /// What is watched of what users declare.
    pub(crate) fn kinds(&self) -> Kinds {
        Kinds {
            brokers: self.brokers.clone(),
            repositories: self.repositories.clone(),
            tokens: self.tokens.clone(),
            unreadable: self.unreadable.clone(),
        }
    }

    /// The broker that an object in a namespace belongs to.
    pub(crate) fn broker(&self, namespace: &str, name: &str) -> Option<Arc<PackageBroker>> {
        let broker = self.brokers.get(&ObjectRef::new(name).within(namespace));
        broker.filter(|broker| broker.meta().deletion_timestamp.is_none())
    }

    /// A broker that goes, or is gone, needs nothing any more.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.answers.forget(namespace, name);
        let key = (namespace.to_owned(), name.to_owned());
        self.databases.forget(&key);
        self.settled.forget(&key);
    }

    /// The labels of a namespace; nothing if namespaces are not watched, or there is none of that name.
    pub(crate) fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let namespaces = self.children.namespaces.as_ref()?;
        let found = namespaces.get(&ObjectRef::new(name))?;
        Some(found.labels().clone())
    }

    /// Notes what is known of a broker without asking it, and has those looked at of which that is new.
    pub(crate) fn note_live(&self, broker: &PackageBroker, change: impl FnOnce(&mut Live)) {
        let (namespace, name) = (broker.namespace().unwrap_or_default(), broker.name_any());
        let (before, now) = self.answers.change((&namespace, &name), change);
        if before != now {
            self.pass_on(broker, &before, &now);
        }
    }

    /// Has those looked at of which a broker says something new.
    pub(crate) fn pass_on(&self, broker: &PackageBroker, before: &Live, now: &Live) {
        for repository in self.repositories_of(broker) {
            let name = local_name(repository.as_ref());
            if before.repository(&name) != now.repository(&name) {
                let namespace = repository.namespace().unwrap_or_default();
                self.look_at_repository
                    .look_at(&repository.name_any(), &namespace);
            }
        }
        for token in self.tokens_of(broker) {
            let name = local_name(token.as_ref());
            if before.token(&name) != now.token(&name) {
                let namespace = token.namespace().unwrap_or_default();
                self.look_at_token.look_at(&token.name_any(), &namespace);
            }
        }
    }

    /// The repositories that belong to a broker, by name.
    pub(crate) fn repositories_of(&self, broker: &PackageBroker) -> Vec<Arc<Repository>> {
        let mut found = staying(&self.repositories, broker);
        found.sort_by_key(|repository| local_name(repository.as_ref()));
        found
    }

    /// The tokens that belong to a broker, the oldest first.
    pub(crate) fn tokens_of(&self, broker: &PackageBroker) -> Vec<Arc<AccessToken>> {
        let mut found = staying(&self.tokens, broker);
        found.sort_by_key(|token| {
            (
                token.meta().creation_timestamp.clone(),
                local_name(token.as_ref()),
            )
        });
        found
    }
}

/// The members of a broker that are not being deleted.
fn staying<K: Member>(store: &Store<K>, broker: &PackageBroker) -> Vec<Arc<K>> {
    let namespace = broker.namespace().unwrap_or_default();
    let mut found = members(store, &namespace, &broker.name_any());
    found.retain(|member| member.meta().deletion_timestamp.is_none());
    found
}
