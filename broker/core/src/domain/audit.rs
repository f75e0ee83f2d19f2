//! Records of the audit log: who read or changed what, when, and from where.
//!
//! A record stands for one event or for several that differ in their time only. It never holds a token, a credential or
//! the query of a URL, and every text in it is bounded.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::token::PREFIX;

/// The longest actor, subject, version or repository of a record, in bytes; what is longer is cut.
pub const MAX_TEXT: usize = 255;
/// The longest detail of a record, in bytes; what is longer is cut. Only changes of manifests have details.
pub const MAX_DETAIL: usize = 8 << 10;

/// From this length on, what follows `pb_` may be a token.
const TOKEN_LENGTH: usize = 40;

/// The actors that are no tokens, by their names in records.
pub const OWN_ACTORS: [&str; 5] = [ANONYMOUS, MANIFESTS, WEBHOOK, SYNC, BROKER];
/// What the names of tokens begin with in records: a token may have any name, `sync` too.
pub const TOKEN_ACTOR: &str = "token/";
/// What the names of users begin with.
pub const USER_ACTOR: &str = "user/";

const ANONYMOUS: &str = "anonymous";
const MANIFESTS: &str = "manifests";
const WEBHOOK: &str = "webhook";
const SYNC: &str = "sync";
const BROKER: &str = "broker";

/// A word that none of a closed list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is none of those that are listed in docs/audit.md")]
pub struct UnknownWord;

