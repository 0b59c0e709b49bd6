//! Writing blocks: a snapshot of a head becomes `spans.parquet`, `traces.parquet` and `catalogue` in the store.
//!
//! ```text
//! snapshot ─► source: spans by trace ─► plan: row groups ─► rows: their order ─► row_group ─► chunk ─► file ─► upload
//! ```
//! One row group is encoded at a time, as one piece of CPU work, and sent before the next one.
//!
//! Not here: the commit that makes the block live (`log`), names and types of columns (`schema`).

mod attributes;
mod catalogue;
mod chunk;
mod columns;
mod file;
mod lists;
mod plan;
mod row_group;
mod rows;
mod source;
mod texts;
mod traces;
mod tree;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use tempo_model::wire::WireError;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::{Environment, TaskFailed};
use ulid::Ulid;

use self::attributes::AttributePlan;
use self::file::ParquetFile;
use self::rows::Rows;
use self::source::Source;
use self::upload::Upload;
use crate::catalogue::CatalogueError;
use crate::head::HeadSnapshot;
use crate::layout::BlockFile;
use crate::meta::{BLOCK_FORMAT, BlockMeta, FileMeta};
use crate::schema::{self, FileMetadata, MAX_ROW_GROUP_ROWS, MetadataError, RowGroupMetadata};
use crate::store::{Store, StoreError};

