//! How the workloads of a resource are doing (pure): ready is what all wanted pods of the wanted version are.

use std::marker::PhantomData;

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{Container, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::kubernetes::{
    labels::COMPONENT,
    resources::{Applied, Resources},
};

/// A workload as the cluster last reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Component that it runs.
    pub component: String,
    /// Image of its first container.
    pub image: Option<String>,
    /// Wanted pods.
    pub wanted: i32,
    /// Ready pods.
    pub ready_pods: i32,
    /// Whether all wanted pods of the wanted version are ready, or a Job has done its work.
    pub is_ready: bool,
    /// Whether it has given up.
    pub has_failed: bool,
    /// What keeps its pods from being made, in the cluster's words.
    pub obstacle: Option<String>,
}

/// The workloads of a resource.
pub fn workloads(resources: &Resources<Applied>) -> Vec<Workload> {
    let Resources {
        service_accounts: _,
        secrets: _,
        config_maps: _,
        earlier_config_maps: _,
        services: _,
        network_policies: _,
        ingresses: _,
        pod_disruption_budgets: _,
        stateful_sets,
        deployments,
        daemon_sets,
        jobs,
        autoscalers: _,
        state: PhantomData,
    } = resources;
    let mut workloads: Vec<Workload> = Vec::new();
    workloads.extend(stateful_sets.iter().map(stateful_set));
    workloads.extend(deployments.iter().map(deployment));
    workloads.extend(daemon_sets.iter().map(daemon_set));
    workloads.extend(jobs.iter().map(job));
    workloads
}

fn stateful_set(set: &StatefulSet) -> Workload {
    let status = set.status.clone().unwrap_or_default();
    let wanted = set.spec.replicas.unwrap_or(1);
    let ready_pods = status.ready_replicas.unwrap_or(0);
    let is_updated = status.update_revision.is_some() && status.current_revision == status.update_revision
        || status.updated_replicas == Some(wanted);
    Workload {
        wanted,
        ready_pods,
        is_ready: observed(&set.metadata, status.observed_generation) && is_updated && ready_pods == wanted,
        ..named(&set.metadata, &set.spec.template)
    }
}

fn deployment(deployment: &Deployment) -> Workload {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let ready_pods = status.ready_replicas.unwrap_or(0);
    let all = |count: Option<i32>| count.unwrap_or(0) == wanted;
    let obstacle = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| {
            condition.type_.as_deref() == Some("ReplicaFailure")
                && condition.status.as_deref() == Some("True")
        })
        .and_then(|condition| condition.message.clone());
    Workload {
        wanted,
        ready_pods,
        is_ready: observed(&deployment.metadata, status.observed_generation)
            && all(status.updated_replicas)
            && all(status.replicas)
            && all(status.ready_replicas),
        obstacle,
        ..named(&deployment.metadata, &deployment.spec.template)
    }
}

fn daemon_set(set: &DaemonSet) -> Workload {
    let status = set.status.clone().unwrap_or_default();
    let wanted = status.desired_number_scheduled;
    Workload {
        wanted,
        ready_pods: status.number_ready,
        is_ready: observed(&set.metadata, status.observed_generation)
            && status.updated_number_scheduled.unwrap_or(0) == wanted
            && status.number_ready == wanted,
        ..named(&set.metadata, &set.spec.template)
    }
}

fn job(job: &Job) -> Workload {
    let status = job.status.clone().unwrap_or_default();
    let failure = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True");
    let template = job
        .spec
        .as_ref()
        .map(|spec| spec.template.clone())
        .unwrap_or_default();
    Workload {
        wanted: 1,
        is_ready: status.succeeded.unwrap_or(0) > 0,
        has_failed: failure.is_some(),
        obstacle: failure.and_then(|condition| condition.message.clone()),
        ..named(&job.metadata, &template)
    }
}

fn named(metadata: &ObjectMeta, template: &PodTemplateSpec) -> Workload {
    let component = metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(COMPONENT))
        .or(metadata.name.as_ref());
    let containers = template
        .spec
        .as_ref()
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default();
    Workload {
        component: component.cloned().unwrap_or_default(),
        image: containers
            .first()
            .and_then(|Container { image, .. }| image.clone()),
        ..Workload::default()
    }
}

/// Whether a status is about the spec as it is now.
fn observed(metadata: &ObjectMeta, observed_generation: Option<i64>) -> bool {
    observed_generation.is_some() && observed_generation >= metadata.generation
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment_with(status: &serde_json::Value) -> Workload {
        deployment(
            &serde_json::from_value(json!({
                "metadata": {"name": "d", "generation": 2, "labels": {COMPONENT: "querier"}},
                "spec": {
                    "replicas": 2, "selector": {},
                    "template": {"spec": {"containers": [{"name": "tempo", "image": "tempo:1"}]}},
                },
                "status": status,
            }))
            .unwrap(),
        )
    }

    #[test]
    fn a_deployment_is_ready_when_all_pods_of_its_version_are() {
        let ready = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2});
        let workload = deployment_with(&ready);
        assert!(workload.is_ready);
        assert_eq!(
            (workload.component.as_str(), workload.image.as_deref()),
            ("querier", Some("tempo:1"))
        );
        for (field, value) in [
            ("observedGeneration", 1),
            ("replicas", 3),
            ("updatedReplicas", 1),
            ("readyReplicas", 1),
        ] {
            let mut status = ready.clone();
            status[field] = json!(value);
            assert!(!deployment_with(&status).is_ready, "{field}");
        }
        assert!(
            !deployment_with(&json!({})).is_ready,
            "not seen yet by its controller"
        );
    }

    #[test]
    fn what_keeps_pods_from_being_made_is_told() {
        let status = json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]});
        assert_eq!(
            deployment_with(&status).obstacle.as_deref(),
            Some("exceeded quota")
        );
    }

    #[test]
    fn a_stateful_set_is_ready_when_its_rollout_is_over() {
        let set = |status: serde_json::Value| {
            stateful_set(
                &serde_json::from_value(json!({
                    "metadata": {"name": "s", "generation": 1},
                    "spec": {"replicas": 1, "selector": {}, "template": {}},
                    "status": status,
                }))
                .unwrap(),
            )
        };
        let status = |current: &str, updated: Option<i32>| {
            json!({
                "observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": updated,
                "currentRevision": current, "updateRevision": "b",
            })
        };
        assert!(set(status("b", None)).is_ready);
        assert!(set(status("a", Some(1))).is_ready);
        assert!(!set(status("a", None)).is_ready);
    }

    #[test]
    fn a_job_is_ready_when_done_and_failed_when_given_up() {
        let job_with = |status: serde_json::Value| {
            job(&serde_json::from_value(json!({"metadata": {"name": "j"}, "status": status})).unwrap())
        };
        assert!(job_with(json!({"succeeded": 1})).is_ready);
        let failed = job_with(json!({"conditions": [{"type": "Failed", "status": "True", "message": "no"}]}));
        assert!(failed.has_failed && !failed.is_ready);
        assert!(!job_with(json!({})).is_ready);
    }
}
