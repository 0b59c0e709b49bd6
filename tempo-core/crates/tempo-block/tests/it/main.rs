//! Integration tests of tempo-block, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../tempo-model/tests/it/arbitrary.rs"]
mod arbitrary;
mod compact;
#[path = "../../../tempo-model/tests/it/edits.rs"]
mod edits;
mod fuzz;
mod head;
mod log;
mod log_model;
mod log_open;
mod read;
mod scan;
mod store;
mod wal;
mod wal_formats;
mod write;

// The cases of TraceQL's own tests, which take their batches from `crate::memory`: here that is a head.
#[path = "../../../tempo-traceql/tests/it/conformance.rs"]
mod conformance;
#[path = "../../../tempo-traceql/tests/it/dataset.rs"]
mod dataset;
mod memory;
#[path = "../../../tempo-traceql/tests/it/metrics.rs"]
mod metrics;
mod otlp;
#[path = "../../../tempo-traceql/tests/it/search.rs"]
mod search;
#[path = "../../../tempo-traceql/tests/it/tags.rs"]
mod tags;
