//! Secrets: read when they are needed, never kept.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use package_broker_kinds::SecretData;
use secrecy::SecretSlice;

/// The data of a Secret; `None` if there is none of that name.
///
/// # Errors
/// What the API server says.
pub(crate) async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<SecretData>, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = api.get_opt(name).await?;
    Ok(secret.map(|secret| {
        let data = secret.data.unwrap_or_default().into_iter();
        data.map(|(key, value)| (key, SecretSlice::from(value.0)))
            .collect()
    }))
}
