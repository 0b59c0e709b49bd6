//! The ingester: what it acknowledged is found, once, whatever happens to it, its disk and its store.

use std::time::Duration;

use tempo_block::log::{Cover, Transaction};
use tempo_block::store::metered::Operation;
use tempo_core::rpc::messages::{PushRequest, RecentRequest};
use tempo_core::rpc::{CallErrorKind, IngesterApi};

use super::store::Trouble;
use super::world::{World, everything, tenant};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_found_before_and_after_it_is_a_block() {
    let world = World::new(1);
    let (node, a) = (world.start().await, tenant("a"));
    world.push(&node, &a, 10).await.unwrap();
    world.check(&node, &a).await;
    node.ingester.flush().await;
    world.check(&node, &a).await;
    world.push(&node, &a, 10).await.unwrap();
    world.check(&node, &a).await;
    world.pass(SECOND * 10).await;
    world.check(&node, &a).await;
    assert_eq!(world.log(&a).await.snapshot().state.live().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn heads_become_blocks_by_size_and_by_age() {
    let mut world = World::new(2);
    world.settings.max_block_bytes = 1;
    let (node, a) = (world.start().await, tenant("a"));
    for _ in 0..3 {
        world.push(&node, &a, 5).await.unwrap();
    }
    world.pass(SECOND).await;
    assert_eq!(world.log(&a).await.snapshot().state.live().len(), 3);
    node.kill(&world).await;

    world.settings.max_block_bytes = 1 << 20;
    world.settings.max_block_duration = SECOND * 30;
    let node = world.start().await;
    world.push(&node, &a, 5).await.unwrap();
    world.pass(SECOND * 29).await;
    assert_eq!(world.log(&a).await.snapshot().state.live().len(), 3);
    world.pass(SECOND * 3).await;
    assert_eq!(world.log(&a).await.snapshot().state.live().len(), 4);
    world.check(&node, &a).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_ingester_comes_back_with_everything() {
    let world = World::new(3);
    let (a, b) = (tenant("a"), tenant("b"));
    for round in 0..4 {
        let node = world.start().await;
        for of in [&a, &b] {
            world.check(&node, of).await;
            world.push(&node, of, 7).await.unwrap();
        }
        if round == 2 {
            node.ingester.flush().await;
        }
        world.check(&node, &a).await;
        node.kill(&world).await;
    }
    let node = world.start().await;
    world.check(&node, &a).await;
    world.check(&node, &b).await;
    assert_eq!(world.streams().await, 1, "streams of earlier processes are over");
    assert_eq!(world.wal_files(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_upload_and_commit_loses_nothing() {
    kill_in_flush(4, "a/log/", Trouble::HangsBefore).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_commit_and_truncation_stores_nothing_twice() {
    kill_in_flush(5, "a/log/", Trouble::HangsAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_during_the_upload_loses_nothing() {
    kill_in_flush(6, "a/blocks/", Trouble::HangsBefore).await;
}

async fn kill_in_flush(seed: u64, path: &'static str, trouble: Trouble) {
    let world = World::new(seed);
    let (node, a) = (world.start().await, tenant("a"));
    world.push(&node, &a, 10).await.unwrap();
    world.script.next(1, Operation::Put, path, trouble);
    let ingester = node.ingester.clone();
    tokio::select! {
        biased;
        () = world.script.hung() => {}
        () = ingester.flush() => panic!("the flush was not held up"),
    }
    drop(ingester);
    node.kill(&world).await;

    // And once more while the next process replays.
    if trouble == Trouble::HangsBefore {
        world.script.next(1, Operation::Put, path, trouble);
        world.start_and_kill().await;
    }
    let node = world.start().await;
    world.check(&node, &a).await;
    let spans: u64 = world
        .log(&a)
        .await
        .snapshot()
        .state
        .live()
        .map(|meta| meta.spans)
        .sum();
    assert_eq!(spans, 10);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_commit_stores_nothing_twice() {
    for times in [1, 5, 20] {
        let world = World::new(7);
        let (node, a) = (world.start().await, tenant("a"));
        world.push(&node, &a, 10).await.unwrap();
        world
            .script
            .next(times, Operation::Put, "a/log/", Trouble::AnswerLost);
        // Reads of the log fail too, so that the outcome stays unknown for a while.
        world
            .script
            .next(times, Operation::Get, "a/log/", Trouble::Refused);
        node.ingester.flush().await;
        world.script.heal();
        world.check(&node, &a).await;
        let snapshot = world.log(&a).await.snapshot();
        assert_eq!(snapshot.state.live().map(|meta| meta.spans).sum::<u64>(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_spans_are_taken_in_up_to_a_limit() {
    let mut world = World::new(8);
    world.settings.max_block_bytes = 20_000;
    world.settings.max_head_bytes = 200_000;
    let (node, a) = (world.start().await, tenant("a"));
    world.script.break_down();
    let mut refused = None;
    for _ in 0..1000 {
        if let Err(error) = world.push(&node, &a, 100).await {
            refused = Some(error);
            break;
        }
        world.pass(SECOND / 10).await;
    }
    let refused = refused.expect("memory is bounded");
    assert_eq!(refused.kind, CallErrorKind::ResourceExhausted);
    assert!(refused.message.contains("send them again"), "{refused}");
    world.pass(SECOND * 120).await;
    world.script.heal();
    world.pass(SECOND * 60).await;
    world.check(&node, &a).await;
    world.push(&node, &a, 100).await.unwrap();
    world.check(&node, &a).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_and_loses_nothing() {
    let world = World::new(9);
    let (node, a) = (world.start().await, tenant("a"));
    world.push(&node, &a, 10).await.unwrap();
    world.disk.limit_free_space(Some(100));
    let payload = world.payload(&a, 50, 1);
    let refused = world
        .push_payload(&node.ingester, &a, payload.clone())
        .await
        .unwrap_err();
    assert_eq!(refused.kind, CallErrorKind::ResourceExhausted);
    assert!(refused.message.contains("free space"), "{refused}");
    let found = world.find(&node.ingester, &a).await;
    assert_eq!(found.len(), 10, "nothing of what was refused is kept");
    world.disk.limit_free_space(None);
    world.push_payload(&node.ingester, &a, payload).await.unwrap();
    world.check(&node, &a).await;
    node.kill(&world).await;
    let node = world.start().await;
    world.check(&node, &a).await;
}

#[tokio::test(start_paused = true)]
async fn the_wal_is_bounded_and_one_tenant_does_not_fill_it_for_all() {
    let mut world = World::new(10);
    world.settings.wal.segment_bytes = 1_000;
    world.settings.wal.max_bytes = 20_000;
    let (node, a, b) = (world.start().await, tenant("a"), tenant("b"));
    // Small heads of one tenant keep every segment until they are cut.
    for _ in 0..100 {
        world.push(&node, &a, 1).await.unwrap();
        world.push(&node, &b, 10).await.unwrap();
        world.pass(SECOND).await;
    }
    world.check(&node, &a).await;
    world.script.break_down();
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        outcomes.push(world.push(&node, &b, 10).await.map_err(|error| error.kind));
    }
    assert_eq!(outcomes.last(), Some(&Err(CallErrorKind::ResourceExhausted)));
    world.script.heal();
    world.pass(SECOND * 60).await;
    world.push(&node, &b, 10).await.unwrap();
    world.check(&node, &b).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_push_is_stored_once() {
    let world = World::new(11);
    let (node, a, b) = (world.start().await, tenant("a"), tenant("b"));
    let payload = world.payload(&a, 5, 1);
    let push = || world.push_payload(&node.ingester, &a, payload.clone());
    let (first, second) = tokio::join!(push(), push());
    first.unwrap();
    second.unwrap();
    push().await.unwrap();
    world.check(&node, &a).await;
    // Another tenant may send the same bytes.
    world.payload(&b, 0, 1);
    world
        .push_payload(&node.ingester, &b, payload.clone())
        .await
        .unwrap();
    assert_eq!(world.find(&node.ingester, &b).await.len(), 5);
    node.kill(&world).await;

    let node = world.start().await;
    world
        .push_payload(&node.ingester, &a, payload.clone())
        .await
        .unwrap();
    world.check(&node, &a).await;
    // After ten minutes it is taken for new.
    world.pass(SECOND * 601).await;
    world.push_payload(&node.ingester, &a, payload).await.unwrap();
    assert_eq!(world.find(&node.ingester, &a).await.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_finds_its_push_stored() {
    let world = World::new(12);
    let (node, a) = (world.start().await, tenant("a"));
    let payload = world.payload(&a, 5, 1);
    {
        let push = world.push_payload(&node.ingester, &a, payload.clone());
        tokio::pin!(push);
        assert!(futures::poll!(&mut push).is_pending());
    }
    world.push_payload(&node.ingester, &a, payload).await.unwrap();
    world.check(&node, &a).await;
}

#[tokio::test(start_paused = true)]
async fn tenants_do_not_see_each_other() {
    let world = World::new(13);
    let (node, a, b) = (world.start().await, tenant("a"), tenant("b"));
    world.push(&node, &a, 4).await.unwrap();
    world.push(&node, &b, 5).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.find(&node.ingester, &a).await.len(), 4);
        assert_eq!(world.find(&node.ingester, &b).await.len(), 5);
        assert_eq!(world.find(&node.ingester, &tenant("c")).await.len(), 0);
        world.check(&node, &a).await;
        world.check(&node, &b).await;
        node.ingester.flush().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_refused() {
    let world = World::new(14);
    let node = world.start().await;
    let push = |tenant: &str, payload: &'static [u8]| PushRequest {
        tenant: tenant.to_owned(),
        payload: payload.into(),
        spans: 1,
        maybe_duplicate: false,
    };
    for (tenant, payload) in [("a/b", &b"x"[..]), ("", b"x"), ("a", b"\x0a\xff not protobuf")] {
        let refused = node.ingester.push(push(tenant, payload)).await.unwrap_err();
        assert_eq!(
            refused.kind,
            CallErrorKind::InvalidArgument,
            "{tenant}: {refused}"
        );
    }
    node.ingester.push(push("a", b"")).await.unwrap();
    let unanswerable = RecentRequest {
        tenant: "a".to_owned(),
        position: 0,
        query: None,
    };
    let refused = node.ingester.recent(unanswerable).await.unwrap_err();
    assert_eq!(refused.kind, CallErrorKind::InvalidArgument);
    let beyond = RecentRequest {
        tenant: "a".to_owned(),
        position: 99,
        query: Some(everything()),
    };
    let refused = node.ingester.recent(beyond).await.unwrap_err();
    assert!(refused.message.contains("same bucket"), "{refused}");

    // The malformed record is in the WAL: it holds nothing up.
    let a = tenant("a");
    world.push(&node, &a, 3).await.unwrap();
    node.ingester.flush().await;
    world.check(&node, &a).await;
    node.kill(&world).await;
    let node = world.start().await;
    world.check(&node, &a).await;
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_leaves_blocks_and_nothing_else() {
    let world = World::new(15);
    let (node, a) = (world.start().await, tenant("a"));
    world.push(&node, &a, 10).await.unwrap();
    node.ingester.shutdown().await.unwrap();
    let refused = world.push(&node, &a, 1).await.unwrap_err();
    assert_eq!(refused.kind, CallErrorKind::Refused, "nothing of it was done");
    world.check(&node, &a).await;
    assert_eq!(world.streams().await, 0);
    assert_eq!(world.wal_files(), Vec::<String>::new());
    node.kill(&world).await;
    let node = world.start().await;
    world.check(&node, &a).await;
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_the_log_does_not_know_is_set_aside() {
    let world = World::new(16);
    let (node, a) = (world.start().await, tenant("a"));
    world.push(&node, &a, 10).await.unwrap();
    node.kill(&world).await;
    let mut elsewhere = World::new(17);
    elsewhere.disk = world.disk.clone();
    elsewhere.environment = elsewhere
        .environment
        .with_files(std::sync::Arc::new(world.disk.clone()));
    let node = elsewhere.start().await;
    assert_eq!(elsewhere.find(&node.ingester, &a).await.len(), 0);
    assert!(
        elsewhere
            .wal_files()
            .iter()
            .all(|name| name.ends_with(".wal.aside"))
    );
    assert_eq!(elsewhere.wal_files().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_of_which_others_stored_a_part_is_made_anew() {
    let world = World::new(18);
    let (node, a) = (world.start().await, tenant("a"));
    for _ in 0..3 {
        world.push(&node, &a, 2).await.unwrap();
    }
    // As if a follower had taken over and stored the second record.
    let log = world.log(&a).await;
    let stream = tempo_block::log::StreamLog::open(&world.environment, &world.store)
        .await
        .unwrap();
    let (epoch, _) = stream
        .snapshot()
        .state
        .iter()
        .next()
        .map(|(epoch, stream)| (epoch, stream.clone()))
        .unwrap();
    log.commit(Transaction {
        covers: vec![Cover {
            stream: epoch,
            ranges: (1..2).into(),
        }],
        ..Transaction::default()
    })
    .await
    .unwrap();
    node.ingester.flush().await;
    let found = world.find(&node.ingester, &a).await;
    assert_eq!(found.len(), 4, "the second record is the other's to show");
    world.pass(SECOND * 10).await;
    assert_eq!(world.find(&node.ingester, &a).await.len(), 4);
}
