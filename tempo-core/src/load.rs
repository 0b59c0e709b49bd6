//! Load: traces that look real, for the demo, the benchmark and tests.

pub mod shop;
