//! What an error means for the connections, and how it is told.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::super::remote::{Failure, Fault};

impl Failure for RedisError {
    /// An answer breaks nothing, unless it says that this server cannot serve: it is a replica by now, loads its data,
    /// or its cluster is down.
    fn breaks(&self) -> bool {
        match self.clone().into_server_errors() {
            Some(errors) => errors
                .iter()
                .any(|(_, error)| error.kind().is_some_and(of_no_use)),
            None => match self.kind() {
                ErrorKind::Server(kind) => of_no_use(kind),
                _ => true,
            },
        }
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

/// Whether the server is up but has no memory left for more keys.
pub(super) fn is_out_of_memory(fault: &Fault<RedisError>) -> bool {
    let Fault::Failed(error) = fault else {
        return false;
    };
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == "OOM"))
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
        let of = |kind| Fault::Failed(RedisError::from((kind, "test")));
        assert!(!of(ErrorKind::Server(ServerErrorKind::NoPerm)).breaks());
        assert!(of(ErrorKind::Server(ServerErrorKind::ReadOnly)).breaks());
        assert!(of(ErrorKind::Io).breaks());
        assert!(of(ErrorKind::Parse).breaks());
        assert!(Fault::<RedisError>::Silence("asked").breaks());
    }

    #[test]
    fn secrets_are_not_told() {
        let kind = ErrorKind::Server(ServerErrorKind::ResponseError);
        let refusal = "unknown command 'AUTH', with args beginning with: 'hunter2'".to_owned();
        let fault = Fault::Failed(RedisError::from((kind, "refused", refusal)));
        let told = fault.told(["", "hunter2"]);
        assert!(
            told.contains("'***'") && !told.contains("hunter2"),
            "{told}"
        );
    }
}
