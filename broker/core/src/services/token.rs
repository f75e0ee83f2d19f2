//! Who asks: from a token to what it may read.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use hashbrown::DefaultHashBuilder;
use tokio::sync::Mutex;

use super::{audit::AuditService, catalog::Dated};
use crate::{
    domain::{
        audit::{Action, Actor, Event},
        permissions::Permissions,
        quota::Quota,
        scope::Scope,
        stamp::Stamp,
        token::{PREFIX, TokenHash},
    },
    ports::{
        cache::{Cache, Change},
        database::{Database, DatabaseError, TokenRecord},
    },
};

/// What a valid token may do.
#[derive(Debug)]
pub struct Grant {
    /// The `AccessToken`'s name, for logs.
    pub token: String,
    /// The packages it may read.
    pub scope: Scope,
    /// [`Scope::view`].
    pub view: [u8; 32],
    /// The floor of every `Last-Modified` it is shown.
    pub floor: Dated,
    /// The requests it may make; nothing means any number.
    pub quota: Option<Quota>,
    hash: TokenHash,
    expires_at: Option<jiff::Timestamp>,
}

impl Grant {
    /// The later of a document's stamp and the token's floor: names one content (see [`crate::domain::stamp`]).
    pub fn dated<'a>(&'a self, document: &'a Dated) -> &'a Dated {
        if document.stamp >= self.floor.stamp {
            document
        } else {
            &self.floor
        }
    }

    /// How long its token is still valid, at most; `None` for one that does not expire.
    pub fn remaining(&self) -> Option<Duration> {
        let end = self.expires_at?;
        let left = end.duration_since(jiff::Timestamp::now());
        Some(left.try_into().unwrap_or_default())
    }
}

/// Why a request has no grant. The sentence is shown to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No credentials were sent.
    #[error(
        "this repository needs a token: add it to auth.json, for example `composer config http-basic.HOST token pb_…`"
    )]
    Missing,
    /// The token is not known here.
    #[error(
        "the token is not valid here: it was mistyped, revoked, or belongs to another installation"
    )]
    Unknown,
    /// It was valid once.
    #[error("the token has expired: ask for a new one")]
    Expired,
}

/// Tokens in memory, by hash.
pub struct TokenService {
    database: Arc<dyn Database>,
    cache: Arc<dyn Cache>,
    audit: Arc<AuditService>,
    grants: ArcSwap<HashMap<TokenHash, Arc<Grant>, DefaultHashBuilder>>,
    /// Held from the database to memory: what is in force is never older than what was before.
    turn: Mutex<()>,
}

impl TokenService {
    /// A service that knows no token yet.
    pub fn new(
        database: Arc<dyn Database>,
        cache: Arc<dyn Cache>,
        audit: Arc<AuditService>,
    ) -> Self {
        Self {
            database,
            cache,
            audit,
            grants: ArcSwap::default(),
            turn: Mutex::default(),
        }
    }

    /// Puts withdrawals and changes in force, but adds no new token: what is no longer declared stops at once, also if
    /// that cannot be stored.
    pub async fn restrict(
        &self,
        tokens: &[(TokenRecord, Permissions)],
    ) -> Result<(), DatabaseError> {
        let grants = self.grants.load_full();
        if grants.is_empty() {
            // Nothing is in force yet. What is stored keeps its floors until it is known what is declared.
            return Ok(());
        }
        let known = tokens
            .iter()
            .filter(|(record, _)| grants.contains_key(&record.hash));
        let known: Vec<(TokenRecord, Permissions)> = known.cloned().collect();
        if known.len() < grants.len() {
            let stay: HashSet<TokenHash> = known.iter().map(|(record, _)| record.hash).collect();
            let left = grants.iter().filter(|(hash, _)| stay.contains(hash));
            let left = left.map(|(hash, grant)| (*hash, Arc::clone(grant)));
            self.grants.store(Arc::new(left.collect()));
        }
        self.replace(known).await
    }

    /// Makes the valid tokens exactly these: stored first, then in force.
    pub async fn replace(
        &self,
        tokens: Vec<(TokenRecord, Permissions)>,
    ) -> Result<(), DatabaseError> {
        let records: Vec<TokenRecord> = tokens.iter().map(|(record, _)| record.clone()).collect();
        let _turn = self.turn.lock().await;
        let before = self.database.tokens().await?;
        let floors = self.database.replace_tokens(&records, Stamp::now()).await?;
        self.note_changes(&before, &records);
        let grants = tokens
            .into_iter()
            .zip(floors)
            .map(|((record, permissions), floor)| grant(record, permissions, floor));
        self.grants.store(Arc::new(grants.collect()));
        if let Err(error) = self.cache.announce(Change::Everything).await {
            tracing::debug!(%error, "other replicas will notice the change later");
        }
        Ok(())
    }

