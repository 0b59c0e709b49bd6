//! How each kind reports: what was observed becomes its status (pure).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::object::HasStatus;
use serde::Serialize;

use super::{apply::Object, health::Workload, pods::PodsByComponent};
use crate::{
    collector,
    crd::{
        Collector, TempoMonolithic, TempoStack,
        status::{
            CollectorScaleStatus, CollectorStatus, PodStatusMap, TempoMonolithicComponentStatus,
            TempoMonolithicStatus, TempoStackComponentStatus, TempoStackStatus,
        },
    },
    kind::Kind,
    kubernetes::labels,
    monolithic,
    stack::component::Component,
};

/// What was observed of a resource.
#[derive(Clone, Debug)]
pub struct Report {
    /// Version of the operator.
    pub operator_version: String,
    /// Generation of the spec that was reconciled.
    pub generation: Option<i64>,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// The pods.
    pub pods: PodsByComponent,
    /// The workloads; empty when they were not applied.
    pub workloads: Vec<Workload>,
}

impl Report {
    fn pods_of(&self, component: &str) -> PodStatusMap {
        self.pods.get(component).cloned().unwrap_or_default()
    }

    /// Version of what runs as a component: our own, or that in the tag of another image. What was known
    /// stays while nothing is applied.
    fn version_of(&self, component: &str, known: &str) -> String {
        let workload = self
            .workloads
            .iter()
            .find(|workload| workload.component == component);
        match workload.and_then(|workload| workload.image.as_deref()) {
            Some(image) => image_version(image).unwrap_or(&self.operator_version).to_owned(),
            None => known.to_owned(),
        }
    }
}

/// The tag of an image.
fn image_version(image: &str) -> Option<&str> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let (_, tag) = name.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}

/// A kind that the operator reconciles in a cluster.
pub trait Reconciled: Kind + Object + HasStatus<Status: StatusConditions> {
    /// The status after a report, given what it was.
    fn report(&self, old: &Self::Status, report: Report) -> Self::Status;
}

/// A status with conditions.
pub trait StatusConditions: Clone + Default + PartialEq + Serialize + Send + Sync {
    /// The conditions.
    fn conditions(&self) -> &[Condition];
}

impl StatusConditions for TempoStackStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl StatusConditions for TempoMonolithicStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl StatusConditions for CollectorStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Reconciled for TempoStack {
    fn report(&self, old: &TempoStackStatus, report: Report) -> TempoStackStatus {
        let pods = |component: Component| report.pods_of(component.as_str());
        TempoStackStatus {
            tempo_version: report.version_of(Component::Distributor.as_str(), &old.tempo_version),
            tempo_query_version: String::new(),
            observed_generation: report.generation,
            components: TempoStackComponentStatus {
                compactor: pods(Component::Compactor),
                distributor: pods(Component::Distributor),
                ingester: pods(Component::Ingester),
                querier: pods(Component::Querier),
                query_frontend: pods(Component::QueryFrontend),
                gateway: PodStatusMap::new(),
                metrics_generator: PodStatusMap::new(),
            },
            conditions: report.conditions,
            operator_version: report.operator_version,
        }
    }
}

impl Reconciled for TempoMonolithic {
    fn report(&self, old: &TempoMonolithicStatus, report: Report) -> TempoMonolithicStatus {
        TempoMonolithicStatus {
            tempo_version: report.version_of(monolithic::build::COMPONENT, &old.tempo_version),
            observed_generation: report.generation,
            components: TempoMonolithicComponentStatus {
                tempo: report.pods_of(monolithic::build::COMPONENT),
            },
            conditions: report.conditions,
            operator_version: report.operator_version,
        }
    }
}

impl Reconciled for Collector {
    fn report(&self, old: &CollectorStatus, report: Report) -> CollectorStatus {
        let workload = report.workloads.first();
        let selector = labels::component(
            Self::APPLICATION,
            &self.metadata.name.clone().unwrap_or_default(),
            collector::build::COMPONENT,
        );
        CollectorStatus {
            version: report.version_of(collector::build::COMPONENT, &old.version),
            image: workload
                .and_then(|workload| workload.image.clone())
                .unwrap_or_else(|| old.image.clone()),
            observed_generation: report.generation,
            scale: workload.map_or_else(
                || old.scale.clone(),
                |workload| CollectorScaleStatus {
                    selector: labels::selector(&selector),
                    replicas: workload.wanted,
                    status_replicas: format!("{}/{}", workload.ready_pods, workload.wanted),
                },
            ),
            pods: report.pods_of(collector::build::COMPONENT),
            conditions: report.conditions,
            operator_version: report.operator_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_tag_of_the_image() {
        assert_eq!(image_version("docker.io/grafana/tempo:2.10.8"), Some("2.10.8"));
        assert_eq!(image_version("tempo:1@sha256:abc"), Some("1"));
        assert_eq!(image_version("registry:5000/tempo"), None);
        assert_eq!(image_version("tempo"), None);
    }
}
