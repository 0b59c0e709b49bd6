//! The `memory_limiter` processor: refuses spans, retryably, while the process uses too much memory.
//!
//! What is used is the resident set of the process (`/proc/self/status`); percentages are of the memory that the cgroup
//! allows, or of the machine's where it sets no limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tempo_receiver::{ConsumeError, ErrorKind, Taken, TraceBatch, TraceConsumer};
use tempo_runtime::Shutdown;

use crate::config::{Problem, values};
use crate::metrics::{Metrics, ProcessorLabels};

/// The largest limit whose bytes can be counted.
const LARGEST_MIB: u64 = u64::MAX >> 20;

/// Settings of `memory_limiter`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemorySettings {
    /// How often memory is looked at; required.
    #[serde(deserialize_with = "values::duration")]
    pub check_interval: Duration,
    /// The limit in MiB.
    pub limit_mib: u64,
    /// How far below the limit refusing begins, in MiB; a fifth of the limit by default.
    pub spike_limit_mib: u64,
    /// The limit as a percentage of all memory.
    pub limit_percentage: u64,
    /// How far below the limit refusing begins, as a percentage of all memory.
    pub spike_limit_percentage: u64,
}

impl MemorySettings {
    pub(super) fn check(&self, path: &str) -> Result<(), Problem> {
        let problem = |key: &str, reason: &str| Err(Problem::new(format!("{path}::{key}"), reason));
        if self.check_interval.is_zero() {
            return problem("check_interval", "must be set, and above 0; 1s is usual");
        }
        if self.limit_mib == 0 && self.limit_percentage == 0 {
            return problem("limit_mib", "set limit_mib or limit_percentage");
        }
        if self.limit_mib > LARGEST_MIB {
            return problem("limit_mib", "is more than any machine has; it is in MiB");
        }
        if self.limit_percentage > 100 || self.spike_limit_percentage > 100 {
            return problem("limit_percentage", "a percentage cannot be above 100");
        }
        if self.limit_mib > 0 && self.spike_limit_mib >= self.limit_mib {
            return problem("spike_limit_mib", "must be less than limit_mib");
        }
        if self.limit_mib == 0 && self.spike_limit_percentage >= self.limit_percentage {
            return problem("spike_limit_percentage", "must be less than limit_percentage");
        }
        Ok(())
    }

    /// The bytes above which spans are refused, where all memory is `total` bytes. Fixed sizes win over percentages.
    fn soft_limit(&self, total: u64) -> u64 {
        let (limit, spike) = if self.limit_mib > 0 {
            (self.limit_mib << 20, self.spike_limit_mib << 20)
        } else {
            let of_total = |percentage: u64| total / 100 * percentage;
            (
                of_total(self.limit_percentage),
                of_total(self.spike_limit_percentage),
            )
        };
        limit - if spike == 0 { limit / 5 } else { spike }
    }
}

/// A memory limiter. [`Memory::run`] must run beside it.
pub struct Memory {
    check_interval: Duration,
    soft_limit: u64,
    is_short: AtomicBool,
    next: Arc<dyn TraceConsumer>,
    labels: ProcessorLabels,
    metrics: Metrics,
}

impl Memory {
    /// A limiter called `id` before `next`.
    pub fn new(
        id: String,
        settings: &MemorySettings,
        next: Arc<dyn TraceConsumer>,
        metrics: Metrics,
    ) -> Self {
        let limiter = Self {
            check_interval: settings.check_interval,
            soft_limit: settings.soft_limit(total_bytes()),
            is_short: AtomicBool::new(false),
            next,
            labels: ProcessorLabels { processor: id },
            metrics,
        };
        limiter.look();
        limiter
    }

    /// Looks at memory from time to time until shutdown.
    pub async fn run(&self, shutdown: Shutdown) {
        let _guard = shutdown.guard();
        let mut ticks = tokio::time::interval(self.check_interval);
        loop {
            tokio::select! {
                () = shutdown.triggered() => return,
                _ = ticks.tick() => self.look(),
            }
        }
    }

    fn look(&self) {
        let used = used_bytes();
        let is_short = used > self.soft_limit;
        if self.is_short.swap(is_short, Ordering::Relaxed) != is_short {
            let limit = self.soft_limit;
            if is_short {
                tracing::warn!(used, limit, "memory is short: spans are refused");
            } else {
                tracing::info!(used, limit, "memory is enough again: spans are taken");
            }
        }
    }
}

#[async_trait]
impl TraceConsumer for Memory {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        if !self.is_short.load(Ordering::Relaxed) {
            return self.next.consume(batch).await;
        }
        self.metrics
            .limited
            .get_or_create(&self.labels)
            .inc_by(batch.contents.spans as u64);
        Err(ConsumeError::new(
            ErrorKind::Unavailable { retry_after: None },
            "data refused due to high memory usage",
        ))
    }
}

/// The resident set of this process; 0 where the kernel does not tell.
fn used_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmRSS:").unwrap_or(0)
}

/// The memory that this process may use.
fn total_bytes() -> u64 {
    [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
    .chain(kilobytes("/proc/meminfo", "MemTotal:"))
    .min()
    .unwrap_or(u64::MAX)
}

/// The bytes that the line of `path` that begins with `key` tells in kB.
fn kilobytes(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusing_begins_below_the_limit() {
        let mut settings = MemorySettings {
            check_interval: Duration::from_secs(1),
            limit_mib: 100,
            ..MemorySettings::default()
        };
        assert_eq!(settings.soft_limit(u64::MAX), 80 << 20);
        settings.spike_limit_mib = 10;
        assert_eq!(settings.soft_limit(u64::MAX), 90 << 20);
        settings.limit_mib = 0;
        settings.limit_percentage = 50;
        settings.spike_limit_percentage = 25;
        assert_eq!(settings.soft_limit(1000), 250);
    }

    #[test]
    fn the_kernel_tells_what_is_used() {
        assert!(used_bytes() > 0 && total_bytes() > used_bytes());
    }
}
