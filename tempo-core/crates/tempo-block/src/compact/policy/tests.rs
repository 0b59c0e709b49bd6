//! What is put together when: rule by rule, for arbitrary blocks, and for days of a steady stream.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ulid::Ulid;

use super::*;
use crate::compact::tests::meta;

const HOUR: u64 = 3_600_000_000_000;

fn small() -> Policy {
    Policy {
        max_bytes: 1000,
        max_traces: 1000,
        ..Policy::default()
    }
}

/// What the log says after a job.
fn done(live: &mut Vec<Arc<BlockMeta>>, job: &Job, id: u128) {
    live.retain(|meta| !job.inputs.contains(meta));
    let mut output = BlockMeta::clone(&job.inputs[0]);
    output.id = id.into();
    output.level = job.level();
    output.maybe_duplicates = false;
    output.spans = job.inputs.iter().map(|meta| meta.spans).sum();
    output.spans_file.bytes = job.bytes();
    output.last_arrival_ns = job.inputs.iter().map(|meta| meta.last_arrival_ns).max().unwrap();
    live.push(Arc::new(output));
}

#[test]
fn a_filling_window_waits_for_enough_of_one_level() {
    let blocks = |count| -> Vec<_> { (0..count).map(|id| meta(id, HOUR + 5, 10, 0)).collect() };
    assert_eq!(plan(&blocks(7), &small(), HOUR + 9), []);
    let jobs = plan(&blocks(8), &small(), HOUR + 9);
    assert_eq!((jobs.len(), jobs[0].inputs.len(), jobs[0].level()), (1, 8, 1));
    assert_eq!(outstanding_blocks(&jobs), 8);
}

#[test]
fn a_block_has_no_more_traces_than_allowed() {
    let live: Vec<_> = (0..8).map(|id| meta(id, HOUR + 5, 10, 0)).collect();
    let policy = Policy {
        max_traces: 4,
        min_inputs: 2,
        ..small()
    };
    let jobs = plan(&live, &policy, HOUR + 9);
    let sizes: Vec<usize> = jobs.iter().map(|job| job.inputs.len()).collect();
    assert_eq!(sizes, [4, 4]);
}

#[test]
fn a_window_that_is_over_is_put_together_newest_window_first() {
    let live = [
        meta(1, 5, 10, 0),
        meta(2, 6, 10, 1),
        meta(3, HOUR + 5, 10, 0),
        meta(4, HOUR + 6, 10, 2),
    ];
    let jobs = plan(&live, &small(), 2 * HOUR);
    let inputs: Vec<Vec<u64>> = jobs
        .iter()
        .map(|job| job.inputs.iter().map(|meta| meta.last_arrival_ns).collect())
        .collect();
    assert_eq!(inputs, [vec![HOUR + 5, HOUR + 6], vec![5, 6]]);
}

#[test]
fn marked_blocks_are_merged_even_alone() {
    let mut marked = BlockMeta::clone(&meta(1, 5, 10, 3));
    marked.maybe_duplicates = true;
    let jobs = plan(&[Arc::new(marked)], &small(), 6);
    assert_eq!((jobs.len(), jobs[0].method), (1, Method::Merge));
}

#[test]
fn what_is_too_large_together_stays_apart() {
    let live: Vec<_> = (0..4).map(|id| meta(id, 5, 600, 0)).collect();
    assert_eq!(plan(&live, &small(), 3 * HOUR), []);
}

proptest! {
    #[test]
    fn every_tenant_settles_and_no_span_is_rewritten_for_ever(
        blocks in prop::collection::vec((0..5 * HOUR, 1..400_u64, any::<bool>()), 0..60)
    ) {
        let policy = small();
        let mut live: Vec<Arc<BlockMeta>> = blocks
            .iter()
            .zip(0..)
            .map(|((arrival, bytes, marked), id)| {
                let mut meta = BlockMeta::clone(&meta(id, *arrival, *bytes, 0));
                meta.maybe_duplicates = *marked;
                Arc::new(meta)
            })
            .collect();
        let spans = |live: &[Arc<BlockMeta>]| live.iter().map(|meta| meta.spans).sum::<u64>();
        let before = spans(&live);
        let mut next_id = 1000;
        for _ in 0..=blocks.len() {
            let jobs = plan(&live, &policy, 4 * HOUR);
            for job in &jobs {
                prop_assert!(job.inputs.len() <= policy.max_inputs);
                prop_assert!(job.inputs.len() == 1 || job.bytes() <= policy.max_bytes);
                prop_assert!(job.method == Method::Merge || job.level() <= policy.max_level);
                next_id += 1;
                done(&mut live, job, next_id);
            }
        }
        prop_assert_eq!(plan(&live, &policy, 4 * HOUR), vec![]);
        prop_assert_eq!(spans(&live), before);
    }
}

