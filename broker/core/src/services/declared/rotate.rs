//! From old keys to the first one of the ring, while everything goes on.

use std::collections::{BTreeMap, HashSet};

use super::{DeclareError, DeclaredService, Problem};
use crate::{
    domain::{
        keyring::KeyId,
        names::RepositoryName,
        sealed::{Row, Sealed},
    },
    ports::database::DatabaseError,
};

/// How often rows are looked at again that somebody else changed meanwhile.
const MAX_ROUNDS: usize = 8;

/// What a rotation came to. Once nothing is left and there are no problems, the other keys are not needed any more
/// ([`DeclaredService::keys_in_use`]).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// How many rows were sealed anew.
    pub resealed: usize,
    /// How many were sealed with the first key already, by whomever.
    pub standing: usize,
    /// How many were changed by somebody else again and again. The next rotation finds them.
    pub left: usize,
    /// Rows whose credentials do not open, so that they stay as they are.
    pub problems: Vec<Problem>,
}

/// A key, and how many rows it is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key: KeyId,
    /// How many rows are sealed with it.
    pub rows: usize,
    /// Whether it is in the ring. If it is not, its rows cannot be read.
    pub held: bool,
    /// Whether it is the one that seals.
    pub primary: bool,
}

impl KeyUse {
    /// Whether the key can be taken out of the ring without loss.
    pub fn may_be_dropped(&self) -> bool {
        self.held && !self.primary && self.rows == 0
    }
}

/// What became of one row.
enum Turn {
    /// There was nothing to do.
    Standing,
    Resealed,
    Overtaken,
    Problem(Problem),
}

impl DeclaredService {
    /// Seals with the first key what another one has sealed, row by row; each can be read all the while. Interrupted
    /// anywhere, the next rotation goes on with what is left. Several may run at once: what somebody else changed
    /// meanwhile, the credentials above all, is never written over.
    ///
    /// `resealed` is told of each row that is done, at once.
    ///
    /// # Errors
    /// [`DeclareError`] if the database does not answer or nothing can be sealed; rows that are done stay so.
    pub async fn rotate(
        &self,
        resealed: impl Fn(&RepositoryName) + Send + Sync,
    ) -> Result<Rotation, DeclareError> {
        let mut rotation = Rotation::default();
        let mut done: HashSet<RepositoryName> = HashSet::new();
        for _ in 0..MAX_ROUNDS {
            rotation.left = 0;
            rotation.standing = 0;
            for record in self.store.declared().await? {
                if done.contains(&record.name) {
                    continue;
                }
                let Some(sealed) = &record.content.sealed else {
                    continue;
                };
                match self.turn(&record.name, sealed).await? {
                    Turn::Standing => rotation.standing += 1,
                    Turn::Overtaken => rotation.left += 1,
                    Turn::Resealed => {
                        rotation.resealed += 1;
                        resealed(&record.name);
                        done.insert(record.name);
                    }
                    Turn::Problem(problem) => {
                        rotation.problems.push(problem);
                        done.insert(record.name);
                    }
                }
            }
            if rotation.left == 0 {
                break;
            }
        }
        if rotation.resealed > 0 {
            self.announce().await;
        }
        Ok(rotation)
    }

    /// Every key of the ring in its order, then those that are missing; each with how many rows it is needed for.
    pub async fn keys_in_use(&self) -> Result<Vec<KeyUse>, DatabaseError> {
        let mut rows: BTreeMap<KeyId, usize> = BTreeMap::new();
        for record in self.store.declared().await? {
            if let Some(sealed) = record.content.sealed {
                *rows.entry(sealed.key).or_default() += 1;
            }
        }
        let held = self.keys.ids().cloned().map(|key| KeyUse {
            rows: rows.remove(&key).unwrap_or_default(),
            held: true,
            primary: key == *self.keys.primary(),
            key,
        });
        let mut uses: Vec<KeyUse> = held.collect();
        uses.extend(rows.into_iter().map(|(key, rows)| KeyUse {
            key,
            rows,
            held: false,
            primary: false,
        }));
        Ok(uses)
    }

    /// Seals one row anew, if another key has sealed it.
    async fn turn(&self, name: &RepositoryName, before: &Sealed) -> Result<Turn, DeclareError> {
        let packed = match self.keys.open(Row::credentials_of(name), before) {
            Ok(packed) => packed,
            Err(error) => {
                let (name, error) = (name.clone(), error.into());
                return Ok(Turn::Problem(Problem { name, error }));
            }
        };
        if before.key == *self.keys.primary() {
            return Ok(Turn::Standing);
        }
        let after = self.seal(name, &packed)?;
        if !self.store.reseal(name, before, &after).await? {
            return Ok(Turn::Overtaken);
        }
        tracing::info!(repository = %name, from = %before.key, to = %after.key, "credentials sealed with another key");
        Ok(Turn::Resealed)
    }
}
