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
    /// How many bytes of blocks are kept of tenants that have no limit of their own; zero keeps all.
    pub retention_bytes: u64,
    /// How long the files of removed blocks stay.
    pub grace: Grace,
    /// How often work is looked for.
    pub cycle: Duration,
    /// How often files are cleaned up.
    pub clean_period: Duration,
}

impl From<&Config> for Settings {
    /// A made block has at most the bytes and traces that the configuration says; zero takes [`Policy::default`]'s, and
    /// of bytes no more than those are made: larger blocks buy nothing here.
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
                max_traces: match compaction.max_compaction_objects {
                    0 => usual.max_traces,
                    traces => traces,
                },
                ..usual
            },
            retention_bytes: compaction.block_retention_bytes,
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

#[cfg(test)]
mod tests {
    use tempo_config::{Arguments, load};

    use super::*;

    fn policy(section: &str) -> Policy {
        let text = format!("compactor: {{compaction: {{{section}}}}}");
        let loaded = load(&text, &Arguments::default(), |_| None).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        Settings::from(&loaded.config).policy
    }

    #[test]
    fn blocks_are_as_large_as_the_configuration_says() {
        let usual = Policy::default();
        assert_eq!(
            policy("compaction_window: 1h"),
            usual,
            "defaults are the policy's"
        );
        let small = policy("max_block_bytes: 1000, max_compaction_objects: 20, compaction_window: 5m");
        assert_eq!((small.max_bytes, small.max_traces), (1000, 20));
        assert_eq!(small.window, Duration::from_mins(5));
        let none = policy("max_block_bytes: 0, max_compaction_objects: 0, compaction_window: 0s");
        assert_eq!(none, usual);
        assert_eq!(policy("max_block_bytes: 107374182400").max_bytes, usual.max_bytes);
    }
}
