//! The engine: roles that take spans in, keep them and answer queries, and the binary `tempo` that plays them.
//!
//! Not here: formats of storage (`tempo-block`), TraceQL (`tempo-traceql`), the OTLP doors (`tempo-receiver`).

pub mod answer;
pub mod api;
pub mod app;
pub mod backoff;
pub mod cli;
pub mod commit_logs;
pub mod compactor;
pub mod distributor;
pub mod frontend;
pub mod ingester;
pub mod limits;
pub mod load;
pub mod querier;
pub mod rpc;
pub mod target;
pub mod tenancy;
