//! Which blocks are made into one, and in what order: a pure function of what the log says and of the time.
//!
//! Blocks are grouped by the window of time in which they arrived. In a window that is still filling, enough blocks of
//! one level become one of the next level; in a window that is over, whatever is small enough is put together. A level
//! is how often the spans were written again, and it is bounded: no span is rewritten for ever.
//!
//! Not here: doing it, and who does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::meta::BlockMeta;

/// When and how far blocks are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The length of a window; blocks of different windows stay apart.
    pub window: Duration,
    /// The fewest blocks of one level that are worth a job while the window is filling.
    pub min_inputs: usize,
    /// The most blocks of one job.
    pub max_inputs: usize,
    /// The most bytes of a made block.
    pub max_bytes: u64,
    /// The most traces of a made block, one that has several row groups counted once a row group.
    pub max_traces: u64,
    /// How often a span is rewritten at most; a merge for repair is not counted.
    pub max_level: u8,
}

impl Default for Policy {
    /// Windows of an hour, 8 to 16 blocks a job, blocks of up to 4 GiB and 6 million traces, 3 rewrites. So a block has
    /// up to 512 blocks of heads, and an hour of 100 million spans becomes a handful of blocks.
    fn default() -> Self {
        Self {
            window: Duration::from_hours(1),
            min_inputs: 8,
            max_inputs: 16,
            max_bytes: 4 << 30,
            max_traces: 6_000_000,
            max_level: 3,
        }
    }
}

/// How the inputs of a job become its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Row groups are copied as they are.
    Copy,
    /// Spans are decoded, deduplicated by id and clustered anew.
    Merge,
}

/// Blocks to be made into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// How.
    pub method: Method,
    /// The inputs, oldest first; a single one only for [`Method::Merge`].
    pub inputs: Vec<Arc<BlockMeta>>,
}

impl Job {
    /// The level of the output.
    pub fn level(&self) -> u8 {
        let highest = self.inputs.iter().map(|meta| meta.level).max();
        highest.unwrap_or_default().saturating_add(1)
    }

    /// Bytes of all inputs.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|meta| meta.bytes()).sum()
    }
}

/// The jobs that are due now, the newest window first; no block is in two of them. Once all are done, other jobs may
/// be due; when none are, a tenant is settled.
pub fn plan<'a>(
    live: impl IntoIterator<Item = &'a Arc<BlockMeta>>,
    policy: &Policy,
    now_ns: u64,
) -> Vec<Job> {
    let window_ns = (policy.window.as_nanos() as u64).max(1);
    let mut windows: BTreeMap<u64, Vec<Arc<BlockMeta>>> = BTreeMap::new();
    for meta in live {
        let window = meta.last_arrival_ns / window_ns;
        windows.entry(window).or_default().push(meta.clone());
    }
    let current = now_ns / window_ns;
    let of_window = |(window, metas): (u64, Vec<Arc<BlockMeta>>)| of_window(metas, policy, window < current);
    windows.into_iter().rev().flat_map(of_window).collect()
}

/// How many blocks wait to be put together: the inputs of all jobs that are due.
pub fn outstanding_blocks(jobs: &[Job]) -> usize {
    jobs.iter().map(|job| job.inputs.len()).sum()
}

fn of_window(mut metas: Vec<Arc<BlockMeta>>, policy: &Policy, is_over: bool) -> Vec<Job> {
    metas.sort_by_key(|meta| (meta.last_arrival_ns, meta.id));
    let (marked, rest): (Vec<_>, Vec<_>) = metas.into_iter().partition(|meta| meta.maybe_duplicates);
    // The record that a marked block repeats may stand in any block of the window, marked or not; two marked ones are
    // the likeliest pair. What a merge of them leaves is found by readers, who deduplicate.
    let mut jobs = packed(marked, policy, Method::Merge, 1);
    let (small, _): (Vec<_>, Vec<_>) = rest.into_iter().partition(|meta| meta.level < policy.max_level);
    if is_over {
        jobs.extend(packed(small, policy, Method::Copy, 2));
        return jobs;
    }
    let mut levels: BTreeMap<u8, Vec<Arc<BlockMeta>>> = BTreeMap::new();
    for meta in small {
        levels.entry(meta.level).or_default().push(meta);
    }
    let fewest = policy.min_inputs.max(2);
    jobs.extend(
        levels
            .into_values()
            .flat_map(|metas| packed(metas, policy, Method::Copy, fewest)),
    );
    jobs
}

/// Jobs of neighbours in time, each as large as allowed and of at least `fewest` inputs.
fn packed(metas: Vec<Arc<BlockMeta>>, policy: &Policy, method: Method, fewest: usize) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut inputs: Vec<Arc<BlockMeta>> = Vec::new();
    let mut close = |inputs: Vec<Arc<BlockMeta>>| {
        if inputs.len() >= fewest.max(1) {
            jobs.push(Job { method, inputs });
        }
    };
    for meta in metas {
        if !fits(&inputs, &meta, policy) {
            close(std::mem::take(&mut inputs));
        }
        inputs.push(meta);
    }
    close(inputs);
    jobs
}

fn fits(inputs: &[Arc<BlockMeta>], meta: &BlockMeta, policy: &Policy) -> bool {
    let sum = |of: fn(&BlockMeta) -> u64| {
        inputs
            .iter()
            .map(|meta| of(meta))
            .fold(of(meta), u64::saturating_add)
    };
    inputs.is_empty()
        || (inputs.len() < policy.max_inputs.max(2)
            && sum(BlockMeta::bytes) <= policy.max_bytes
            && sum(|meta| meta.traces) <= policy.max_traces)
}

#[cfg(test)]
mod tests;
