//! The compactor: fewer blocks with the same spans, whoever else compacts.

use std::time::Duration;

use tempo_block::store::metered::Operation;
use tempo_config::{Config, Limits};
use tempo_core::compactor::{Done, Settings};
use tempo_runtime::Shutdown;
use tempo_runtime::metrics::MetricsRegistry;

use super::store::Trouble;
use super::world::{Node, World, tenant};

const HOUR: Duration = Duration::from_hours(1);

async fn with_blocks(world: &World, blocks: usize) -> Node {
    let (node, a) = (world.start().await, tenant("a"));
    for _ in 0..blocks {
        world.push(&node, &a, 9).await.unwrap();
        node.ingester.flush().await;
    }
    node
}

async fn live(world: &World) -> usize {
    world.log(&tenant("a")).await.snapshot().state.live().len()
}

fn settings() -> Settings {
    Settings::from(&Config::default())
}

#[tokio::test(start_paused = true)]
async fn blocks_of_a_window_that_is_over_become_one() {
    let world = World::new(101);
    let node = with_blocks(&world, 3).await;
    let compactor = world.compactor("one", &["one"], settings());
    assert_eq!(
        compactor.run_once().await,
        Done::default(),
        "the window is filling"
    );
    world.pass(HOUR).await;
    let done = compactor.run_once().await;
    assert_eq!((done.jobs, done.failed), (1, 0));
    assert_eq!(live(&world).await, 1);
    world.check(&node, &tenant("a")).await;
    assert_eq!(compactor.run_once().await, Done::default(), "it is settled");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_goes_and_its_files_after_a_grace() {
    let world = World::new(102);
    let _node = with_blocks(&world, 2).await;
    let mut settings = settings();
    settings.retention = HOUR;
    settings.grace.removed = Duration::ZERO;
    let compactor = world.compactor("one", &["one"], settings);
    world.pass(HOUR / 2).await;
    assert_eq!(compactor.run_once().await.expired, 0);
    world.pass(HOUR).await;
    assert_eq!(compactor.run_once().await.expired, 2);
    assert_eq!(live(&world).await, 0);
    compactor.clean().await;
    let deletes = world
        .script
        .journal()
        .iter()
        .filter(|line| line.contains(" delete "))
        .count();
    assert_eq!(deletes, 6, "three files of each block");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_keeps_the_newest_blocks_up_to_its_own_bytes() {
    let world = World::new(107);
    let _node = with_blocks(&world, 4).await;
    let log = world.log(&tenant("a")).await.snapshot();
    let newest: Vec<_> = log.state.live().skip(1).map(|meta| meta.id).collect();
    let bytes = log.state.live().skip(1).map(|meta| meta.bytes()).sum();
    let mut limits = Limits::default();
    limits.compaction.block_retention_bytes = bytes;
    let mut settings = settings();
    settings.retention_bytes = 1;
    let registry = MetricsRegistry::default();
    let compactor = world.measured_compactor("one", &["one"], settings, limits, &registry);
    assert_eq!(compactor.run_once().await.expired, 1);
    let log = world.log(&tenant("a")).await.snapshot();
    let left: Vec<_> = log.state.live().map(|meta| meta.id).collect();
    assert_eq!(left, newest);
    assert_eq!(compactor.run_once().await, Done::default());
}

#[tokio::test(start_paused = true)]
async fn outstanding_blocks_are_counted_until_nothing_is_left_to_do() {
    let world = World::new(108);
    let _node = with_blocks(&world, 3).await;
    world.pass(HOUR).await;
    let registry = MetricsRegistry::default();
    let compactor = world.measured_compactor("one", &["one"], settings(), Limits::default(), &registry);
    let outstanding = || {
        let text = registry.render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("tempodb_compaction_outstanding_blocks{tenant=\"a\"} "));
        line.unwrap().to_owned()
    };
    world
        .script
        .next(1, Operation::Put, "a/blocks/", Trouble::Refused);
    assert_eq!(compactor.run_once().await.failed, 1);
    assert_eq!(outstanding(), "3");
    compactor.run_once().await;
    assert_eq!(
        outstanding(),
        "3",
        "blocks that are left alone for a while are still due"
    );
    world.pass(HOUR / 2).await;
    assert_eq!(compactor.run_once().await.jobs, 1);
    assert_eq!(outstanding(), "0");
}

#[tokio::test(start_paused = true)]
async fn two_compactors_share_the_work_and_neither_waits_for_the_other() {
    let world = World::new(103);
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(with_blocks(&world, 2).await);
        world.pass(HOUR).await;
        nodes.pop().unwrap().kill(&world).await;
    }
    let all = ["one", "two"];
    let (one, two) = (
        world.compactor("one", &all, settings()),
        world.compactor("two", &all, settings()),
    );
    let (first, second) = tokio::join!(one.run_once(), two.run_once());
    assert_eq!(first.jobs + second.jobs, 4);
    assert_eq!(first.failed + second.failed, 0);
    let node = world.start().await;
    world.check(&node, &tenant("a")).await;
}

#[tokio::test(start_paused = true)]
async fn two_that_do_not_know_each_other_do_no_harm() {
    let world = World::new(104);
    let node = with_blocks(&world, 3).await;
    world.pass(HOUR).await;
    let (one, two) = (
        world.compactor("one", &["one"], settings()),
        world.compactor("two", &["two"], settings()),
    );
    tokio::join!(one.run_once(), two.run_once());
    assert_eq!(live(&world).await, 1);
    world.check(&node, &tenant("a")).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_is_tried_again_later_and_loses_nothing() {
    let world = World::new(105);
    let node = with_blocks(&world, 3).await;
    world.pass(HOUR).await;
    let compactor = world.compactor("one", &["one"], settings());
    world
        .script
        .next(1, Operation::Put, "a/blocks/", Trouble::Refused);
    assert_eq!(compactor.run_once().await.failed, 1);
    assert_eq!(live(&world).await, 3);
    assert_eq!(
        compactor.run_once().await,
        Done::default(),
        "its blocks are left alone for a while"
    );
    world.pass(HOUR / 2).await;
    assert_eq!(compactor.run_once().await.jobs, 1);
    world.check(&node, &tenant("a")).await;
}

#[tokio::test(start_paused = true)]
async fn it_works_by_itself_and_stops_in_the_middle_of_a_job() {
    let world = World::new(106);
    let node = with_blocks(&world, 3).await;
    let compactor = world.compactor("one", &["one"], settings());
    let shutdown = Shutdown::new();
    world.pass(HOUR).await;
    world
        .script
        .next(1, Operation::Put, "a/blocks/", Trouble::HangsBefore);
    let stopping = async {
        world.script.hung().await;
        shutdown.trigger();
        shutdown.finished().await;
    };
    futures::join!(compactor.run(shutdown.clone()), stopping);
    assert_eq!(live(&world).await, 3, "nothing lives of the job");
    world.check(&node, &tenant("a")).await;

    let shutdown = Shutdown::new();
    let stopping = async {
        world.pass(HOUR / 60).await;
        shutdown.trigger();
    };
    futures::join!(compactor.run(shutdown.clone()), stopping);
    assert_eq!(live(&world).await, 1);
    world.check(&node, &tenant("a")).await;
}
