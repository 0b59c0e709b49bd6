//! Load: traces that look real, and sending them, for the demo, the benchmark and tests.

pub mod client;
pub mod drive;
pub mod engine;
pub mod shop;
pub mod sink;
pub mod spool;
pub mod usage;
