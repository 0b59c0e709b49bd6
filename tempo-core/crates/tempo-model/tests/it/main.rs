//! Properties of tempo-model: what prost says about a request is what the views, the split and the JSON forms say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod arbitrary;
mod edits;
mod fuzz;
mod json;
mod split;
mod views;
