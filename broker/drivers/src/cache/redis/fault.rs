//! What an error means for the connections, and how it is told.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call or a connection failed.
#[derive(Debug)]
pub(super) enum Fault {
    Redis(RedisError),
    /// The server said nothing in time.
    Silence(&'static str),
    /// The connection ended meanwhile.
    Ended,
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl Fault {
    /// Whether the connections are of no more use. An answer is no such fault, unless it says that this server cannot
    /// serve: it is a replica by now, loads its data, or its cluster is down.
    pub(super) fn breaks(&self) -> bool {
        let Self::Redis(error) = self else {
            return true;
        };
        match error.clone().into_server_errors() {
            Some(errors) => errors
                .iter()
                .any(|(_, error)| error.kind().is_some_and(of_no_use)),
            None => match error.kind() {
                ErrorKind::Server(kind) => of_no_use(kind),
                _ => true,
            },
        }
    }

    /// Whether the server is up but has no memory left for more keys.
    pub(super) fn is_out_of_memory(&self) -> bool {
        let Self::Redis(error) = self else {
            return false;
        };
        let errors = error.clone().into_server_errors();
        errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == "OOM"))
    }

    /// The fault in words, without any of `secrets`: some servers repeat the arguments of a command they refuse.
    pub(super) fn told<'s>(&self, secrets: impl IntoIterator<Item = &'s str>) -> String {
        let mut text = match self {
            Self::Redis(error) => error.to_string(),
            Self::Silence(what) => format!("no answer in time when we {what}"),
            Self::Ended => "the connection ended".to_owned(),
        };
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
        text
    }
}

fn of_no_use(kind: ServerErrorKind) -> bool {
    matches!(
        kind,
        ServerErrorKind::ReadOnly
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::BusyLoading
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_breaks_nothing_unless_the_server_cannot_serve() {
        let of = |kind| Fault::Redis(RedisError::from((kind, "test")));
        assert!(!of(ErrorKind::Server(ServerErrorKind::NoPerm)).breaks());
        assert!(of(ErrorKind::Server(ServerErrorKind::ReadOnly)).breaks());
        assert!(of(ErrorKind::Io).breaks());
        assert!(of(ErrorKind::Parse).breaks());
        assert!(Fault::Silence("asked").breaks());
    }

    #[test]
    fn secrets_are_not_told() {
        let kind = ErrorKind::Server(ServerErrorKind::ResponseError);
        let refusal = "unknown command 'AUTH', with args beginning with: 'hunter2'".to_owned();
        let fault = Fault::Redis(RedisError::from((kind, "refused", refusal)));
        let told = fault.told(["", "hunter2"]);
        assert!(
            told.contains("'***'") && !told.contains("hunter2"),
            "{told}"
        );
    }
}
