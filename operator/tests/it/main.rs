//! Integration tests of the operator: what it generates, and what it makes of the sample resources.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod cluster;
mod collectors;
mod conversation;
mod crds;
mod diff;
#[path = "../../../tempo-core/crates/tempo-model/tests/it/edits.rs"]
mod edits;
mod fuzz;
mod leadership;
mod lifecycle;
mod matching;
mod operator_cases;
#[path = "../../../e2e/src/ports.rs"]
mod ports;
mod process;
mod samples;
mod samples_in_cluster;
mod scale;
mod steady;
mod volumes;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
