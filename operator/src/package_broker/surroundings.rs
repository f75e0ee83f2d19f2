//! Makes what stands around the pods be as the spec says: what it asks for is there, and of the rest nothing that is ours.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Preconditions},
    core::PartialObjectMeta,
};
use package_broker_crds::{PackageBroker, Reason};
use serde::{Serialize, de::DeserializeOwned};

use super::build::Surroundings;
use crate::{
    children::{MANAGED_BY, OPERATOR, is_child},
    context::Context,
    error::ReconcileError,
    runtime::{conditions::Verdict, failpoint::reach, status::is_not_found},
    surroundings::{Seen, of, shape},
};

/// What is not as the spec says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lacking {
    /// What the broker cannot be ready without.
    pub(super) verdict: Option<Verdict>,
    /// What it can be ready without.
    pub(super) note: Option<&'static str>,
}

/// A route that cannot be is a registry that nobody reaches. It is no reason to stall: who installs the registry often
/// installs the Gateway API beside it, and the operator sees that without a change of the spec.
const NO_ROUTE: &str = "spec.expose.gateway: the cluster does not have the kind HTTPRoute in gateway.networking.k8s.io/v1; install the Gateway API, or use spec.expose.ingress";
/// Packages are served whether or not somebody looks on.
const NO_MONITOR: &str = "spec.monitoring.serviceMonitor: the cluster does not have the kind ServiceMonitor in monitoring.coreos.com/v1; install the Prometheus operator, or set it to false";

pub(super) async fn apply(
    broker: &PackageBroker,
    surroundings: &Surroundings,
    context: &Context,
) -> Result<Lacking, ReconcileError> {
    // All of them: a new one that is forgotten here does not compile.
    let Surroundings {
        policy,
        budget,
        autoscaler,
        ingress,
        route,
        monitor,
    } = surroundings;
    let seen = &context.children.surroundings;
    let by = Settling { broker, context };
    let mut verdicts = vec![
        by.settle("broker.policy-settled", policy.as_ref(), &seen.policies)
            .await?,
        by.settle("broker.budget-settled", budget.as_ref(), &seen.budgets)
            .await?,
        by.settle(
            "broker.autoscaler-settled",
            autoscaler.as_ref(),
            &seen.autoscalers,
        )
        .await?,
        by.settle("broker.ingress-settled", ingress.as_ref(), &seen.ingresses)
            .await?,
    ];
    match (seen.routes.store(), route) {
        (Some(seen), _) => verdicts.push(
            by.settle("broker.route-settled", route.as_ref(), &seen)
                .await?,
        ),
        (None, Some(_)) => verdicts.push(Some(missing(NO_ROUTE))),
        (None, None) => {}
    }
    let mut note = None;
    match (seen.monitors.store(), monitor) {
        (Some(seen), _) => verdicts.push(
            by.settle("broker.monitor-settled", monitor.as_ref(), &seen)
                .await?,
        ),
        (None, Some(_)) => note = Some(NO_MONITOR),
        (None, None) => {}
    }
    Ok(Lacking {
        verdict: verdicts.into_iter().flatten().next(),
        note,
    })
}

fn missing(message: &str) -> Verdict {
    Verdict::Progressing(Reason::NotInstalled, message.to_owned())
}

struct Settling<'a> {
    broker: &'a PackageBroker,
    context: &'a Context,
}

impl Settling<'_> {
    /// Makes an object be there as described, or not at all. Says what is in the way, if something is. Nothing is asked of
    /// the API server if all is so already. `place` is where a test may end the process after a write.
    async fn settle<K>(
        &self,
        place: &'static str,
        wanted: Option<&K>,
        seen: &Seen<K>,
    ) -> Result<Option<Verdict>, ReconcileError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let seen = of(seen, self.broker).filter(|seen| self.is_ours(seen));
        let applier = &self.context.applier;
        match (wanted, seen) {
            (None, None) => Ok(None),
            (None, Some(seen)) => {
                self.delete(&seen).await?;
                reach(place);
                Ok(None)
            }
            (Some(object), Some(seen)) => {
                let present = shape(&seen.metadata);
                if applier.apply_by(object, present, shape).await?.is_some() {
                    reach(place);
                }
                Ok(None)
            }
            (Some(object), None) => {
                if let Some(other) = self.other::<K>().await? {
                    return Ok(Some(in_the_way(&other)));
                }
                applier.apply_by(object, None, shape).await?;
                reach(place);
                Ok(None)
            }
        }
    }

    fn is_ours<K>(&self, object: &PartialObjectMeta<K>) -> bool {
        is_child(object.metadata.owner_references.as_ref(), self.broker)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let namespace = self.broker.namespace().unwrap_or_default();
        Api::namespaced(self.context.client.clone(), &namespace)
    }

    /// An object of the name that is somebody else's, of which no watch tells.
    async fn other<K>(&self) -> Result<Option<PartialObjectMeta<K>>, ReconcileError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let name = self.broker.name_any();
        let found = self.api::<K>().get_metadata_opt(&name).await?;
        Ok(found.filter(|found| !self.is_ours(found)))
    }

    /// Deletes the very object that was seen, and none that came in its place.
    async fn delete<K>(&self, seen: &PartialObjectMeta<K>) -> Result<(), ReconcileError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        if seen.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let params = DeleteParams::default().preconditions(Preconditions {
            uid: seen.metadata.uid.clone(),
            ..Preconditions::default()
        });
        let name = seen.metadata.name.as_deref().unwrap_or_default();
        match self.api::<K>().delete(name, &params).await {
            Err(error) if !is_not_found(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Somebody else's object is not touched.
fn in_the_way<K: Resource<DynamicType = ()>>(other: &PartialObjectMeta<K>) -> Verdict {
    let (kind, name) = (K::kind(&()), other.metadata.name.as_deref());
    let name = name.unwrap_or_default();
    let labels = other.metadata.labels.as_ref();
    let is_leaving = labels.is_some_and(|all| all.get(MANAGED_BY).is_some_and(|by| by == OPERATOR));
    if is_leaving {
        let message =
            format!("the {kind} \"{name}\" of an earlier PackageBroker is on its way out");
        return Verdict::Progressing(Reason::Progressing, message);
    }
    Verdict::Stalled(
        Reason::Conflict,
        format!(
            "{kind} \"{name}\" is there already and is not this PackageBroker's; delete it, or give the PackageBroker another name"
        ),
    )
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::networking::v1::Ingress;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_belongs_to_others_stalls_and_what_leaves_does_not() {
        let ingress = |labels: serde_json::Value| -> PartialObjectMeta<Ingress> {
            serde_json::from_value(json!({"metadata": {"name": "main", "labels": labels}})).unwrap()
        };
        let theirs = in_the_way(&ingress(json!({})));
        let message = "Ingress \"main\" is there already and is not this PackageBroker's; delete it, or give the PackageBroker another name";
        assert_eq!(
            theirs,
            Verdict::Stalled(Reason::Conflict, message.to_owned())
        );
        let leaving = in_the_way(&ingress(
            json!({"app.kubernetes.io/managed-by": "package-broker-operator"}),
        ));
        assert!(leaving.is_unsettled(), "{leaving:?}");
    }
}
