//! Blocks of jobs that failed: they are left alone for a while, so that one damaged block does not hold up the others.

use std::collections::BTreeMap;
use std::time::Duration;

use tempo_block::compact::Job;
use ulid::Ulid;

/// How long the inputs of a failed job are left alone.
const REST: Duration = Duration::from_mins(15);

/// Blocks that are left alone, and since when.
#[derive(Debug, Default)]
pub(super) struct Troubled(BTreeMap<Ulid, Duration>);

impl Troubled {
    pub(super) fn add(&mut self, job: &Job, now: Duration) {
        self.0.extend(job.inputs.iter().map(|meta| (meta.id, now)));
    }

    pub(super) fn contains(&self, block: Ulid) -> bool {
        self.0.contains_key(&block)
    }

    pub(super) fn forget_old(&mut self, now: Duration) {
        self.0.retain(|_, since| now.saturating_sub(*since) < REST);
    }
}
