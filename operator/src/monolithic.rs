//! TempoMonolithic: a trace store in one pod.

pub mod build;
pub mod validate;
