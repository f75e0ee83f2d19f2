//! Databases of brokers: opened once, used as long as what leads to them stands.

mod declare;
mod ports;
mod requests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use package_broker_core::{
    domain::keyring::KeyRing,
    ports::database::{
        DatabaseError, PackageStore, RepositoryStore, Revision, SyncRequest, SyncRequestStore,
    },
};
use package_broker_drivers::database::postgres::{Options, OptionsError, Postgres};
use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::declare::{Declared, RepositoryState, Wanted, digest};
use self::requests::AbortOnDrop;

/// Connections to the database of one broker, at most.
const CONNECTIONS: u32 = 2;

/// What leads to a database.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Without the password, if that is apart.
    pub(crate) url: SecretString,
    pub(crate) password: Option<SecretString>,
    /// Certificates (PEM).
    pub(crate) ca: Option<String>,
}

impl Access {
    /// What the driver is opened with.
    ///
    /// # Errors
    /// What is wrong with the URL; no secret is named.
    pub(crate) fn options(&self) -> Result<Options, OptionsError> {
        let mut options = Options::parse(self.url.expose_secret(), self.password.as_ref())?;
        if let Some(ca) = &self.ca {
            options = options.ca(ca);
        }
        Ok(options.max_connections(CONNECTIONS))
    }

    fn digest(&self, keys: &KeyRing) -> [u8; 32] {
        let password = self.password.as_ref();
        let keys = keys.to_text();
        let parts = [
            self.url.expose_secret(),
            password.map_or("", |password| password.expose_secret()),
            self.ca.as_deref().unwrap_or_default(),
            keys.expose_secret(),
        ];
        digest(parts.map(str::as_bytes))
    }
}

/// Namespace and name of a broker.
type Key = (String, String);

/// The databases that are open.
#[derive(Default)]
pub(crate) struct Databases(Mutex<HashMap<Key, Arc<Opened>>>);

/// The database of a broker.
pub(crate) struct Opened {
    /// A digest of what leads to it.
    access: [u8; 32],
    postgres: Arc<Postgres>,
    options: Options,
    keys: KeyRing,
    declared: Mutex<Option<Declared>>,
    /// Listens for requests of syncs for as long as this is open.
    _listening: AbortOnDrop,
    records: Mutex<Option<(Revision, Arc<Records>)>>,
}

/// Whether each repository was ever synced to its end, by name.
pub(crate) type Records = HashMap<String, bool>;

/// How the schema compares with what this release needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// There are no tables.
    Missing,
    /// They are of a release before this one.
    Older,
    /// They can be used.
    Usable,
}

impl Databases {
    /// The database of a broker. It is opened anew when something else leads to it; nothing is asked of it yet. `asked`
    /// is called when somebody asks for a sync in it.
    ///
    /// # Errors
    /// As for [`Access::options`].
    pub(crate) fn open(
        &self,
        key: &Key,
        access: &Access,
        keys: &KeyRing,
        asked: impl Fn() + Send + 'static,
    ) -> Result<Arc<Opened>, OptionsError> {
        let digest = access.digest(keys);
        let mut open = self.lock();
        if let Some(known) = open.get(key)
            && known.access == digest
        {
            return Ok(Arc::clone(known));
        }
        let options = access.options()?;
        let opened = Arc::new(Opened {
            access: digest,
            postgres: Arc::new(Postgres::connect(&options)),
            options: options.clone(),
            _listening: requests::listen(options, asked),
            keys: keys.clone(),
            declared: Mutex::default(),
            records: Mutex::default(),
        });
        open.insert(key.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// The database of a broker, if it is open.
    pub(crate) fn known(&self, key: &Key) -> Option<Arc<Opened>> {
        self.lock().get(key).cloned()
    }

    /// A broker that is gone needs none any more; connections end with the last that uses them.
    pub(crate) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Opened>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    /// Looks at the tables.
    ///
    /// # Errors
    /// [`DatabaseError`] if the server does not answer, with the cause.
    pub(crate) async fn schema(&self) -> Result<Schema, DatabaseError> {
        let found = match self.postgres.schema().await {
            Ok(found) => found,
            Err(error) => {
                Postgres::reach(&self.options).await?;
                return Err(error);
            }
        };
        Ok(if found == 0 {
            Schema::Missing
        } else if found < Postgres::newest_schema() {
            Schema::Older
        } else {
            Schema::Usable
        })
    }

    /// What was declared last by this process; nothing if that is not what the database has.
    pub(crate) fn declared(&self) -> Option<Declared> {
        let declared = self.declared.lock();
        declared.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which repositories were ever synced. Read again only when that has changed.
    ///
    /// # Errors
    /// [`DatabaseError`] if the server does not answer.
    pub(crate) async fn records(&self) -> Result<Arc<Records>, DatabaseError> {
        let now = self.postgres.revisions().await?.repositories;
        let known = self.records_lock().clone();
        if let Some((revision, records)) = known
            && revision == now
        {
            return Ok(records);
        }
        let records = self.postgres.repositories().await?.into_iter();
        let records = records.map(|record| {
            let is_synced =
                record.state.is_some() || record.listing.is_some() || record.changed_at.is_some();
            (record.name.as_str().to_owned(), is_synced)
        });
        let records = Arc::new(records.collect::<Records>());
        *self.records_lock() = Some((now, Arc::clone(&records)));
        Ok(records)
    }

    /// Syncs that somebody asked for.
    ///
    /// # Errors
    /// [`DatabaseError`] if the server does not answer.
    pub(crate) async fn requests(&self) -> Result<Vec<SyncRequest>, DatabaseError> {
        self.postgres.sync_requests().await
    }

    /// A request is met.
    ///
    /// # Errors
    /// [`DatabaseError`] if the server does not answer.
    pub(crate) async fn met(&self, request: &SyncRequest) -> Result<(), DatabaseError> {
        self.postgres.forget_sync_request(request).await
    }

    fn records_lock(&self) -> MutexGuard<'_, Option<(Revision, Arc<Records>)>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
