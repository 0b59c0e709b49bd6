//! How an ingester works.

use std::path::PathBuf;
use std::time::Duration;

use tempo_block::wal::Durability;
use tempo_config::{Config, Sync};

/// Where every tenant's open head is small, this much room is left all the same.
const MIN_HEAD_BYTES: u64 = 256 << 20;

/// Heads become blocks at some 100,000 spans a second: it is mostly a matter of tenths of a second until one is let go.
const PATIENCE: Duration = Duration::from_secs(2);

/// How an ingester works; see the `ingester` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of the WAL.
    pub wal_folder: PathBuf,
    /// How the WAL is kept.
    pub wal: tempo_block::wal::Settings,
    /// Where others reach this process, `host:port`; empty when it is alone.
    pub address: String,
    /// The age at which a head becomes a block.
    pub max_block_duration: Duration,
    /// The bytes of memory at which a head becomes a block.
    pub max_block_bytes: u64,
    /// The most bytes of memory of all heads; pushes beyond are refused until blocks are committed. From half of it on,
    /// the largest heads become blocks before they are full.
    pub max_head_bytes: u64,
    /// The most bytes of pushes that are under way.
    pub max_in_flight_bytes: u64,
    /// How long a push waits for memory until it is refused.
    pub patience: Duration,
    /// A trace without new spans for so long is not alive any more.
    pub trace_idle_period: Duration,
    /// How often heads are looked at.
    pub check_period: Duration,
    /// How long a flushed head stays readable in memory, for queries that began before.
    pub linger: Duration,
    /// How many heads are written at once.
    pub concurrent_flushes: usize,
    /// The longest attribute key or value of tenants that have no limit of their own; longer ones are cut.
    pub max_attribute_bytes: u64,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let ingester = &config.ingester;
        Self {
            wal_folder: config.storage.trace.wal.path.clone().into(),
            wal: tempo_block::wal::Settings {
                durability: match ingester.sync {
                    Sync::Synced => Durability::Synced,
                    Sync::Written => Durability::Written,
                },
                max_bytes: config.storage.trace.wal.max_bytes,
                ..tempo_block::wal::Settings::default()
            },
            address: String::new(),
            max_block_duration: ingester.max_block_duration.0,
            max_block_bytes: ingester.max_block_bytes,
            max_head_bytes: ingester.max_block_bytes.saturating_mul(4).max(MIN_HEAD_BYTES),
            max_in_flight_bytes: 64 << 20,
            patience: PATIENCE,
            trace_idle_period: ingester.trace_idle_period.0,
            check_period: ingester.flush_check_period.0.max(Duration::from_millis(100)),
            linger: ingester.complete_block_timeout.0,
            concurrent_flushes: ingester.concurrent_flushes.max(1),
            max_attribute_bytes: config.distributor.max_attribute_bytes,
        }
    }
}
