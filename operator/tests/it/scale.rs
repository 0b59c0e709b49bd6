//! Many stacks at once: how much is written until all is there, and that nothing is written then.

use tempo_operator::crd::TempoStack;

use crate::cluster::{Space, eventually};

const STACKS: u64 = 100;
const MOST_WRITES_EACH: u64 = 40;

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
        let complete = complete.count() as u64;
        if complete == STACKS {
            Ok(())
        } else {
            Err(format!("{complete} of {STACKS}"))
        }
    })
    .await;
    let writes = space.quiet().await;
    let sum: u64 = writes.values().sum();
    println!("{STACKS} stacks: {} writes each: {writes:#?}", sum / STACKS);
    assert!(sum <= STACKS * MOST_WRITES_EACH, "{sum} writes: {writes:#?}");
    assert_eq!(space.quiet().await, writes, "the steady state writes nothing");

    space.stop_operator().await;
    space.start_operator().await;
    let writes = space.quiet().await;
    assert!(writes.is_empty(), "a restart writes nothing: {writes:#?}");
}
