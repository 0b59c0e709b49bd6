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
mod doors;
mod durability;
mod load;
mod pages;
mod roles;
mod simulation;
mod store;
mod support;
mod tools;
mod traces;
