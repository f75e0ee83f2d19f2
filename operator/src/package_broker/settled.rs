//! Brokers that are as their specs say: as long as nothing that goes in has changed, and nothing that came of it, none of it
//! is read, built and compared again.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Resource, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use package_broker_crds::PackageBroker;

use super::{
    apply::{Applied, OnServers},
    build::{Summary, named, sync_request},
    dereference::secret_names,
    migration::Migration,
    rows::Rows,
    surroundings::Lacking,
};
use crate::{access_token, context::Context, database::digest, repository, surroundings::shape};

/// What there was when a broker was brought to what its spec says, and what came of that.
#[derive(Debug)]
pub(crate) struct Settled {
    inputs: [u8; 32],
    summary: Summary,
    lacking: Lacking,
    /// The Job that migrated its database, if it has one.
    migration: Option<Arc<Job>>,
}

/// Namespace and name of a broker.
type Key = (String, String);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Settlements(Mutex<HashMap<Key, Arc<Settled>>>);

impl Settlements {
    /// A broker that is gone is nothing any more.
    pub(crate) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Settled>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(broker: &PackageBroker) -> Key {
    (broker.namespace().unwrap_or_default(), broker.name_any())
}

/// Remembers that all was brought about from these inputs; nothing is remembered as long as something is missing.
pub(super) fn note(broker: &PackageBroker, inputs: [u8; 32], applied: &Applied, context: &Context) {
    let migration = match &applied.servers {
        None => None,
        Some(OnServers {
            migration: Migration::Done(job),
            rows: Rows::Declared,
        }) => Some(Arc::clone(job)),
        Some(_) => return context.settled.forget(&key(broker)),
    };
    let settled = Settled {
        inputs,
        summary: applied.summary.clone(),
        lacking: applied.lacking.clone(),
        migration,
    };
    let mut all = context.settled.lock();
    all.insert(key(broker), Arc::new(settled));
}

/// What came of it before, if that still stands.
pub(super) async fn again(
    broker: &PackageBroker,
    inputs: &[u8; 32],
    context: &Context,
) -> Option<Applied> {
    let key = key(broker);
    let known = context.settled.lock().get(&key).cloned();
    let settled = known.filter(|known| known.inputs == *inputs)?;
    let servers = match &settled.migration {
        None => None,
        Some(job) => {
            // Rows are changed without a word.
            let opened = context.databases.known(&key)?;
            opened.stands().await.then(|| OnServers {
                migration: Migration::Done(Arc::clone(job)),
                rows: Rows::Declared,
            })
        }
    };
    if servers.is_none() && settled.migration.is_some() {
        return None;
    }
    let name = ObjectRef::new(&key.1).within(&key.0);
    Some(Applied {
        summary: settled.summary.clone(),
        lacking: settled.lacking.clone(),
        servers,
        deployment: context.children.deployments.get(&name),
    })
}

/// A digest of all that a broker is made of, and of the objects that were made: which state of each there is.
pub(super) fn inputs(broker: &PackageBroker, context: &Context) -> [u8; 32] {
    let mut told = Told::default();
    told.object(broker.meta());
    for repository in context.repositories_of(broker) {
        told.object(repository.meta());
        told.text(sync_request(&repository));
        told.text(repository::credentials_version(&repository, context));
        told.text(repository::webhook_version(&repository, context));
        told.labels(repository.as_ref(), context);
    }
    for token in context.tokens_of(broker) {
        told.object(token.meta());
        let secret = access_token::secret_of(&token);
        told.version(&context.children.secrets, token.namespace(), &secret);
        told.labels(token.as_ref(), context);
    }
    let (namespace, children) = (broker.namespace(), &context.children);
    for secret in secret_names(broker) {
        told.version(&children.secrets, namespace.clone(), &secret);
    }
    told.version(
        &children.secrets,
        namespace.clone(),
        &named(broker, "state"),
    );
    told.version(&children.volumes, namespace.clone(), &named(broker, "data"));
    let settings = named(broker, "configuration");
    told.version(&children.settings, namespace.clone(), &settings);
    let name = broker.name_any();
    told.version(&children.services, namespace.clone(), &name);
    told.shape(&children.deployments, namespace.clone(), &name);
    for job in children.jobs.state() {
        if job.namespace() == namespace
            && job.labels().get(crate::children::INSTANCE) == Some(&name)
        {
            told.migration(&job);
        }
    }
    let around = &children.surroundings;
    told.shape(&around.policies, namespace.clone(), &name);
    told.shape(&around.budgets, namespace.clone(), &name);
    told.shape(&around.autoscalers, namespace.clone(), &name);
    told.shape(&around.ingresses, namespace.clone(), &name);
    // That a kind comes is a change too.
    match around.routes.store() {
        Some(routes) => told.shape(&routes, namespace.clone(), &name),
        None => told.text(Some("no routes".to_owned())),
    }
    match around.monitors.store() {
        Some(monitors) => told.shape(&monitors, namespace, &name),
        None => told.text(Some("no monitors".to_owned())),
    }
    told.digest()
}

/// What is told of objects, one after the other.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn text(&mut self, text: Option<String>) {
        self.0.push(text.unwrap_or_default());
    }

    /// Which spec of which object.
    fn object(&mut self, metadata: &ObjectMeta) {
        self.text(metadata.uid.clone());
        self.text(metadata.generation.map(|generation| generation.to_string()));
    }

    /// What an object of another namespace is admitted by.
    fn labels<K: Resource>(&mut self, object: &K, context: &Context) {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        let labels = context.namespace_labels(namespace);
        self.text(labels.map(|labels| format!("{labels:?}")));
    }

    fn version<K>(&mut self, store: &Store<K>, namespace: Option<String>, name: &str)
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let found = store.get(&ObjectRef::new(name).within(&namespace.unwrap_or_default()));
        self.text(found.and_then(|found| found.resource_version()));
    }

    /// Which state of an object, but for its status.
    fn shape<K>(&mut self, store: &Store<K>, namespace: Option<String>, name: &str)
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let found = store.get(&ObjectRef::new(name).within(&namespace.unwrap_or_default()));
        self.text(found.and_then(|found| shape(found.meta())));
    }

    /// Jobs of syncs come and go, and are no part of it.
    fn migration(&mut self, job: &Job) {
        use super::build::job::{COMPONENT, MIGRATION};
        if job
            .labels()
            .get(COMPONENT)
            .is_some_and(|of| of == MIGRATION)
        {
            self.text(job.uid());
            self.text(job.resource_version());
        }
    }

    fn digest(self) -> [u8; 32] {
        digest(self.0.iter().map(String::as_bytes))
    }
}
