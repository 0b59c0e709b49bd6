//! `compactor`: what merges and removes blocks.

use serde::{Deserialize, Serialize};

use super::Ring;
use crate::duration::GoDuration;

/// `compactor`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Compactor {
    /// What is compacted and how long it is kept.
    pub compaction: Compaction,
    /// The ring's section; read, and not needed.
    pub ring: Ring,
}

/// `compactor.compaction`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// Blocks of one window of this length are merged.
    pub compaction_window: GoDuration,
    /// The largest block that is made, in traces.
    pub max_compaction_objects: u64,
    /// The largest block that is made, in bytes.
    pub max_block_bytes: u64,
    /// How long blocks are kept.
    pub block_retention: GoDuration,
    /// How many bytes of blocks are kept of each tenant, the newest ones; 0 is no limit. Not known to Tempo.
    pub block_retention_bytes: u64,
    /// How long the files of removed blocks stay.
    pub compacted_block_retention: GoDuration,
    /// How often work is looked for.
    pub compaction_cycle: GoDuration,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            compaction_window: GoDuration::seconds(3600),
            max_compaction_objects: 6_000_000,
            max_block_bytes: 100 << 30,
            block_retention: GoDuration::seconds(336 * 3600),
            block_retention_bytes: 0,
            compacted_block_retention: GoDuration::seconds(3600),
            compaction_cycle: GoDuration::seconds(30),
        }
    }
}
