//! The binary `tempo` as users run it: a process on loopback, with its data in a folder of its own.

mod configuration;
mod durability;
mod pages;
mod roles;
mod store;
mod support;
mod traces;
