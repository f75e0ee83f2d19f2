//! Fields that say something to somebody else, and nothing here, are not passed over in silence.

use package_broker_crds::AccessToken;
use package_broker_kinds::lifetime;

use super::Desired;

/// Tells of what has an effect in a cluster only.
pub(crate) fn tell(desired: &Desired) {
    let fields = desired.broker.spec.only_in_cluster().join(", ");
    if !fields.is_empty() {
        tracing::warn!(
            fields,
            "fields of the PackageBroker that have no effect outside of a cluster"
        );
    }
    for (token, brought) in &desired.tokens {
        tell_of_token(token, brought.is_some());
    }
}

/// Tells also of what nobody heeds where each sync is a call of `sync`.
pub(crate) fn tell_where_syncs_are_called(desired: &Desired) {
    tell(desired);
    for (repository, _) in &desired.repositories {
        let sync = &repository.spec.sync;
        if sync.interval.is_some() || sync.schedule.is_some() {
            let name = repository.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(
                repository = name,
                "spec.sync.interval and spec.sync.schedule have no effect here: call `package-broker sync {name}` as often as \
                 it is to be read"
            );
        }
    }
}

fn tell_of_token(token: &AccessToken, is_brought: bool) {
    let name = token.metadata.name.as_deref().unwrap_or_default();
    if is_brought && lifetime::request(token).is_some() {
        tracing::warn!(
            token = name,
            "package.broker/rotate-requested-at has no effect on a token of your own: put another one into its Secret"
        );
    }
    if token.spec.secret.is_some() {
        tracing::warn!(
            token = name,
            "spec.secret has no effect outside of a cluster: the token is in a file"
        );
    }
}
