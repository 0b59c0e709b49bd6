//! Integration tests of tempo-block, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod log;
mod log_model;
mod store;
mod wal;
mod wal_formats;
