//! The pods of a `PackageBroker`.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{Api, ResourceExt, api::ListParams};
use package_broker_crds::PackageBroker;

use crate::{children::selector, context::Context, error::ReconcileError};

/// Where they are, and how they are found.
pub(super) fn of(broker: &PackageBroker, context: &Context) -> (Api<Pod>, ListParams) {
    let namespace = broker.namespace().unwrap_or_default();
    let labels = selector(&broker.name_any());
    let labels: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let labelled = ListParams::default().labels(&labels.join(","));
    (
        Api::namespaced(context.client.clone(), &namespace),
        labelled,
    )
}

/// What keeps them from serving, if the cluster says so.
pub(super) async fn trouble(
    broker: &PackageBroker,
    context: &Context,
) -> Result<Option<String>, ReconcileError> {
    let (api, labelled) = of(broker, context);
    let pods = api.list(&labelled).await?;
    Ok(pods.items.iter().find_map(of_pod))
}

/// What keeps pods with a label from running, if the cluster says so.
pub(super) async fn trouble_of(
    namespace: &str,
    label: &str,
    context: &Context,
) -> Result<Option<String>, ReconcileError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let pods = api.list(&ListParams::default().labels(label)).await?;
    Ok(pods.items.iter().find_map(of_pod))
}

fn of_pod(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled = conditions.iter().find(|condition| {
        let said = (condition.type_.as_str(), condition.status.as_str());
        said == ("PodScheduled", "False")
    });
    if let Some(message) = unscheduled.and_then(|condition| condition.message.as_ref()) {
        let hint = if message.contains("PersistentVolumeClaim") {
            "; look at the PersistentVolumeClaim, and at spec.volume"
        } else if message.contains("Insufficient") {
            "; ask for less in spec.resources"
        } else {
            ""
        };
        return Some(format!("no node takes the pod: {message}{hint}"));
    }
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    containers.iter().find_map(of_container)
}

fn of_container(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let last = container.last_state.as_ref();
    let ended = last.and_then(|last| last.terminated.as_ref());
    let said = ended
        .and_then(|ended| ended.message.as_deref())
        .or(waiting.message.as_deref());
    let said = said.unwrap_or_default().trim();
    match reason {
        "ContainerCreating" | "PodInitializing" => None,
        "CrashLoopBackOff" => Some(format!("the broker ends as soon as it is started: {said}")),
        _ if reason.contains("Image") => {
            let (reason, said) = of_image(reason, said);
            Some(format!(
                "the pod does not start, {reason}: {said}; correct spec.image"
            ))
        }
        _ => Some(format!("the pod does not start, {reason}: {said}")),
    }
}

/// Why an image is not there. Between two attempts the kubelet tells the same with the word of its waiting before it: that
/// would be news each time.
fn of_image<'a>(reason: &'a str, said: &'a str) -> (&'a str, &'a str) {
    const PULL: &str = "ErrImagePull";
    match said.split_once(": ") {
        Some((before, rest)) if before.starts_with("Back-off pulling image") => {
            let cause = rest
                .strip_prefix(PULL)
                .and_then(|rest| rest.strip_prefix(": "));
            (PULL, cause.unwrap_or(rest))
        }
        _ => (reason, said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_cannot_be_pulled_is_told_in_the_same_words_while_that_is_waited_for() {
        let cause = "failed to pull and unpack image \"x/y:1\": not found";
        let waiting = format!("Back-off pulling image \"x/y:1\": ErrImagePull: {cause}");
        assert_eq!(of_image("ErrImagePull", cause), ("ErrImagePull", cause));
        assert_eq!(
            of_image("ImagePullBackOff", &waiting),
            ("ErrImagePull", cause)
        );
        let never = "Container image \"x/y:1\" is not present with pull policy of Never";
        assert_eq!(
            of_image("ErrImageNeverPull", never),
            ("ErrImageNeverPull", never)
        );
    }
}
