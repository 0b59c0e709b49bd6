//! Integration tests of tempo-config, in one binary.

#[path = "../../../tempo-model/tests/it/edits.rs"]
mod edits;
mod fuzz;
