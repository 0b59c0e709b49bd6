//! TempoStack: Tempo's components as separate workloads.

pub mod build;
pub mod component;
pub mod validate;
