//! Helpers for user stories: the built binaries, a running standalone, and the HTTP API as a user calls it.
//!
//! Nothing of the product is linked in: a story sees what a user sees.

mod api;
mod binaries;
mod engine;
mod minio;
mod ports;
mod proxy;
mod python;
mod standalone;

pub use api::{Api, eventually};
pub use binaries::{binary, repository, tool};
pub use engine::Engine;
pub use minio::{Certificate, Minio, MinioOptions};
pub use proxy::{Proxy, Way};
pub use python::send_traces;
pub use standalone::{Standalone, is_running};
