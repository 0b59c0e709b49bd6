//! Protobuf messages, written as derives of `prost` so that no compiler of .proto files is needed.
//!
//! Sources: opentelemetry-proto v1.7 (`common/v1`, `resource/v1`, `trace/v1`, `collector/trace/v1`) and Tempo's public
//! query API (`tempopb`), by field number.

#![allow(missing_docs)] // The fields are documented where their meaning is defined: in the sources named above.

pub mod common;
pub mod resource;
pub mod tempopb;
pub mod trace;
