//! How a compactor works.

use std::time::Duration;

use tempo_block::compact::Policy;
use tempo_block::log::Grace;
use tempo_config::Config;

/// How a compactor works; see the `compactor` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which blocks are put together.
    pub policy: Policy,
    /// How long blocks are kept of tenants that have no time of their own; zero keeps them for ever.
    pub retention: Duration,
    /// How long the files of removed blocks stay.
    pub grace: Grace,
    /// How often work is looked for.
    pub cycle: Duration,
    /// How often files are cleaned up.
    pub clean_period: Duration,
}

impl From<&Config> for Settings {
    /// A made block has at most the bytes that the configuration says, and no more than [`Policy::default`]'s: larger
    /// ones buy nothing here.
    fn from(config: &Config) -> Self {
        let compaction = &config.compactor.compaction;
        let usual = Policy::default();
        let window = compaction.compaction_window.0;
        Self {
            policy: Policy {
                window: if window.is_zero() { usual.window } else { window },
                max_bytes: match compaction.max_block_bytes {
                    0 => usual.max_bytes,
                    bytes => bytes.min(usual.max_bytes),
                },
                ..usual
            },
            retention: compaction.block_retention.0,
            grace: Grace {
                removed: compaction.compacted_block_retention.0,
                ..Grace::default()
            },
            cycle: compaction.compaction_cycle.0.max(Duration::from_millis(100)),
            clean_period: Duration::from_mins(10),
        }
    }
}
