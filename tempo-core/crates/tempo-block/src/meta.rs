//! What the commit log keeps of a block: enough to prune it without reading it, in at most [`MAX_META_BYTES`] of JSON.
//!
//! Not here: which WAL records a block holds. Those belong to the log entry that commits it (`log::Entry::covers`).

use serde::{Deserialize, Serialize};
use tempo_model::TraceId;
use ulid::Ulid;

/// The block format that this version writes.
pub const BLOCK_FORMAT: u16 = 1;

/// The most bytes of JSON that a block's meta takes in the log.
pub const MAX_META_BYTES: usize = 4096;

/// A block, as the commit log knows it. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// Version of the block's files; see [`BLOCK_FORMAT`].
    pub format: u16,
    /// The block's name in the store.
    pub id: Ulid,
    /// The earliest start of a span.
    pub start_ns: u64,
    /// The latest end of a span.
    pub end_ns: u64,
    /// When the first of its records arrived.
    pub first_arrival_ns: u64,
    /// When the last of its records arrived; retention counts from here or from `end_ns`, capped at this.
    pub last_arrival_ns: u64,
    /// Number of spans.
    pub spans: u64,
    /// Number of rows of the trace table: traces, one that has several row groups counted once a row group.
    pub traces: u64,
    /// Number of row groups of `spans.parquet`.
    pub row_groups: u32,
    /// The smallest trace id.
    #[serde(with = "hex_trace_id")]
    pub min_trace_id: TraceId,
    /// The largest trace id.
    #[serde(with = "hex_trace_id")]
    pub max_trace_id: TraceId,
    /// How often its spans were written anew: 0 for a block cut from a head.
    pub level: u8,
    /// Whether some of its traces may go on in other blocks.
    pub continued: bool,
    /// Whether it may hold spans that stand in another block too; readers then deduplicate by span id.
    pub maybe_duplicates: bool,
    /// `spans.parquet`.
    pub spans_file: FileMeta,
    /// `traces.parquet`.
    pub traces_file: FileMeta,
    /// `catalogue`.
    pub catalogue_file: FileMeta,
}

/// What a reader must know of a file to open it with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileMeta {
    /// Length in bytes.
    pub bytes: u64,
    /// Length of the metadata at its end (Parquet: filters, footer, its length and the magic), in bytes; 0 where it has
    /// none.
    pub footer_bytes: u64,
    /// CRC-32C of the last `footer_bytes`, or of the whole file where they are 0; those of the rest of the Parquet files
    /// stand in [`crate::schema::RowGroupMetadata`].
    #[serde(default)]
    pub crc32c: u32,
}

impl BlockMeta {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.spans_file.bytes + self.traces_file.bytes + self.catalogue_file.bytes
    }

    /// Whether a span of it may lie in `start_ns..=end_ns`.
    pub fn overlaps(&self, start_ns: u64, end_ns: u64) -> bool {
        self.start_ns <= end_ns && start_ns <= self.end_ns
    }

    /// Whether the trace may have spans in it, going by the range of ids alone.
    pub fn may_hold(&self, trace: TraceId) -> bool {
        (self.min_trace_id..=self.max_trace_id).contains(&trace)
    }
}

mod hex_trace_id {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use tempo_model::TraceId;

    pub(super) fn serialize<S: Serializer>(id: &TraceId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TraceId, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A meta with the widest values that each field can take.
    pub(crate) fn widest() -> BlockMeta {
        let file = FileMeta {
            bytes: u64::MAX,
            footer_bytes: u64::MAX,
            crc32c: u32::MAX,
        };
        BlockMeta {
            format: BLOCK_FORMAT,
            id: Ulid::from(u128::MAX),
            start_ns: u64::MAX,
            end_ns: u64::MAX,
            first_arrival_ns: u64::MAX,
            last_arrival_ns: u64::MAX,
            spans: u64::MAX,
            traces: u64::MAX,
            row_groups: u32::MAX,
            min_trace_id: TraceId([0; 16]),
            max_trace_id: TraceId([255; 16]),
            level: u8::MAX,
            continued: false,
            maybe_duplicates: false,
            spans_file: file,
            traces_file: file,
            catalogue_file: file,
        }
    }

    #[test]
    fn the_widest_meta_fits_and_comes_back() {
        let meta = widest();
        let json = serde_json::to_string(&meta).unwrap();
        assert!(json.len() <= MAX_META_BYTES, "{} bytes", json.len());
        assert_eq!(serde_json::from_str::<BlockMeta>(&json).unwrap(), meta);
    }

    #[test]
    fn ranges_include_their_ends() {
        let meta = BlockMeta {
            start_ns: 10,
            end_ns: 20,
            ..widest()
        };
        assert!(meta.overlaps(20, 30) && meta.overlaps(0, 10));
        assert!(!meta.overlaps(21, 30) && !meta.overlaps(0, 9));
        assert!(meta.may_hold(TraceId([255; 16])));
    }
}
