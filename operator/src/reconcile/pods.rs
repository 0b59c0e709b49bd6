//! The pods of a resource, by component and state (pure).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::ResourceExt;

use crate::{crd::status::PodStatusMap, kubernetes::labels::COMPONENT};

/// Pods by component.
pub type PodsByComponent = BTreeMap<String, PodStatusMap>;

/// Label of the pods of Jobs, which come and go.
const JOB_LABEL: &str = "batch.kubernetes.io/job-name";

/// Sorts pods by component and state. Pods that are on their way out and those of Jobs do not count.
pub fn by_component(pods: &[Pod]) -> PodsByComponent {
    let mut components = PodsByComponent::new();
    for pod in pods {
        if pod.metadata.deletion_timestamp.is_some() || pod.labels().contains_key(JOB_LABEL) {
            continue;
        }
        let component = pod.labels().get(COMPONENT).cloned().unwrap_or_default();
        components
            .entry(component)
            .or_default()
            .entry(state(pod.status.as_ref()).to_owned())
            .or_default()
            .push(pod.name_any());
    }
    for names in components.values_mut().flat_map(BTreeMap::values_mut) {
        names.sort_unstable();
    }
    components
}

fn state(status: Option<&PodStatus>) -> &'static str {
    let phase = status.and_then(|status| status.phase.as_deref());
    match phase {
        Some("Running") if status.is_some_and(all_ready) => "Ready",
        Some("Running") => "Running",
        Some("Succeeded") => "Succeeded",
        Some("Failed") => "Failed",
        Some("Pending") => "Pending",
        _ => "Unknown",
    }
}

fn all_ready(status: &PodStatus) -> bool {
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    !containers.is_empty() && containers.iter().all(|container| container.ready)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_are_sorted_by_component_and_state() {
        let querier = json!({COMPONENT: "querier"});
        let container =
            |ready| json!({"name": "tempo", "ready": ready, "image": "", "imageID": "", "restartCount": 0});
        let running =
            |ready| json!({"phase": "Running", "containerStatuses": [container(true), container(ready)]});
        let job = json!({COMPONENT: "minio-buckets", JOB_LABEL: "x"});
        let leaving = json!("2026-01-01T00:00:00Z");
        let pods = json!([
            {"metadata": {"name": "b", "labels": querier}, "status": running(true)},
            {"metadata": {"name": "a", "labels": querier}, "status": running(true)},
            {"metadata": {"name": "c", "labels": querier}, "status": running(false)},
            {"metadata": {"name": "d", "labels": querier}, "status": {"phase": "Pending"}},
            {"metadata": {"name": "e", "labels": {COMPONENT: "ingester"}}, "status": {}},
            {"metadata": {"name": "f", "labels": job}, "status": {"phase": "Succeeded"}},
            {"metadata": {"name": "g", "labels": querier, "deletionTimestamp": leaving}, "status": running(true)},
        ]);
        let pods: Vec<Pod> = serde_json::from_value(pods).unwrap();
        let found = by_component(&pods);
        let expected = json!({
            "querier": {"Ready": ["a", "b"], "Running": ["c"], "Pending": ["d"]},
            "ingester": {"Unknown": ["e"]},
        });
        assert_eq!(serde_json::to_value(found).unwrap(), expected);
    }
}
