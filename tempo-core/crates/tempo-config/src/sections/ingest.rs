//! `ingester`: what keeps fresh spans.

use serde::{Deserialize, Serialize};

use super::Ring;
use crate::duration::GoDuration;

/// `ingester`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ingester {
    /// The ring's section; the replication factor is in it.
    pub lifecycler: Lifecycler,
    /// The age at which a head becomes a block. Upstream: 30m.
    pub max_block_duration: GoDuration,
    /// The bytes of memory at which a head becomes a block. Upstream counts bytes of its WAL: 500 MiB.
    pub max_block_bytes: u64,
    /// A trace without new spans for so long is not alive any more, as limits on live traces count.
    pub trace_idle_period: GoDuration,
    /// How often heads are looked at.
    pub flush_check_period: GoDuration,
    /// How long a flushed head stays readable in memory.
    pub complete_block_timeout: GoDuration,
    /// How many heads are flushed at once.
    pub concurrent_flushes: usize,
    /// What an acknowledgement means; ours.
    pub sync: Sync,
}

impl Default for Ingester {
    fn default() -> Self {
        Self {
            lifecycler: Lifecycler::default(),
            max_block_duration: GoDuration::seconds(30 * 60),
            max_block_bytes: 64_000_000,
            trace_idle_period: GoDuration::seconds(5),
            flush_check_period: GoDuration::seconds(10),
            complete_block_timeout: GoDuration::seconds(60),
            concurrent_flushes: 2,
            sync: Sync::default(),
        }
    }
}

/// What an acknowledged span has survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// A power cut: it is synced to the disk.
    #[default]
    Synced,
    /// A killed process: it is written to the operating system. Faster on slow disks.
    Written,
}

/// `ingester.lifecycler`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycler {
    /// The ring.
    pub ring: Ring,
    /// Upstream keeps its tokens there; read and ignored.
    pub tokens_file_path: String,
    /// The address that other members should use.
    pub address: String,
    /// The zone.
    pub availability_zone: String,
    /// Use IPv6.
    pub enable_inet6: bool,
}