    /// Records how the stored tokens were changed.
    fn note_changes(&self, before: &[(TokenRecord, Stamp)], after: &[TokenRecord]) {
        let stored: HashMap<&str, &TokenRecord> = before
            .iter()
            .map(|(known, _)| (known.name.as_str(), known))
            .collect();
        let kept: HashSet<&str> = after.iter().map(|token| token.name.as_str()).collect();
        for token in after {
            match stored.get(token.name.as_str()) {
                None => self.note_change(Action::TokenCreated, token),
                Some(known) if *known != token => {
                    self.note_change(Action::TokenChanged, token);
                }
                Some(_) => {}
            }
        }
        for (token, _) in before {
            if !kept.contains(token.name.as_str()) {
                self.note_change(Action::TokenWithdrawn, token);
            }
        }
    }

    fn note_change(&self, action: Action, token: &TokenRecord) {
        let (scope, end) = (&token.grant, token.expires_at);
        let end = end.map(|end| format!(",\"expiresAt\":\"{end}\""));
        let detail = format!("{{\"scope\":{scope}{}}}", end.unwrap_or_default());
        self.audit.note(&Event {
            subject: Some(&token.name),
            detail: Some(&detail),
            ..Event::new(Actor::Manifests, action)
        });
    }

    /// Puts the tokens in force that the database has: another process may have changed them.
    pub async fn reload(&self) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        let mut grants = HashMap::default();
        for (record, floor) in self.database.tokens().await? {
            let permissions =
                serde_json::from_str(&record.grant).map_err(|error| DatabaseError::Corrupt {
                    what: format!("what the token {} allows", record.name),
                    problem: error.to_string(),
                })?;
            let (hash, grant) = grant(record, permissions, floor);
            grants.insert(hash, grant);
        }
        self.grants.store(Arc::new(grants));
        Ok(())
    }

    /// The grant of a token as a client sent it.
    ///
    /// # Errors
    /// [`Refusal`]; the caller asks [`super::limit::LimitService::failed`] how slowly to say so.
    pub fn authenticate(&self, token: &str) -> Result<Arc<Grant>, Refusal> {
        let hash = TokenHash::of(token);
        let grants = self.grants.load();
        let grant = grants
            .get(&hash)
            .filter(|grant| grant.hash.matches(&hash))
            .ok_or(Refusal::Unknown)?;
        if grant
            .expires_at
            .is_some_and(|end| end <= jiff::Timestamp::now())
        {
            return Err(Refusal::Expired);
        }
        Ok(Arc::clone(grant))
    }

    /// How many tokens are valid or expired but still declared.
    pub fn len(&self) -> usize {
        self.grants.load().len()
    }

    /// Whether no token is declared.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn grant(record: TokenRecord, permissions: Permissions, floor: Stamp) -> (TokenHash, Arc<Grant>) {
    let Permissions { scope, quota } = permissions;
    let grant = Grant {
        token: record.name,
        view: scope.view(),
        scope,
        quota,
        floor: floor.into(),
        hash: record.hash,
        expires_at: record.expires_at,
    };
    (record.hash, Arc::new(grant))
}

/// The token in the value of an `Authorization` header (protocol A.7): Basic with the token as the password, Basic
/// with the token as the user name, or Bearer. `decode` writes the bytes that base64 stands for into `buffer` and says how
/// many there are; what does not fit holds no token of ours.
pub fn token_in_header<'a>(
    header: &'a [u8],
    buffer: &'a mut [u8],
    decode: impl Fn(&[u8], &mut [u8]) -> Option<usize>,
) -> Option<&'a str> {
    let header = header.trim_ascii();
    let (scheme, value) = split_at_byte(header, b' ')?;
    let value = value.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return std::str::from_utf8(value).ok();
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let length = decode(value, buffer)?;
    let (user, password) = split_at_byte(buffer.get(..length)?, b':')?;
    let prefix = PREFIX.as_bytes();
    let user_is_token = user.starts_with(prefix) && !password.starts_with(prefix);
    let token = if user_is_token || password.is_empty() {
        user
    } else {
        password
    };
    std::str::from_utf8(token).ok()
}

/// What stands before a byte, and what stands after it.
fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|each| *each == byte)?;
    let (before, after) = text.split_at(at);
    Some((before, after.get(1..)?))
}
