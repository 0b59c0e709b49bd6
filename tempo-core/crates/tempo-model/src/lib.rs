//! What every part of the engine speaks of: trace and span ids, tenants, the OTLP and Tempo messages, views of encoded
//! OTLP that copy nothing, and JSON in OTLP's and Tempo's forms.
//!
//! Not here: storage, queries, I/O of any kind.

pub mod ids;
pub mod json;
pub mod proto;
pub mod split;
pub mod tenant;
pub mod validate;
pub mod view;
pub mod wire;

pub use ids::{ParseIdError, SpanId, TraceId};
pub use tenant::{TenantId, TenantIdError};
