//! The Collector: receives traces, batches them, and forwards them, as OpenTelemetry Collector YAML says.
//!
//! ```text
//! receivers ─► fan-out ─► processors ─► fan-out ─► exporters (queue, retry, sender)
//!   otlp      (per pipeline)  batch, memory_limiter      otlp_grpc, otlp_http, debug
//! ```
//!
//! Every part is a [`tempo_receiver::TraceConsumer`], and spans stay encoded all the way. Not here: storage, tenants.

pub mod cli;
pub mod config;
pub mod exporter;
pub mod health;
pub mod metrics;
pub mod pipeline;
pub mod processor;
pub mod receiver;
mod service;

pub use metrics::Metrics;
pub use service::{Service, ServiceError};
