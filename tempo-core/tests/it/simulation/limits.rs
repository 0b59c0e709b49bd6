//! Limits of tenants and of memory at the ingester: what is refused, what is dropped, and what is only made to wait.

use std::time::Duration;

use futures::future::join_all;
use tempo_config::Limits;
use tempo_core::limits::TenantLimits;
use tempo_core::rpc::messages::{PushRequest, PushResponse, RejectReason};
use tempo_core::rpc::{CallErrorKind, IngesterApi};
use tempo_model::{TenantId, split};

use super::world::{Node, World, names_in, tenant};

async fn push(node: &Node, tenant: &TenantId, payload: &[u8]) -> PushResponse {
    let request = PushRequest {
        tenant: tenant.to_string(),
        payload: payload.to_vec().into(),
        spans: names_in(payload).len() as u32,
        maybe_duplicate: false,
    };
    node.ingester.push(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn traces_beyond_the_limit_are_dropped_and_said_to_be_and_the_rest_is_stored() {
    let mut world = World::new(30);
    let mut limits = Limits::default();
    limits.ingestion.max_traces_per_user = 4;
    world.limits = TenantLimits::new(limits);
    let (node, a, b) = (world.start().await, tenant("a"), tenant("b"));
    // Six traces of three spans.
    let payload = world.payload(&a, 18, 3);
    let answer = push(&node, &a, &payload).await;
    let [rejected] = answer.rejected.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (rejected.reason(), rejected.spans),
        (RejectReason::LiveTracesExceeded, 6)
    );
    let found = world.find(&node.ingester, &a).await;
    assert_eq!(found.len(), 12);
    assert_eq!(
        push(&node, &a, &payload).await,
        answer,
        "who asks again hears the same"
    );
    assert_eq!(
        world.find(&node.ingester, &a).await.len(),
        12,
        "and nothing is stored twice"
    );
    world.push(&node, &b, 12).await.unwrap();
    world.check(&node, &b).await;
    world.pass(Duration::from_secs(10)).await;
    let later = world.payload(&a, 3, 3);
    assert_eq!(push(&node, &a, &later).await, PushResponse::default());
    node.kill(&world).await;
    let node = world.start().await;
    assert_eq!(world.find(&node.ingester, &a).await.len(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_trace_grows_to_its_limit_and_what_the_disk_refused_does_not_count() {
    let mut world = World::new(31);
    let a = tenant("a");
    let payloads: Vec<Vec<u8>> = (0..3).map(|_| world.payload(&a, 10, 1000)).collect();
    let mut bytes = 0;
    split::for_each_span(&payloads[0], |_, length| bytes += length as u64).unwrap();
    let mut limits = Limits::default();
    limits.global.max_bytes_per_trace = 2 * bytes + bytes / 2;
    world.limits = TenantLimits::new(limits);
    let node = world.start().await;
    world.disk.limit_free_space(Some(10));
    for _ in 0..5 {
        world
            .push_payload(&node.ingester, &a, payloads[0].clone())
            .await
            .unwrap_err();
    }
    world.disk.limit_free_space(None);
    for payload in &payloads[..2] {
        assert_eq!(push(&node, &a, payload).await, PushResponse::default());
    }
    let answer = push(&node, &a, &payloads[2]).await;
    assert_eq!(answer.rejected[0].reason(), RejectReason::TraceTooLarge);
    assert_eq!(world.find(&node.ingester, &a).await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn where_blocks_are_made_slowly_pushes_wait_and_are_not_refused() {
    let mut world = World::new(32);
    world.settings.max_block_bytes = 40_000;
    world.settings.max_head_bytes = 160_000;
    world.script.slow_down(Duration::from_millis(100));
    let (node, a) = (world.start().await, tenant("a"));
    let started = world.environment.clock.since_boot();
    for _ in 0..10 {
        let pushes = (0..8).map(|_| world.push(&node, &a, 30));
        for pushed in join_all(pushes).await {
            pushed.unwrap();
        }
    }
    let took = world.environment.clock.since_boot().saturating_sub(started);
    assert!(
        took > Duration::from_millis(100),
        "memory never ran short: {took:?}"
    );
    world.check(&node, &a).await;
}

#[tokio::test(start_paused = true)]
async fn more_pushes_under_way_than_there_is_room_for_are_refused() {
    let mut world = World::new(33);
    world.settings.max_in_flight_bytes = 8 << 10;
    let (node, a) = (world.start().await, tenant("a"));
    let pushes = (0..50).map(|_| world.push(&node, &a, 10));
    let (done, refused): (Vec<_>, Vec<_>) = join_all(pushes).await.into_iter().partition(Result::is_ok);
    assert!(
        !done.is_empty() && !refused.is_empty(),
        "{} of 50 were taken",
        done.len()
    );
    for error in refused {
        assert_eq!(error.unwrap_err().kind, CallErrorKind::ResourceExhausted);
    }
    world.check(&node, &a).await;
    world.push(&node, &a, 10).await.unwrap();
}
