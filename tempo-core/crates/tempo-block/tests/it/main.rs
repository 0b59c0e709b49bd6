//! Integration tests of tempo-block, in one binary.

mod wal;
mod wal_formats;
