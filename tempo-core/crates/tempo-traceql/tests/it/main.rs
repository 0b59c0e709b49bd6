//! TraceQL against the conformance data, and properties of the parser.
#![allow(clippy::expect_used)] // Helpers of tests fail them.

mod conformance;
mod dataset;
mod departures;
#[path = "../../../tempo-model/tests/it/edits.rs"]
mod edits;
mod fuzz;
mod memory;
mod metrics;
mod parse;
mod search;
mod tags;
