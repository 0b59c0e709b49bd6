//! The conditions of all resources of a kind as metrics, read when they are asked for.

use std::fmt::{self, Debug};

use kube::{ResourceExt, core::DeserializeGuard, runtime::reflector::Store};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::reconcile::report::{Reconciled, StatusConditions};

/// The resources of a kind.
pub struct States<K: Reconciled> {
    store: Store<DeserializeGuard<K>>,
}

impl<K: Reconciled> States<K> {
    /// Reads from a store.
    pub fn new(store: Store<DeserializeGuard<K>>) -> Self {
        Self { store }
    }
}

impl<K: Reconciled> Debug for States<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "States of {}", K::kind(&()))
    }
}

impl<K: Reconciled> Collector for States<K> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let name = format!("{}_status_condition", K::kind(&()).to_ascii_lowercase());
        let mut family = encoder.encode_descriptor(
            &name,
            "Whether a condition of a resource is true",
            None,
            MetricType::Gauge,
        )?;
        for resource in self.store.state() {
            let Ok(resource) = &resource.0 else { continue };
            let conditions = resource
                .status()
                .map(StatusConditions::conditions)
                .unwrap_or_default();
            for condition in conditions {
                let labels = [
                    ("stack_namespace", resource.namespace().unwrap_or_default()),
                    ("stack_name", resource.name_any()),
                    ("condition", condition.type_.clone()),
                ];
                let gauge = ConstGauge::new(i64::from(condition.status == "True"));
                gauge.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
