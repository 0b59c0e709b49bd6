//! Both doors over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../../../tempo-model/tests/it/edits.rs"]
mod edits;
mod fuzz;
mod grpc;
mod http;
mod support;
