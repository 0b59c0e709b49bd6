//! Processors: what happens to spans between receivers and exporters.

pub mod batch;
pub mod memory;

use serde_yaml::Value;

use self::batch::BatchSettings;
use self::memory::MemorySettings;
use crate::config::{Problem, Settings, read};

/// Settings of a processor.
#[derive(Debug, Clone, PartialEq)]
pub enum ProcessorSettings {
    /// `batch`.
    Batch(BatchSettings),
    /// `memory_limiter`.
    Memory(MemorySettings),
}

impl Settings for ProcessorSettings {
    fn read(type_name: &str, path: &str, value: Value) -> Result<Self, Problem> {
        if type_name == "batch" {
            let settings: BatchSettings = read(path, value)?;
            settings.check(path)?;
            Ok(Self::Batch(settings))
        } else {
            let settings: MemorySettings = read(path, value)?;
            settings.check(path)?;
            Ok(Self::Memory(settings))
        }
    }
}
