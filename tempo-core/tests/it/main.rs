//! The binary `tempo` as users run it: a process on loopback, with its data in a folder of its own. The query API is
//! tested without a process: its routes over real roles, with blocks and WAL in memory. `simulation` has the roles in a
//! world where everything fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and a helper of tests takes what reads well"
)]

mod api;
mod configuration;
#[path = "../../crates/tempo-traceql/tests/it/conformance.rs"]
mod conformance;
#[path = "../../crates/tempo-traceql/tests/it/dataset.rs"]
#[allow(dead_code, reason = "other tests read more of it")]
mod dataset;
mod doors;
mod durability;
mod load;
#[path = "../../crates/tempo-block/tests/it/otlp.rs"]
mod otlp;
mod pages;
mod roles;
mod simulation;
mod store;
mod support;
mod tools;
mod traces;