/// An enum whose variants are words that records keep for good.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$meaning])* $variant,)+ }

        impl $name {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in records; it never changes.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let found = Self::ALL.iter().find(|word| word.as_str() == text);
                found.copied().ok_or(UnknownWord)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

words! {
    /// What was done.
    Action {
        /// The metadata of a package was asked for.
        PackageRead = "package.read",
        /// An archive was asked for.
        ArchiveRead = "archive.read",
        /// The root file was asked for.
        RootRead = "root.read",
        /// A list of names was asked for.
        ListRead = "list.read",
        /// Packages were searched for.
        Search = "search",
        /// A client told what it installed.
        InstallNotified = "install.notified",
        /// A sync was asked for, besides those at their times.
        SyncRequested = "sync.requested",
        /// A request came without a valid token.
        AccessRefused = "access.refused",
        /// A token began to count.
        TokenCreated = "token.created",
        /// The scope, the expiry or the text of a token changed.
        TokenChanged = "token.changed",
        /// A token stopped to count.
        TokenWithdrawn = "token.withdrawn",
        /// A user was made.
        UserCreated = "user.created",
        /// The password or role of a user changed.
        UserChanged = "user.changed",
        /// A user was removed.
        UserRemoved = "user.removed",
        /// The audit log was read over HTTP.
        AuditRead = "audit.read",
        /// The state of the installation was read over HTTP.
        StatusRead = "status.read",
        /// A repository was added.
        RepositoryAdded = "repository.added",
        /// The settings of a repository changed.
        RepositoryChanged = "repository.changed",
        /// The stored credentials of a repository were encrypted with another key.
        CredentialsResealed = "credentials.resealed",
        /// A repository was removed.
        RepositoryRemoved = "repository.removed",
        /// A repository has other versions of a package than before.
        PackageChanged = "package.changed",
        /// A repository has a package no longer.
        PackageRemoved = "package.removed",
        /// A package is served from another repository than before.
        PackageMoved = "package.moved",
        /// A package is no longer served.
        PackageWithdrawn = "package.withdrawn",
        /// An archive was fetched or built, and stored.
        ArchiveStored = "archive.stored",
        /// Manifests came into force.
        ManifestsApplied = "manifests.applied",
        /// Records are made from here on.
        AuditStarted = "audit.started",
        /// No records are made from here on.
        AuditEnded = "audit.ended",
        /// So many events could not be recorded.
        AuditLost = "audit.lost",
    }
}

words! {
    /// How it ended.
    Outcome {
        /// It was done, or answered whole.
        Ok = "ok",
        /// The client has it already (304).
        Unchanged = "unchanged",
        /// An empty list: there is nothing of that name for this asker.
        Empty = "empty",
        /// There is no such thing for this asker (404, 410).
        Absent = "absent",
        /// The request made no sense (400, 413).
        Invalid = "invalid",
        /// There was no valid token (401, 429).
        Refused = "refused",
        /// It could not be had, or nobody could tell (424, 5xx).
        Failed = "failed",
    }
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor<'a> {
    /// The bearer of a token, by the name of its `AccessToken`.
    Token(&'a str),
    /// A user, by name.
    User(&'a str),
    /// Somebody without a valid token.
    Anonymous,
    /// Whoever changed the manifests.
    Manifests,
    /// The host of a source, by its webhook.
    Webhook,
    /// A sync, or the reading of a package on demand.
    Sync,
    /// The program itself.
    Broker,
}

impl<'a> Actor<'a> {
    fn split(self) -> (&'static str, &'a str) {
        match self {
            Self::Token(name) => (TOKEN_ACTOR, name),
            Self::User(name) => (USER_ACTOR, name),
            Self::Anonymous => (ANONYMOUS, ""),
            Self::Manifests => (MANIFESTS, ""),
            Self::Webhook => (WEBHOOK, ""),
            Self::Sync => (SYNC, ""),
            Self::Broker => (BROKER, ""),
        }
    }

    /// Whether a record calls it so.
    fn is(self, text: &str) -> bool {
        let (kind, name) = self.split();
        text.strip_prefix(kind) == Some(name)
    }
}

impl fmt::Display for Actor<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.split();
        write!(formatter, "{kind}{name}")
    }
}

/// Something to be recorded. Equal ones make one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event<'a> {
    /// Who did it.
    pub actor: Actor<'a>,
    /// From where; nothing if no client did it.
    pub address: Option<IpAddr>,
    /// What was done.
    pub action: Action,
    /// To what: a package, a token or a repository, by name.
    pub subject: Option<&'a str>,
    /// The version of the package, as URLs have it.
    pub version: Option<&'a str>,
    /// The repository it belongs to.
    pub repository: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// More of a change. Holds no secret.
    pub detail: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// Something that was done, of nothing in particular.
    pub fn new(actor: Actor<'a>, action: Action) -> Self {
        Self {
            actor,
            address: None,
            action,
            subject: None,
            version: None,
            repository: None,
            outcome: Outcome::Ok,
            detail: None,
        }
    }

    /// The same with texts that a record may hold.
    #[must_use]
    pub fn bounded(self) -> Self {
        let text = |text: Option<&'a str>| {
            text.filter(|text| !is_unfit(text))
                .map(|text| cut(text, MAX_TEXT))
        };
        let actor = match self.actor {
            Actor::Token(name) => Actor::Token(cut(name, MAX_TEXT - TOKEN_ACTOR.len())),
            actor => actor,
        };
        Self {
            actor,
            subject: text(self.subject),
            version: text(self.version),
            repository: text(self.repository),
            detail: self.detail.map(|detail| cut(detail, MAX_DETAIL)),
            ..self
        }
    }

    /// Whether a record stands for it.
    pub fn is(&self, record: &Record) -> bool {
        self.action == record.action
            && self.outcome == record.outcome
            && self.address == record.address
            && self.subject == record.subject.as_deref()
            && self.version == record.version.as_deref()
            && self.repository == record.repository.as_deref()
            && self.actor.is(&record.actor)
            && self.detail == record.detail.as_deref()
    }

    /// The record of it.
    pub fn record(&self, now: Timestamp) -> Record {
        Record {
            first: now,
            last: now,
            count: 1,
            actor: self.actor.to_string().into(),
            address: self.address,
            action: self.action,
            subject: self.subject.map(Into::into),
            version: self.version.map(Into::into),
            repository: self.repository.map(Into::into),
            outcome: self.outcome,
            detail: self.detail.map(Into::into),
        }
    }
}

/// Text of a client's that is no name, or that may be a token somebody put into a URL.
fn is_unfit(text: &str) -> bool {
    // Most texts are too short to hold a token, and need not be searched for one.
    let may_hold_token = text.len() >= PREFIX.len() + TOKEN_LENGTH;
    let holds_control = if text.is_ascii() {
        text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        text.contains(char::is_control)
    };
    holds_control || may_hold_token && text.match_indices(PREFIX).any(|(at, _)| is_token(text, at))
}

