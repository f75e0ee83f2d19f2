//! Events: one for each change of what is said of an object, none for what stays.

use std::sync::{Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use package_broker_crds::{ConditionType, Reason};

use super::conditions::find;

/// Longest text of an event, in bytes.
const LONGEST: usize = 1_000;

/// Events that are remembered to be counted up, at most: each is some kilobytes. When there are so many, those that come
/// again are told as new ones.
const MOST: usize = 500;

/// Tells of objects.
pub(crate) struct Events {
    client: Client,
    reporter: Reporter,
    /// With how many it has told of.
    recorder: Mutex<(Recorder, usize)>,
}

impl Events {
    /// One for all objects that a controller looks after.
    pub(crate) fn new(client: Client, controller: &str) -> Self {
        let reporter = Reporter {
            controller: controller.to_owned(),
            instance: std::env::var("POD_NAME").ok(),
        };
        Self {
            recorder: Mutex::new((Recorder::new(client.clone(), reporter.clone()), 0)),
            client,
            reporter,
        }
    }

    /// What tells of one more.
    fn recorder(&self) -> Recorder {
        let mut current = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1 >= MOST {
            *current = (Recorder::new(self.client.clone(), self.reporter.clone()), 0);
        }
        current.1 += 1;
        current.0.clone()
    }

    /// Tells that `Ready` has another reason or text than before.
    pub(crate) async fn tell<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        before: &[Condition],
        after: &[Condition],
    ) {
        let said = |conditions| {
            let ready = find(conditions, ConditionType::Ready);
            ready.map(|ready| {
                (
                    ready.status.clone(),
                    ready.reason.clone(),
                    ready.message.clone(),
                )
            })
        };
        let (before, after) = (said(before), said(after));
        let Some((status, reason, message)) = after.clone().filter(|_| before != after) else {
            return;
        };
        // That something waits for something else helps nobody.
        if reason == Reason::DependencyNotReady.as_str() {
            return;
        }
        let is_trouble = status != "True"
            && ![Reason::Progressing, Reason::PodsNotReady]
                .iter()
                .any(|usual| usual.as_str() == reason);
        let event = Event {
            type_: if is_trouble {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason,
            note: Some(cut(message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self
            .recorder()
            .publish(&event, &object.object_ref(&()))
            .await
        {
            tracing::debug!(%error, "an event could not be told");
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
    text
}
