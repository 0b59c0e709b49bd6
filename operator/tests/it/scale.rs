//! Many stacks at once: how much is written for each until all is there, and that nothing is written then.

use std::collections::BTreeMap;

use serde_json::Value;
use tempo_operator::crd::TempoStack;

use crate::cluster::{Space, eventually};

const STACKS: usize = 100;
const MOST_WRITES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_stacks_converge_and_then_nothing_is_written() {
    let Some(mut space) = Space::with_operator("scale").await else {
        return;
    };
    space
        .apply(
            "{apiVersion: v1, kind: Secret, metadata: {name: bucket}, stringData: {endpoint: 'http://minio:9000', \
             bucket: tempo, access_key_id: tempo, access_key_secret: supersecret}}",
        )
        .await
        .unwrap();
    for number in 0..STACKS {
        let stack = format!(
            "{{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {{name: s{number}}}, \
             spec: {{storage: {{secret: {{name: bucket, type: s3}}}}}}}}"
        );
        space.apply(&stack).await.unwrap();
    }
    eventually("every stack has its pods", || async {
        let complete = complete(&space).await;
        if complete == STACKS {
            Ok(())
        } else {
            Err(format!("{complete} of {STACKS}"))
        }
    })
    .await;
    let writes = space.quiet().await;
    let by_stack = by_stack(&space.audit());
    let sum: usize = by_stack.values().sum();
    let (most, count) = by_stack.iter().max_by_key(|(_, count)| **count).unwrap();
    println!(
        "{STACKS} stacks: {} writes each, {count} at most ({most}): {writes:#?}",
        sum / STACKS
    );
    assert_eq!(by_stack.len(), STACKS, "{by_stack:?}");
    assert_eq!(
        sum as u64,
        writes.values().sum::<u64>(),
        "every write is one of a stack"
    );
    assert!(
        *count <= MOST_WRITES,
        "{count} writes of {most}: {:#?}",
        of_stack(&space.audit(), most)
    );
    assert_eq!(space.quiet().await, writes, "the steady state writes nothing");

    space.stop_operator().await;
    space.start_operator().await;
    let writes = space.quiet().await;
    assert!(writes.is_empty(), "a restart writes nothing: {writes:#?}");
}

/// How many stacks have their pods.
async fn complete(space: &Space) -> usize {
    let stacks = space
        .api::<TempoStack>()
        .list(&kube::api::ListParams::default())
        .await
        .unwrap();
    let complete = stacks.iter().filter(|stack| {
        stack.status.as_ref().is_some_and(|status| {
            let components = &status.components;
            [&components.ingester, &components.querier, &components.compactor]
                .iter()
                .all(|pods| pods.contains_key("Pending"))
        })
    });
    complete.count()
}

/// Writes by the stack that they were made for.
fn by_stack(requests: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(stack(request)).or_default() += 1;
    }
    counts
}

/// What was written for a stack, as `VERB RESOURCE NAME`.
fn of_stack(requests: &[Value], name: &str) -> Vec<String> {
    let of_stack = requests.iter().filter(|request| stack(request) == name);
    of_stack
        .map(|request| {
            format!(
                "{} {} {}",
                request["verb"], request["objectRef"]["resource"], request["objectRef"]["name"]
            )
        })
        .collect()
}

/// The stack that a request was made for: it, one of its objects `tempo-STACK-COMPONENT`, or an Event about it.
fn stack(request: &Value) -> String {
    let name = match request["objectRef"]["resource"].as_str() {
        Some("events") => &request["requestObject"]["regarding"]["name"],
        _ => &request["objectRef"]["name"],
    };
    let name = name.as_str().unwrap_or_else(|| panic!("no name in {request}"));
    let name = name.strip_prefix("tempo-").unwrap_or(name);
    name.split('-').next().unwrap_or(name).to_owned()
}