fn is_token(text: &str, at: usize) -> bool {
    let rest = text.as_bytes().get(at + PREFIX.len()..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
    end.unwrap_or(rest.len()) >= TOKEN_LENGTH
}

fn cut(text: &str, length: usize) -> &str {
    text.get(..text.floor_char_boundary(length)).unwrap_or(text)
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When the first event it stands for was.
    pub first: Timestamp,
    /// When the last one was: the time that filters and retention go by.
    pub last: Timestamp,
    /// How many it stands for.
    pub count: u64,
    /// [`TOKEN_ACTOR`] and the name of a token, [`USER_ACTOR`] and that of a user, or one of [`OWN_ACTORS`].
    pub actor: Box<str>,
    /// See [`Event::address`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// See [`Event::action`].
    pub action: Action,
    /// See [`Event::subject`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<str>>,
    /// See [`Event::version`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Box<str>>,
    /// See [`Event::repository`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Box<str>>,
    /// See [`Event::outcome`].
    pub outcome: Outcome,
    /// See [`Event::detail`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<str>>,
}

/// The actor that people mean: the name of a token need not be written with what goes before it in records.
pub fn actor_named(text: &str) -> Cow<'_, str> {
    if OWN_ACTORS.contains(&text)
        || [TOKEN_ACTOR, USER_ACTOR]
            .iter()
            .any(|kind| text.starts_with(kind))
    {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{TOKEN_ACTOR}{text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(subject: &str) -> Event<'_> {
        Event {
            subject: Some(subject),
            ..Event::new(Actor::Token("ci"), Action::PackageRead)
        }
    }

    #[test]
    fn a_record_stands_for_its_event_only() {
        let now = Timestamp::UNIX_EPOCH;
        let event = Event {
            address: Some([192, 0, 2, 1].into()),
            version: Some("1.0.0.0"),
            repository: Some("team"),
            detail: Some("{}"),
            ..read("acme/lib")
        };
        let record = event.record(now);
        assert!(event.is(&record));
        for other in [
            read("acme/lib"),
            Event {
                address: None,
                ..event
            },
            Event {
                actor: Actor::Token("sync"),
                ..event
            },
            Event {
                actor: Actor::Sync,
                ..event
            },
            Event {
                action: Action::ArchiveRead,
                ..event
            },
            Event {
                subject: Some("acme/log"),
                ..event
            },
            Event {
                version: None,
                ..event
            },
            Event {
                repository: Some("other"),
                ..event
            },
            Event {
                outcome: Outcome::Unchanged,
                ..event
            },
            Event {
                detail: None,
                ..event
            },
        ] {
            assert!(!other.is(&record), "{other:?}");
        }
    }

    #[test]
    fn a_token_is_never_taken_for_one_of_our_own_actors() {
        for name in OWN_ACTORS {
            assert_eq!(actor_named(name), name);
            let event = Event::new(Actor::Token(name), Action::Search);
            assert_eq!(
                &*event.record(Timestamp::UNIX_EPOCH).actor,
                format!("token/{name}")
            );
        }
        assert_eq!(actor_named("ci"), "token/ci");
        assert_eq!(actor_named("token/sync"), "token/sync");
    }

    #[test]
    fn texts_are_bounded_and_fit_to_be_kept() {
        let long = "é".repeat(MAX_TEXT);
        let event = Event {
            actor: Actor::Token(&long),
            version: Some(&long),
            repository: Some("a\0b"),
            ..read(&long)
        };
        let record = event.bounded().record(Timestamp::UNIX_EPOCH);
        assert!(record.actor.len() <= MAX_TEXT);
        assert_eq!(record.subject.map(|text| text.len()), Some(MAX_TEXT - 1));
        assert_eq!(record.version.map(|text| text.len()), Some(MAX_TEXT - 1));
        assert_eq!(record.repository, None);
    }

    #[test]
    fn a_token_in_a_url_is_not_kept() {
        let token = format!("pb_{}", "aB-_0".repeat(10));
        let lower = token.to_lowercase();
        for text in [
            &token,
            &format!("acme/{lower}"),
            &format!("{token}/x"),
            &format!("pb_/{token}"),
        ] {
            assert_eq!(read(text).bounded().subject, None, "{text}");
        }
        for text in [
            "acme/pb_tools",
            "pb_acme/a-package-with-a-name-that-is-rather-long-but-legal",
        ] {
            assert_eq!(read(text).bounded().subject, Some(text));
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
        }
        assert_eq!("package.eaten".parse::<Action>(), Err(UnknownWord));
    }
}
