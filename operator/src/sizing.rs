//! How large components are: T-shirt sizes, and shares of the resources that a stack has in total.

use std::collections::BTreeMap;

use crate::{
    crd::{
        Quantity, QuantityError,
        common::ResourceRequirements,
        tempostack::{IngestionLimitSpec, Size},
    },
    stack::component::Component,
};

/// Share of a limit that is reserved.
const RESERVED: f64 = 0.3;

/// On how many ingesters a span is stored when the spec does not say.
pub fn replication_factor(size: Option<Size>) -> i32 {
    match size {
        None | Some(Size::Demo) => 1,
        Some(_) => 2,
    }
}

/// How many of `replication_factor` ingesters must have a span before it is acknowledged.
pub fn quorum(replication_factor: i32) -> i32 {
    replication_factor / 2 + 1
}

/// Number of pods of a component when the spec does not say.
pub fn replicas(size: Option<Size>, component: Component, replication_factor: i32) -> i32 {
    use Component::{Compactor, Distributor, Ingester, Querier, QueryFrontend};
    match (size, component) {
        (Some(Size::Demo), Ingester) => quorum(replication_factor),
        (None | Some(Size::Demo), _) => 1,
        (Some(Size::Small), Distributor | Querier) | (Some(Size::Medium), Compactor) => 3,
        (Some(Size::Medium), Distributor) => 4,
        (Some(Size::Medium), Querier) => 5,
        (Some(_), Ingester) => quorum(replication_factor).max(2),
        (Some(_), Distributor | Querier | Compactor | QueryFrontend) => 2,
    }
}

/// What a T-shirt size reserves for one pod of a component.
pub fn requests(size: Size, component: Component) -> ResourceRequirements {
    use Component::{Compactor, Distributor, Ingester, Querier, QueryFrontend};
    let (cpu, memory) = match (size, component) {
        (Size::Demo, _) => return ResourceRequirements::default(),
        (Size::Pico, Ingester) => ("500m", "3Gi"),
        (Size::Pico, Querier) => ("750m", "1536Mi"),
        (Size::Pico, Compactor | QueryFrontend | Distributor) => ("500m", "500Mi"),
        (Size::ExtraSmall, Ingester) => ("1500m", "8Gi"),
        (Size::ExtraSmall, Compactor) => ("200m", "4Gi"),
        (Size::ExtraSmall, Querier) => ("1", "1Gi"),
        (Size::ExtraSmall, QueryFrontend) => ("200m", "1Gi"),
        (Size::ExtraSmall, Distributor) => ("200m", "128Mi"),
        (Size::Small, Ingester) => ("2", "10Gi"),
        (Size::Small, Compactor) => ("400m", "6Gi"),
        (Size::Small, Querier) => ("2500m", "3Gi"),
        (Size::Small, QueryFrontend) => ("400m", "1Gi"),
        (Size::Small, Distributor) => ("600m", "128Mi"),
        (Size::Medium, Ingester) => ("8", "16Gi"),
        (Size::Medium, Compactor) => ("600m", "10Gi"),
        (Size::Medium, Querier) => ("5", "4Gi"),
        (Size::Medium, QueryFrontend) => ("800m", "1Gi"),
        (Size::Medium, Distributor) => ("1500m", "128Mi"),
    };
    ResourceRequirements {
        requests: quantities(Quantity::new(cpu), Quantity::new(memory)),
        ..ResourceRequirements::default()
    }
}

/// Ingestion limits of all tenants that come with a T-shirt size.
pub fn ingestion_limits(size: Size) -> IngestionLimitSpec {
    let (rate, max_traces) = match size {
        Size::Demo => return IngestionLimitSpec::default(),
        Size::Pico => (600_000, None),
        Size::ExtraSmall => (1_200_000, None),
        Size::Small => (5_800_000, Some(17_000)),
        Size::Medium => (23_000_000, Some(54_000)),
    };
    IngestionLimitSpec {
        ingestion_rate_limit_bytes: Some(rate),
        ingestion_burst_size_bytes: Some(2 * rate),
        max_traces_per_user: max_traces,
        max_bytes_per_trace: None,
    }
}

/// A component's share of the processors and the memory that a stack has in total. The query-frontend
/// does the work of the Jaeger UI too, and has its share.
fn share(component: Component) -> (f64, f64) {
    match component {
        Component::Distributor => (0.27, 0.12),
        Component::Ingester => (0.38, 0.50),
        Component::Compactor => (0.16, 0.18),
        Component::Querier => (0.10, 0.15),
        Component::QueryFrontend => (0.09, 0.05),
    }
}

/// What one pod of a component has of the stack's total limits.
pub fn split(
    total: &ResourceRequirements,
    component: Component,
    replicas: i32,
) -> Result<ResourceRequirements, QuantityError> {
    let (cpu_share, memory_share) = share(component);
    let pods = f64::from(replicas.max(1));
    let mut resources = ResourceRequirements::default();
    if let Some(cpu) = total.limits.get("cpu") {
        let limit = cpu.thousandths()? * cpu_share / pods;
        insert(&mut resources, "cpu", limit, Quantity::from_thousandths);
    }
    if let Some(memory) = total.limits.get("memory") {
        let limit = memory.units()? * memory_share / pods;
        insert(&mut resources, "memory", limit, Quantity::from_units);
    }
    Ok(resources)
}

fn insert(resources: &mut ResourceRequirements, name: &str, limit: f64, quantity: fn(i64) -> Quantity) {
    resources.limits.insert(name.to_owned(), quantity(limit as i64));
    resources
        .requests
        .insert(name.to_owned(), quantity((limit * RESERVED) as i64));
}

fn quantities(cpu: Quantity, memory: Quantity) -> BTreeMap<String, Quantity> {
    BTreeMap::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole() {
        let (cpu, memory) = Component::ALL
            .into_iter()
            .map(share)
            .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        assert!((cpu - 1.0_f64).abs() < 1e-9, "{cpu}");
        assert!((memory - 1.0_f64).abs() < 1e-9, "{memory}");
    }

    #[test]
    fn a_total_is_split_by_component_and_pod() {
        let total = ResourceRequirements {
            limits: quantities(Quantity::new("2"), Quantity::new("2Gi")),
            ..ResourceRequirements::default()
        };
        let ingester = split(&total, Component::Ingester, 2).unwrap();
        assert_eq!(ingester.limits["cpu"], Quantity::new("380m"));
        assert_eq!(ingester.limits["memory"], Quantity::new("536870912"));
        assert_eq!(ingester.requests["cpu"], Quantity::new("114m"));
        assert_eq!(ingester.requests["memory"], Quantity::new("161061273"));
    }

    #[test]
    fn sizes_keep_a_quorum_of_ingesters() {
        for size in [
            Size::Demo,
            Size::Pico,
            Size::ExtraSmall,
            Size::Small,
            Size::Medium,
        ] {
            for factor in 1..=5 {
                assert!(
                    replicas(Some(size), Component::Ingester, factor) >= quorum(factor),
                    "{size:?} {factor}"
                );
            }
        }
    }
}
