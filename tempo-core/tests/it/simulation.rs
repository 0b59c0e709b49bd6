//! The roles together, on one thread, under a simulated clock, on a store and a disk in memory that fail on demand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod compactor;
mod handover;
mod ingester;
mod store;
mod world;
