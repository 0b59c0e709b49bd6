//! What reading for one query cost, counted while it goes on.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Counters that the parts of one query share.
#[derive(Debug, Default)]
pub struct ReadStatistics {
    requests: AtomicU64,
    bytes: AtomicU64,
    cached_bytes: AtomicU64,
    spans: AtomicU64,
    blocks: AtomicU64,
    blocks_pruned: AtomicU64,
    row_groups: AtomicU64,
    row_groups_pruned: AtomicU64,
}

/// What [`ReadStatistics`] counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadTotals {
    /// Reads sent to the store; one may be of several ranges.
    pub requests: u64,
    /// Bytes read from the store.
    pub bytes: u64,
    /// Bytes that a cache had.
    pub cached_bytes: u64,
    /// Spans of the row groups and heads that were looked into.
    pub spans: u64,
    /// Blocks whose metadata was looked at.
    pub blocks: u64,
    /// Blocks that were passed over by what the log says of them.
    pub blocks_pruned: u64,
    /// Row groups and heads that were looked into.
    pub row_groups: u64,
    /// Row groups that were passed over by statistics or dictionaries.
    pub row_groups_pruned: u64,
}

impl ReadTotals {
    /// Adds what another part of the query cost.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.cached_bytes += other.cached_bytes;
        self.spans += other.spans;
        self.blocks += other.blocks;
        self.blocks_pruned += other.blocks_pruned;
        self.row_groups += other.row_groups;
        self.row_groups_pruned += other.row_groups_pruned;
    }
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl ReadStatistics {
    /// The figures so far.
    pub fn totals(&self) -> ReadTotals {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReadTotals {
            requests: value(&self.requests),
            bytes: value(&self.bytes),
            cached_bytes: value(&self.cached_bytes),
            spans: value(&self.spans),
            blocks: value(&self.blocks),
            blocks_pruned: value(&self.blocks_pruned),
            row_groups: value(&self.row_groups),
            row_groups_pruned: value(&self.row_groups_pruned),
        }
    }

    pub(crate) fn request(&self, bytes: usize) {
        count(&self.requests, 1);
        count(&self.bytes, bytes as u64);
    }

    pub(crate) fn cached(&self, bytes: usize) {
        count(&self.cached_bytes, bytes as u64);
    }

    pub(crate) fn block(&self) {
        count(&self.blocks, 1);
    }

    /// Counts blocks that were passed over by what the log says of them.
    pub fn blocks_pruned(&self, blocks: usize) {
        count(&self.blocks_pruned, blocks as u64);
    }

    pub(crate) fn row_group(&self, spans: u64) {
        count(&self.row_groups, 1);
        count(&self.spans, spans);
    }

    pub(crate) fn row_groups_pruned(&self, row_groups: usize) {
        count(&self.row_groups_pruned, row_groups as u64);
    }
}