/// A tenant whose ingesters bring a block of `bytes` every so often, and a compactor that looks every few minutes
/// unless it is down.
struct Stream {
    blocks_an_hour: u64,
    bytes: u64,
    down_hours: std::ops::Range<u64>,
}

/// What came of it.
struct Outcome {
    /// How often each first block was rewritten.
    rewrites: Vec<u32>,
    /// Blocks of windows that are over, by window.
    left: BTreeMap<u64, usize>,
    most_of_a_filling_window: usize,
}

const DAYS: u64 = 2;
const MINUTE: u64 = HOUR / 60;

impl Stream {
    fn run(&self) -> Outcome {
        let policy = Policy::default();
        let mut live = Vec::new();
        let mut contents: BTreeMap<Ulid, Vec<usize>> = BTreeMap::new();
        let mut rewrites = Vec::new();
        let mut most_of_a_filling_window = 0;
        let mut next_id = 0;
        for minute in (0..DAYS * 24 * 60).step_by(3) {
            let now = minute * MINUTE;
            let due = self.blocks_an_hour * (minute + 3) / 60;
            while (rewrites.len() as u64) < due {
                next_id += 1;
                live.push(meta(next_id, now, self.bytes, 0));
                contents.insert(next_id.into(), vec![rewrites.len()]);
                rewrites.push(0);
            }
            if self.down_hours.contains(&(minute / 60)) {
                continue;
            }
            loop {
                let jobs = plan(&live, &policy, now);
                for job in &jobs {
                    next_id += 1;
                    done(&mut live, job, next_id);
                    let inputs = job
                        .inputs
                        .iter()
                        .flat_map(|meta| contents.remove(&meta.id).unwrap());
                    let first_blocks: Vec<usize> = inputs.collect();
                    for block in &first_blocks {
                        rewrites[*block] += 1;
                    }
                    contents.insert(next_id.into(), first_blocks);
                }
                if jobs.is_empty() {
                    break;
                }
            }
            let of_window = live
                .iter()
                .filter(|meta| meta.last_arrival_ns / HOUR == now / HOUR);
            most_of_a_filling_window = most_of_a_filling_window.max(of_window.count());
        }
        let mut left = BTreeMap::new();
        let over = |meta: &&Arc<BlockMeta>| meta.last_arrival_ns / HOUR < DAYS * 24 - 1;
        for meta in live.iter().filter(over) {
            *left.entry(meta.last_arrival_ns / HOUR).or_default() += 1;
        }
        Outcome {
            rewrites,
            left,
            most_of_a_filling_window,
        }
    }
}

#[test]
fn in_days_of_a_steady_stream_no_span_is_rewritten_more_than_three_times() {
    // Blocks an hour, their bytes, and how many blocks a window that is over may keep: as many as its bytes fill.
    let streams = [
        (2, 1 << 20, 1),
        (60, 12 << 20, 1),
        (300, 12 << 20, 2),
        (1600, 12 << 20, 9),
    ];
    for (blocks_an_hour, bytes, most_left) in streams {
        for down_hours in [0..0, 20..31] {
            let stream = Stream {
                blocks_an_hour,
                bytes,
                down_hours: down_hours.clone(),
            };
            let outcome = stream.run();
            let name = format!("{blocks_an_hour} blocks an hour, down for {down_hours:?}");
            assert!(outcome.rewrites.iter().all(|times| *times <= 3), "{name}");
            let left = outcome.left.values().max().unwrap();
            assert!(*left <= most_left, "{name}: {left} blocks of a window are left");
            assert!(
                outcome.most_of_a_filling_window <= 7 * 3 + most_left,
                "{name}: {} blocks of one window",
                outcome.most_of_a_filling_window
            );
        }
    }
}
