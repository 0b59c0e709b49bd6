//! Tempo's query API over real roles, with blocks and WAL in memory.

mod golden;
mod many_blocks;
mod refusals;
mod several_parts;
mod spread;
mod stack;
mod tenants;
