//! Fewer and better files: which blocks are put together or given up, and how.
//!
//! ```text
//! live blocks ─ policy::plan ─► jobs ─ run (copy or merge) ─► output block ─ caller commits: add output, remove inputs
//! live blocks ─ Retention::expired ─► ids ─ caller commits: remove
//! ```
//! Not here: the commit, which makes it safe (`log`), and who compacts which tenant.

pub mod policy;
mod retention;
mod run;

pub use policy::{Job, Method, Policy};
pub use retention::Retention;
pub use run::{CompactError, Options, Pace, run};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempo_model::TraceId;

    use crate::meta::{BLOCK_FORMAT, BlockMeta, FileMeta};

    /// A block that arrived at a time, with a span a byte.
    pub(super) fn meta(id: u128, arrival_ns: u64, bytes: u64, level: u8) -> Arc<BlockMeta> {
        Arc::new(BlockMeta {
            format: BLOCK_FORMAT,
            id: id.into(),
            start_ns: arrival_ns,
            end_ns: arrival_ns,
            first_arrival_ns: arrival_ns,
            last_arrival_ns: arrival_ns,
            spans: bytes,
            traces: 1,
            row_groups: 1,
            min_trace_id: TraceId([0; 16]),
            max_trace_id: TraceId([255; 16]),
            level,
            continued: false,
            maybe_duplicates: false,
            spans_file: FileMeta {
                bytes,
                footer_bytes: 0,
                crc32c: 0,
            },
            traces_file: FileMeta::default(),
            catalogue_file: FileMeta::default(),
        })
    }
}
