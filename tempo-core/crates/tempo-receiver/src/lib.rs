//! The OTLP doors, shared by the distributor and the Collector: gRPC and HTTP in, one encoded request out.
//!
//! ```text
//! OTLP/gRPC ─ grpc ─┐
//!                   ├─► Door (limits, one walk over the payload) ─► TraceConsumer
//! OTLP/HTTP ─ http ─┘
//! ```
//!
//! A payload stays in its encoded form: the doors check that it is well formed and count its spans, no more. Not here:
//! tenants, limits per tenant, and what happens to the spans.

mod consumer;
mod door;
pub mod grpc;
pub mod http;
mod packing;
pub mod raw_codec;

pub use consumer::{ConsumeError, ErrorKind, Taken, TraceBatch, TraceConsumer};
pub use door::{Door, DoorSettings};
