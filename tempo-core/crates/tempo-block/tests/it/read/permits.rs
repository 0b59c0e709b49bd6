//! Nobody reads a row group before there is room for it, and the room is taken as long as it is held.

use std::time::Duration;

use tempo_block::read::MemoryBudget;
use tokio::time::timeout;

use super::{Written, calls, head_of, run, trace_id};

/// Long, by the paused clock of these tests: it passes once everything that can go on has done so.
const LONG: Duration = Duration::from_hours(1);

#[test]
fn reading_waits_for_room_and_gives_it_back() {
    run(async {
        let mut written = Written::of(&head_of(&[calls(100)]), 40).await;
        let budget = MemoryBudget::new(1 << 20);
        written.reader.memory = budget.clone();
        let block = written.block();
        let all = budget.acquire(u64::MAX).await;
        // Metadata needs no permit: it is bounded by its cache.
        block.row_groups().await.unwrap();
        assert!(timeout(LONG, block.row_group(0)).await.is_err(), "no room");
        assert!(timeout(LONG, block.trace(trace_id(42))).await.is_err(), "no room");
        drop(all);
        let group = timeout(LONG, block.row_group(0)).await.unwrap().unwrap();
        assert!(
            timeout(LONG, budget.acquire(u64::MAX)).await.is_err(),
            "held by the row group"
        );
        drop(group);
        block.trace(trace_id(42)).await.unwrap();
        assert!(
            timeout(LONG, budget.acquire(u64::MAX)).await.is_ok(),
            "all of it is back"
        );
    });
}
