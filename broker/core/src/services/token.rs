//! Who asks: from a token to what it may read.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::catalog::Dated;
use crate::{
    domain::{
        scope::Scope,
        stamp::Stamp,
        token::{PREFIX, TokenHash},
    },
    ports::{
        cache::Cache,
        database::{Database, DatabaseError, TokenRecord},
    },
    telemetry::Telemetry,
};

/// Failures of one address within [`FAILURE_WINDOW`] that are answered without delay.
const FREE_FAILURES: u64 = 10;
/// Failures of one address within the window after which the answer is "too many".
const MAX_FAILURES: u64 = 60;
/// How long failures are remembered.
const FAILURE_WINDOW: Duration = Duration::from_mins(1);

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

/// What to do about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slowdown {
    /// Answer at once.
    None,
    /// Answer after this time.
    Wait(Duration),
    /// Answer "too many requests", to be asked again after this time.
    Refuse(Duration),
}

/// Tokens in memory, by hash.
pub struct TokenService {
    database: Arc<dyn Database>,
    cache: Arc<dyn Cache>,
    telemetry: Arc<Telemetry>,
    grants: ArcSwap<HashMap<TokenHash, Arc<Grant>>>,
}

impl TokenService {
    /// A service that knows no token yet.
    pub fn new(
        database: Arc<dyn Database>,
        cache: Arc<dyn Cache>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            database,
            cache,
            telemetry,
            grants: ArcSwap::default(),
        }
    }

    /// Makes the valid tokens exactly these: stored first, then in force.
    pub async fn replace(&self, tokens: Vec<(TokenRecord, Scope)>) -> Result<(), DatabaseError> {
        let records: Vec<TokenRecord> = tokens.iter().map(|(record, _)| record.clone()).collect();
        let floors = self.database.replace_tokens(&records, Stamp::now()).await?;
        let grants = tokens
            .into_iter()
            .zip(floors)
            .map(|((record, scope), floor)| {
                let grant = Grant {
                    token: record.name,
                    view: scope.view(),
                    scope,
                    floor: floor.into(),
                    hash: record.hash,
                    expires_at: record.expires_at,
                };
                (record.hash, Arc::new(grant))
            });
        self.grants.store(Arc::new(grants.collect()));
        Ok(())
    }

    /// The grant of a token as a client sent it.
    ///
    /// # Errors
    /// [`Refusal`]; the caller asks [`TokenService::failed`] how slowly to say so.
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

    /// Counts a failed attempt of an address and says how to answer it. A valid token is never slowed down, as
    /// many people may share an address.
    pub async fn failed(&self, address: &str) -> Slowdown {
        self.telemetry.auth_failures.increment();
        let counted = self
            .cache
            .count(&format!("auth-failures:{address}"), FAILURE_WINDOW)
            .await;
        match counted.unwrap_or_default() {
            0..=FREE_FAILURES => Slowdown::None,
            failures if failures <= MAX_FAILURES => {
                Slowdown::Wait(Duration::from_millis(50 * (failures - FREE_FAILURES)))
            }
            _ => Slowdown::Refuse(FAILURE_WINDOW),
        }
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

/// The token in the value of an `Authorization` header (protocol A.7): Basic with the token as the password, Basic
/// with the token as the user name, or Bearer. `decode` turns base64 into bytes.
pub fn token_in_header<'a>(
    header: &str,
    buffer: &'a mut String,
    decode: impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<&'a str> {
    let (scheme, value) = header.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        buffer.push_str(value.trim());
        return Some(buffer.as_str());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    buffer.push_str(&String::from_utf8(decode(value.trim())?).ok()?);
    let (user, password) = buffer.split_once(':')?;
    let user_is_token = user.starts_with(PREFIX) && !password.starts_with(PREFIX);
    if user_is_token || password.is_empty() {
        Some(user)
    } else {
        Some(password)
    }
}
