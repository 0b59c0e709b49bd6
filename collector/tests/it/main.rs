//! The Collector over real sockets: clients, pipelines, and backends that fail and come back.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod batching;
mod configuration;
mod delivery;
#[path = "../../../tempo-core/crates/tempo-model/tests/it/edits.rs"]
mod edits;
mod failures;
mod fuzz;
#[path = "../../../e2e/src/ports.rs"]
mod ports;
mod process;
mod support;
mod telemetry;
mod tls;
