//! Events about custom resources, made when something changed and not each time that it is looked at.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

use super::conditions::{Outcome, State};

/// Longest note of an Event, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Makes Events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Makes Events in the name of the operator's pod.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: "tempo-operator".to_owned(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Tells of the new state of a resource.
    pub async fn state_changed(&self, resource: &impl Resource<DynamicType = ()>, outcome: &Outcome) {
        let type_ = match outcome.state {
            State::Ready | State::Pending => EventType::Normal,
            State::Failed | State::ConfigurationError => EventType::Warning,
        };
        self.publish(resource, type_, outcome.reason, "Reconcile", &outcome.message)
            .await;
    }

    /// Tells that a stored resource cannot be read.
    pub async fn unreadable(&self, resource: &impl Resource<DynamicType = ()>, error: &str) {
        let note = format!("cannot be read and is left alone until it changes: {error}");
        self.publish(resource, EventType::Warning, "UnreadableResource", "Read", &note)
            .await;
    }

    /// Tells which volumes outlive a resource that is deleted.
    pub async fn volumes_stay(&self, resource: &impl Resource<DynamicType = ()>, claims: &[String]) {
        let note = format!(
            "these PersistentVolumeClaims stay, delete them when their data is no longer needed: {}",
            claims.join(", ")
        );
        self.publish(resource, EventType::Normal, "VolumesStay", "Delete", &note)
            .await;
    }

    /// An Event that cannot be made must not keep anything else from being done.
    async fn publish(
        &self,
        resource: &impl Resource<DynamicType = ()>,
        type_: EventType,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(shortened(note).to_owned()),
            action: action.to_owned(),
            secondary: None,
        };
        let reference: ObjectReference = resource.object_ref(&());
        if let Err(error) = self.recorder.publish(&event, &reference).await {
            warn!(reason, %error, "cannot make an Event");
        }
    }
}

fn shortened(note: &str) -> &str {
    let end = note.floor_char_boundary(LONGEST_NOTE);
    note.get(..end).unwrap_or(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_into_an_event() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(600)).len(), LONGEST_NOTE);
        assert_eq!(
            shortened(&format!("a{}", "é".repeat(600))).len(),
            LONGEST_NOTE - 1
        );
    }
}
