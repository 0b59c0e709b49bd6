//! Queries that ask all the time, while heads become blocks, blocks are compacted and the ingester is killed, never miss
//! an acknowledged span and never see one twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempo_block::log::Grace;
use tempo_block::store::metered::Operation;
use tempo_core::compactor;

use super::store::Trouble;
use super::world::{World, assert_same, seeds, tenant};

/// What happened in a life.
struct Lived {
    /// Every request to the store.
    journal: Vec<String>,
    acknowledged: usize,
    compactions: usize,
}

/// One life of an engine: pushes, flushes, compactions, troubles and kills in an order that the seed decides.
async fn live(seed: u64) -> Lived {
    let mut world = World::new(seed);
    world.settings.max_block_bytes = 30_000;
    // Shorter than a query: it is let go under queries that began before.
    world.settings.linger = Duration::from_millis(5);
    world.script.slow_down(Duration::from_millis(20));
    let tenants = [tenant("a"), tenant("b")];
    let compactor = world.compactor("one", &["one"], settings());
    let mut compactions = 0;
    for _ in 0..3 {
        let node = world.start().await;
        let stop = AtomicBool::new(false);
        let asking = async {
            while !stop.load(Ordering::Relaxed) {
                for tenant in &tenants {
                    let must = world.acknowledged(tenant);
                    let found = world.find(&node.ingester, tenant).await;
                    world.compare(tenant, &must, &found);
                }
                world.pass(Duration::from_millis(world.roll(500))).await;
            }
        };
        let working = async {
            for _ in 0..40 {
                let tenant = &tenants[world.roll(2) as usize];
                match world.roll(20) {
                    0 => node.ingester.flush().await,
                    1 => compactions += compactor.run_once().await.jobs,
                    2 => compactor.clean().await,
                    3 => world.script.next(2, Operation::Put, "/log/", Trouble::AnswerLost),
                    4 => world.script.next(3, Operation::Put, "/blocks/", Trouble::Refused),
                    _ => world.push(&node, tenant, 1 + world.roll(20)).await.unwrap(),
                }
                world.pass(Duration::from_millis(world.roll(500))).await;
            }
            stop.store(true, Ordering::Relaxed);
        };
        // The order in which they are polled is fixed, unlike that of `tokio::join`.
        futures::join!(asking, working);
        node.kill(&world).await;
    }
    world.script.heal();
    let node = world.start().await;
    for tenant in &tenants {
        world.check(&node, tenant).await;
    }
    let acknowledged = tenants
        .iter()
        .map(|tenant| world.acknowledged(tenant).len())
        .sum();
    Lived {
        journal: world.script.journal(),
        acknowledged,
        compactions,
    }
}

fn settings() -> compactor::Settings {
    let mut settings = compactor::Settings::from(&tempo_config::Config::default());
    settings.policy.min_inputs = 2;
    settings.grace = Grace {
        removed: Duration::ZERO,
        ..Grace::default()
    };
    settings
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missed_or_seen_twice_at_any_moment() {
    let mut compactions = 0;
    for seed in 0..seeds() {
        let lived = live(seed).await;
        assert!(
            lived.acknowledged > 300,
            "only {} spans were stored",
            lived.acknowledged
        );
        compactions += lived.compactions;
    }
    assert!(compactions > 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_is_the_same_life() {
    let life = live(1234).await.journal;
    assert_same(&life, &live(1234).await.journal);
    assert_ne!(life, live(4321).await.journal);
}
