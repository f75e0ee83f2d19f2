//! Who may look at the installation as a whole: users with passwords, which are stored as argon2id.

use std::{collections::BTreeMap, sync::Arc};

use argon2::{
    Argon2, PasswordHasher, PasswordVerifier,
    password_hash::{Error as HashError, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::audit::AuditService;
use crate::{
    domain::{
        audit::{Action, Actor, Event},
        user::Role,
    },
    ports::database::{Database, DatabaseError},
};

/// The setting that holds all users, by name.
const SETTING: &str = "users";
/// Passwords that are looked at at once: each takes some 20 MiB and a core for as many milliseconds.
const AT_ONCE: usize = 2;

/// Users, and their passwords.
pub struct UserService {
    database: Arc<dyn Database>,
    audit: Arc<AuditService>,
    turns: Semaphore,
}

/// A user that is to be.
pub struct Declared {
    /// Unique in the installation ([`crate::domain::user::is_name`]).
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its password ([`crate::domain::user::is_password`]).
    pub password: SecretString,
}

/// A user that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// Why nobody is let in.
#[derive(Debug, Error)]
pub enum Denied {
    /// There is no such user, or the password is another.
    #[error("there is no user of this name with this password")]
    Unknown,
    /// Nobody can tell.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Users could not be declared.
#[derive(Debug, Error)]
pub enum UserError {
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// No random numbers, for instance.
    #[error("a password could not be hashed: {0}")]
    Hash(HashError),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    role: Role,
    /// In the PHC string format.
    password: String,
}

type Users = BTreeMap<String, Stored>;

impl UserService {
    /// A service over the users of a database.
    pub fn new(database: Arc<dyn Database>, audit: Arc<AuditService>) -> Self {
        Self {
            database,
            audit,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Makes the users exactly these. What a user has already is not written again.
    pub async fn declare(&self, users: Vec<Declared>) -> Result<(), UserError> {
        let mut before = self.stored().await?;
        let mut after = Users::new();
        let mut events = Vec::new();
        for user in users {
            let known = before.remove(&user.name);
            let hash = known.as_ref().map(|known| known.password.clone());
            let same = match hash {
                Some(hash) => self.verify(user.password.clone(), hash).await,
                None => false,
            };
            let stored = match known {
                Some(known) if same && known.role == user.role => known,
                known => {
                    let action = known.map_or(Action::UserCreated, |_| Action::UserChanged);
                    events.push((action, user.name.clone()));
                    Stored {
                        role: user.role,
                        password: self.hash(user.password).await?,
                    }
                }
            };
            after.insert(user.name, stored);
        }
        let gone = before.into_keys().map(|name| (Action::UserRemoved, name));
        events.extend(gone);
        if events.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_string(&after).unwrap_or_default();
        self.database.save_setting(SETTING, &text).await?;
        for (action, name) in events {
            self.audit.note(&Event {
                subject: Some(&name),
                ..Event::new(Actor::Manifests, action)
            });
        }
        Ok(())
    }

    /// The user of this name and password. It takes as long for a name that nobody has.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn authenticate(&self, name: &str, password: SecretString) -> Result<User, Denied> {
        let mut users = self.stored().await?;
        let found = users.remove(name);
        let hash = found.as_ref().map(|found| found.password.clone());
        let is_right = self
            .verify(password, hash.unwrap_or_else(|| NOBODY.to_owned()))
            .await;
        match found {
            Some(found) if is_right => Ok(User {
                name: name.to_owned(),
                role: found.role,
            }),
            _ => Err(Denied::Unknown),
        }
    }

    async fn stored(&self) -> Result<Users, DatabaseError> {
        let text = self.database.setting(SETTING).await?.unwrap_or_default();
        // What cannot be read lets nobody in, and is replaced by the next declaration.
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn verify(&self, password: SecretString, hash: String) -> bool {
        let Ok(_turn) = self.turns.acquire().await else {
            return false;
        };
        let verifying = spawn_blocking(move || {
            let password = password.expose_secret().as_bytes();
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
        });
        verifying.await.unwrap_or_default()
    }

    async fn hash(&self, password: SecretString) -> Result<String, UserError> {
        let hashing = spawn_blocking(move || {
            let password = password.expose_secret().as_bytes();
            let hash = Argon2::default().hash_password(password)?;
            Ok(hash.to_string())
        });
        let hashed = hashing.await.unwrap_or(Err(HashError::Internal));
        hashed.map_err(UserError::Hash)
    }
}

/// The hash of a password that nobody knows, with the same parameters as all others.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyBpdA$q6ZvHj0T3dWnQYt0t8m1b2c3d4e5f6g7h8i9j0k1l2M";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nobody_takes_as_long_as_any() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let made = Argon2::default().hash_password(b"correct horse").unwrap();
        assert_eq!(nobody.params, made.params);
        assert_eq!(nobody.algorithm, made.algorithm);
        let verified = Argon2::default().verify_password(b"correct horse", &nobody);
        assert!(verified.is_err());
    }
}
