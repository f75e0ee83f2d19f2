//! `package-broker-operator check`: whether the API server takes what this operator looks after. `helm test` runs it.

use anyhow::Context;
use kube::{Api, Client, Resource, api::PostParams, core::NamespaceResourceScope};
use package_broker_crds::{API_VERSION, AccessToken, PackageBroker, Repository};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Shows one object of each kind to the API server, which keeps none, and says so on standard output.
///
/// # Errors
/// With what the API server says, if it does not take one of them: the definitions may be missing, or be of another release.
pub(crate) async fn check(namespace: &str) -> anyhow::Result<()> {
    let client = Client::try_default()
        .await
        .context("there is no cluster to talk to: start this in a pod, or set KUBECONFIG")?;
    show::<PackageBroker>(&client, namespace, &json!({})).await?;
    let source = json!({
        "brokerRef": {"name": NAME}, "type": "git", "url": "https://git.example.com/acme/lib.git",
    });
    show::<Repository>(&client, namespace, &source).await?;
    show::<AccessToken>(&client, namespace, &json!({"brokerRef": {"name": NAME}})).await
}

/// What the objects are called.
const NAME: &str = "package-broker-check";

async fn show<K>(client: &Client, namespace: &str, spec: &Value) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let kind = K::kind(&());
    let object = json!({
        "apiVersion": API_VERSION, "kind": kind, "metadata": {"name": NAME}, "spec": spec,
    });
    let object: K = serde_json::from_value(object)?;
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let api = Api::<K>::namespaced(client.clone(), namespace);
    api.create(&parameters, &object)
        .await
        .with_context(|| format!("the API server does not take a {kind}"))?;
    println!("{kind}: taken");
    Ok(())
}
