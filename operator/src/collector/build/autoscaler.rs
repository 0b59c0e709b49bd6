//! The HorizontalPodAutoscaler of a Collector. It scales the custom resource, which has a scale like a Deployment's.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};

use super::{metadata, name_of};
use crate::{
    collector::validate::ValidatedCollector,
    crd::{API_VERSION, collector::AutoscalerSpec},
};

/// Used CPU to aim at, in percent of what is requested, when nothing else is given.
const CPU_UTILIZATION: i32 = 90;

pub(super) fn build(collector: &ValidatedCollector) -> Option<HorizontalPodAutoscaler> {
    let autoscaler = collector.spec.autoscaler.as_ref()?;
    Some(HorizontalPodAutoscaler {
        metadata: metadata(collector, name_of(collector)),
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some(API_VERSION.to_owned()),
                kind: collector.owner.kind.clone(),
                name: collector.owner.name.clone(),
            },
            min_replicas: Some(autoscaler.min_replicas.unwrap_or(1)),
            max_replicas: autoscaler.max_replicas,
            metrics: Some(metrics(autoscaler)),
            behavior: autoscaler.behavior.clone(),
        },
        ..HorizontalPodAutoscaler::default()
    })
}

fn metrics(autoscaler: &AutoscalerSpec) -> Vec<MetricSpec> {
    let memory = autoscaler.target_memory_utilization;
    let is_empty = memory.is_none() && autoscaler.metrics.is_empty();
    let cpu = autoscaler
        .target_cpu_utilization
        .or_else(|| is_empty.then_some(CPU_UTILIZATION));
    let resources = [("memory", memory), ("cpu", cpu)];
    let resources = resources
        .into_iter()
        .filter_map(|(name, target)| Some(utilization(name, target?)));
    let of_pods = autoscaler.metrics.iter().map(|metric| MetricSpec {
        type_: "Pods".to_owned(),
        pods: Some(metric.pods.clone()),
        ..MetricSpec::default()
    });
    resources.chain(of_pods).collect()
}

fn utilization(resource: &str, target: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: resource.to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(target),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}
