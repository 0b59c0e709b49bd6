//! Collector: receives, processes and forwards traces.

pub mod build;
pub mod validate;
