//! The roles together, on one thread, under a simulated clock, on a store and a disk in memory that fail on demand.

mod compactor;
mod engine;
mod handover;
mod ingester;
mod limits;
mod store;
mod world;
