//! What an error means for the connections, and how it is told.

/// An error of a server's client.
pub(in super::super) trait Failure: Send {
    /// Whether the connections are of no more use. An answer is no such failure, unless it says that this server
    /// cannot serve.
    fn breaks(&self) -> bool;

    /// What happened, and what to do about it where that is known.
    fn text(&self) -> String;
}

/// Why a call or a connection failed.
#[derive(Debug)]
pub(in super::super) enum Fault<E> {
    /// The client says so.
    Failed(E),
    /// The server said nothing in time.
    Silence(&'static str),
    /// The connection ended meanwhile.
    Ended,
}

impl<E: Failure> From<E> for Fault<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

impl<E: Failure> Fault<E> {
    /// Whether the connections are of no more use.
    pub(in super::super) fn breaks(&self) -> bool {
        match self {
            Self::Failed(error) => error.breaks(),
            Self::Silence(_) | Self::Ended => true,
        }
    }

    /// The fault in words, without any of `secrets`: some servers repeat the arguments of a command they refuse.
    pub(in super::super) fn told<'s>(&self, secrets: impl IntoIterator<Item = &'s str>) -> String {
        let mut text = match self {
            Self::Failed(error) => error.text(),
            Self::Silence(what) => format!("no answer in time when we {what}"),
            Self::Ended => "the connection ended".to_owned(),
        };
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
        text
    }
}