/// A block could not be written. Nothing lives of it; the caller may try again under another id.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store did not take a file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are no spans.
    #[error("write a block: there are no spans to write")]
    Empty,
    /// A file cannot be encoded.
    #[error("encode a block: {0}")]
    Encode(#[from] ParquetError),
    /// A file's metadata cannot be encoded.
    #[error("encode a block: {0}")]
    Metadata(#[from] MetadataError),
    /// The catalogue cannot be encoded.
    #[error("encode a block: {0}")]
    Catalogue(#[from] CatalogueError),
    /// An attribute's value is no OTLP.
    #[error("encode a block: read an attribute: {0}")]
    Value(#[from] WireError),
    /// The work was given up.
    #[error("encode a block: {0}")]
    Task(#[from] TaskFailed),
}

/// What is said of a block besides its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOptions {
    /// The block's name.
    pub id: Ulid,
    /// How often its spans were written anew.
    pub level: u8,
    /// Whether it may hold spans that stand in another block too.
    pub maybe_duplicates: bool,
    /// The most rows of a row group with more than one trace.
    pub max_row_group_rows: usize,
}

impl BlockOptions {
    /// A block cut from a head.
    pub fn of_head(id: Ulid) -> Self {
        Self {
            id,
            level: 0,
            maybe_duplicates: false,
            max_row_group_rows: MAX_ROW_GROUP_ROWS,
        }
    }
}

/// Writes the files of a block. The caller commits the meta that comes back, with `uploaded_since` taken before.
pub async fn block(
    environment: &Environment,
    store: &Store,
    tenant: &TenantId,
    snapshot: &Arc<HeadSnapshot>,
    options: BlockOptions,
) -> Result<Arc<BlockMeta>, WriteError> {
    let begin = {
        let snapshot = Arc::clone(snapshot);
        move || Encoder::begin(snapshot, options)
    };
    let mut encoder = environment.run_cpu("plan a block", begin).await??;
    let mut upload = Upload::new(store, tenant, options.id, BlockFile::Spans);
    while encoder.next < encoder.groups.len() {
        let piece = move || encoder.row_group();
        let (more, bytes) = environment.run_cpu("encode a row group", piece).await??;
        encoder = more;
        upload.put(bytes).await?;
    }
    let finished = environment
        .run_cpu("finish a block", || encoder.finish())
        .await??;
    upload.put(finished.spans).await?;
    upload.finish().await?;
    for (file, bytes) in [
        (BlockFile::Traces, finished.traces),
        (BlockFile::Catalogue, finished.catalogue),
    ] {
        let mut upload = Upload::new(store, tenant, options.id, file);
        upload.put(bytes).await?;
        upload.finish().await?;
    }
    Ok(Arc::new(finished.meta))
}

/// A block that is being encoded.
struct Encoder {
    source: Source,
    options: BlockOptions,
    /// The traces of each row group.
    groups: Vec<Vec<usize>>,
    /// The row group that comes next.
    next: usize,
    plan: AttributePlan,
    spans: ParquetFile,
    traces: ParquetFile,
    /// What is written of `traces`.
    trace_tables: Vec<u8>,
    row_groups: Vec<RowGroupMetadata>,
    continued: bool,
}

/// A block but for the row groups of `spans.parquet`.
struct Finished {
    /// The end of the file.
    spans: Bytes,
    traces: Bytes,
    catalogue: Bytes,
    meta: BlockMeta,
}

impl Encoder {
    fn begin(snapshot: Arc<HeadSnapshot>, options: BlockOptions) -> Result<Self, WriteError> {
        let source = Source::of(snapshot).ok_or(WriteError::Empty)?;
        let plan = AttributePlan::of(&source.snapshot);
        Ok(Self {
            groups: plan::row_groups(&source.traces, source.arrivals_ns, options.max_row_group_rows),
            source,
            options,
            next: 0,
            spans: ParquetFile::new(&schema::spans_schema(&plan.columns))?,
            plan,
            traces: ParquetFile::new(&schema::traces_schema())?,
            trace_tables: Vec::new(),
            row_groups: Vec::new(),
            continued: false,
        })
    }

    /// The next row group of `spans.parquet`.
    fn row_group(mut self) -> Result<(Self, Bytes), WriteError> {
        let number = self.next;
        let traces = self.groups.get_mut(number).map(std::mem::take);
        self.next += 1;
        let rows = Rows::of(&self.source, traces.unwrap_or_default());
        let mut encoded = row_group::encode(&self.source, &rows, &self.plan, self.spans.schema())?;
        let (table, goes_on) = traces::encode(&self.source, &rows, number, self.traces.schema())?;
        drop(rows);
        let chunks = table.iter().map(|chunk| &chunk.bytes);
        let checksum = chunks.fold(0, |checksum, bytes| crc32c::crc32c_append(checksum, bytes));
        encoded.metadata.trace_table_checksum = checksum;
        self.continued |= goes_on;
        self.row_groups.push(encoded.metadata);
        self.trace_tables
            .extend_from_slice(&self.traces.row_group(table)?);
        let bytes = self.spans.row_group(encoded.chunks)?;
        Ok((self, bytes))
    }

    fn finish(self) -> Result<Finished, WriteError> {
        let metadata = FileMetadata {
            version: schema::VERSION,
            columns: self.plan.columns,
            row_groups: self.row_groups,
        };
        let (spans, spans_file) = self.spans.finish(Some(metadata.to_key_value()?))?;
        let mut traces = self.trace_tables;
        let (end, traces_file) = self.traces.finish(None)?;
        traces.extend_from_slice(&end);
        let catalogue = catalogue::of(&self.source.snapshot).encode()?;
        let catalogue_file = FileMeta {
            bytes: catalogue.len() as u64,
            footer_bytes: 0,
            crc32c: crc32c::crc32c(&catalogue),
        };
        let ids = || self.source.traces.iter().map(|trace| TraceId(trace.id));
        let summary = self.source.snapshot.summary();
        let (first_arrival_ns, last_arrival_ns) = self.source.arrivals_ns;
        let meta = BlockMeta {
            format: BLOCK_FORMAT,
            id: self.options.id,
            start_ns: summary.start_ns,
            end_ns: summary.end_ns,
            first_arrival_ns,
            last_arrival_ns,
            spans: summary.spans,
            traces: self.source.traces.len() as u64,
            row_groups: self.groups.len() as u32,
            min_trace_id: ids().min().unwrap_or(TraceId([0; 16])),
            max_trace_id: ids().max().unwrap_or(TraceId([0; 16])),
            level: self.options.level,
            continued: self.continued,
            maybe_duplicates: self.options.maybe_duplicates,
            spans_file,
            traces_file,
            catalogue_file,
        };
        Ok(Finished {
            spans,
            traces: traces.into(),
            catalogue: catalogue.into(),
            meta,
        })
    }
}
