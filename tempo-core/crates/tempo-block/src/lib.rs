//! Storage of spans: the object store, the write-ahead log, the columnar head, the block format, the commit log that
//! says which blocks live, and the scan that reads heads and blocks alike.
//!
//! Not here: who sends spans, rings, HTTP, limits of tenants.

pub mod catalogue;
pub mod compact;
pub mod head;
pub mod layout;
pub mod log;
pub mod meta;
pub mod ranges;
pub mod read;
pub mod scan;
pub mod schema;
pub mod store;
pub mod verify;
pub mod wal;
pub mod write;
