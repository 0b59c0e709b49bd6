//! The files of a block in the store: opening each with one request, and getting checked bytes of them with as few as
//! can be. What was read is cached; what it cost is counted.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tempo_model::{TenantId, TraceId};
use tempo_traceql::columns::TraceRow;

use super::file::{LeafNumber, SpansFile, chunk_range};
use super::traces::{TraceTable, TracesFile};
use crate::catalogue::Catalogue;
use crate::layout::BlockFile;
use crate::meta::{BlockMeta, FileMeta};
use crate::read::cache::{ChunkKey, DiskKey, Kept};
use crate::read::{ReadError, ReadStatistics, Reader};

/// In the place of a leaf's number: the row group of `traces.parquet`.
const TRACE_TABLE: u32 = u32::MAX;

/// The files of a block.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) reader: Reader,
    pub(super) tenant: TenantId,
    pub(super) meta: Arc<BlockMeta>,
    pub(super) statistics: Arc<ReadStatistics>,
}

/// Where a trace's spans are.
pub(super) struct FoundTrace {
    pub(super) row_group: usize,
    pub(super) ordinal: u32,
    pub(super) row: TraceRow,
}

/// Bytes to be read, with the checksum that they must have.
struct Piece {
    range: Range<u64>,
    checksum: u32,
}

impl Files {
    /// The footer of `spans.parquet`.
    pub(super) async fn spans(&self) -> Result<Arc<SpansFile>, ReadError> {
        let (path, file) = (self.path(BlockFile::Spans), self.meta.spans_file);
        let open = async {
            let tail = self.read_end(BlockFile::Spans, file).await?;
            let decode = {
                let path = path.clone();
                move || SpansFile::decode(path, tail, file.bytes)
            };
            let opened = self.reader.environment.run_cpu("open block", decode).await??;
            let memory = opened.memory();
            Ok((opened, memory))
        };
        self.reader
            .cache
            .metadata(self.meta.id, BlockFile::Spans, open)
            .await
    }

    /// The footer and filters of `traces.parquet`.
    pub(super) async fn traces(&self) -> Result<Arc<TracesFile>, ReadError> {
        let (path, file) = (self.path(BlockFile::Traces), self.meta.traces_file);
        let open = async {
            let tail = self.read_end(BlockFile::Traces, file).await?;
            let opened = TracesFile::decode(path.clone(), tail, file.bytes)?;
            let memory = opened.memory();
            Ok((opened, memory))
        };
        self.reader
            .cache
            .metadata(self.meta.id, BlockFile::Traces, open)
            .await
    }

    /// The catalogue.
    pub(super) async fn catalogue(&self) -> Result<Arc<Catalogue>, ReadError> {
        let path = self.path(BlockFile::Catalogue);
        let open = async {
            let bytes = self
                .read_end(BlockFile::Catalogue, self.meta.catalogue_file)
                .await?;
            let decoded = Catalogue::decode(&bytes);
            let catalogue = decoded.map_err(|source| ReadError::Catalogue {
                file: path.clone(),
                source,
            })?;
            let memory = catalogue.memory();
            Ok((catalogue, memory))
        };
        self.reader
            .cache
            .metadata(self.meta.id, BlockFile::Catalogue, open)
            .await
    }

    /// The column chunks of some leaves of a row group, in their order.
    pub(super) async fn chunks(
        &self,
        file: &SpansFile,
        row_group: usize,
        leaves: &[LeafNumber],
    ) -> Result<Vec<Bytes>, ReadError> {
        let (group, contents) = file.row_group(row_group)?;
        let piece = |leaf: &LeafNumber| {
            let piece = Piece {
                range: chunk_range(group.columns().get(*leaf)?),
                checksum: *contents.checksums.get(*leaf)?,
            };
            Some((self.key(row_group, *leaf as u32), piece))
        };
        self.pieces(BlockFile::Spans, leaves.iter().filter_map(piece).collect())
            .await
    }

    /// The trace table of a row group.
    pub(super) async fn trace_table(&self, row_group: usize) -> Result<Arc<TraceTable>, ReadError> {
        let key = self.key(row_group, TRACE_TABLE);
        if let Some(known) = self.reader.cache.traces(key) {
            return Ok(known);
        }
        let bytes = self.trace_table_bytes(row_group).await?;
        let table = Arc::new(self.traces().await?.table(row_group, bytes)?);
        self.reader.cache.keep(key, Kept::Traces(Arc::clone(&table)));
        Ok(table)
    }

    /// The column chunks of a row group of `traces.parquet`.
    pub(super) async fn trace_table_bytes(&self, row_group: usize) -> Result<Bytes, ReadError> {
        let (spans, traces) = (self.spans().await?, self.traces().await?);
        let (_, contents) = spans.row_group(row_group)?;
        let piece = Piece {
            range: traces.row_group_range(row_group)?,
            checksum: contents.trace_table_checksum,
        };
        let pieces = vec![(self.key(row_group, TRACE_TABLE), piece)];
        let bytes = self.pieces(BlockFile::Traces, pieces).await?.pop();
        Ok(bytes.unwrap_or_default())
    }

    /// The places of traces, but for those in row group `except`.
    pub(super) async fn find(
        &self,
        ids: &[TraceId],
        except: Option<usize>,
    ) -> Result<Vec<FoundTrace>, ReadError> {
        let mut found = Vec::new();
        let mut ids: Vec<TraceId> = ids.iter().copied().filter(|id| self.meta.may_hold(*id)).collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return Ok(found);
        }
        let traces = self.traces().await?;
        let row_groups = (0..traces.row_groups()).filter(|number| Some(*number) != except);
        for row_group in row_groups {
            let held = traces.may_hold(row_group, &ids);
            if held.is_empty() {
                continue;
            }
            let table = self.trace_table(row_group).await?;
            found.extend(table.find(&held).map(|(ordinal, row)| FoundTrace {
                row_group,
                ordinal,
                row: row.clone(),
            }));
        }
        Ok(found)
    }

    pub(super) fn path(&self, file: BlockFile) -> Path {
        file.path(&self.tenant, self.meta.id)
    }

    /// How the cache knows a chunk.
    pub(super) fn key(&self, row_group: usize, leaf: u32) -> ChunkKey {
        ChunkKey {
            block: self.meta.id,
            row_group: row_group as u32,
            leaf,
        }
    }

    /// The metadata at the end of a file, or all of a file that has none.
    pub(super) async fn read_end(&self, file: BlockFile, meta: FileMeta) -> Result<Bytes, ReadError> {
        let length = if meta.footer_bytes == 0 {
            meta.bytes
        } else {
            meta.footer_bytes
        };
        let start = meta.bytes.checked_sub(length).ok_or_else(|| {
            ReadError::damaged(&self.path(file), 0, "the log says that its end is longer than it")
        })?;
        let end = Piece {
            range: start..meta.bytes,
            checksum: meta.crc32c,
        };
        let read = self.checked(file, vec![end]).await?.pop();
        Ok(read.unwrap_or_default())
    }

    /// Chunks, from memory as far as they are there.
    async fn pieces(&self, file: BlockFile, pieces: Vec<(ChunkKey, Piece)>) -> Result<Vec<Bytes>, ReadError> {
        let cache = &self.reader.cache;
        let mut found = vec![Bytes::new(); pieces.len()];
        let (mut places, mut missing) = (Vec::new(), Vec::new());
        for (place, (key, piece)) in found.iter_mut().zip(pieces) {
            if let Some(bytes) = cache.chunk(key).await {
                self.statistics.cached(bytes.len());
                *place = bytes;
            } else {
                places.push((key, place));
                missing.push(piece);
            }
        }
        for ((key, place), bytes) in places.into_iter().zip(self.checked(file, missing).await?) {
            cache.keep_chunk(key, &bytes).await;
            *place = bytes;
        }
        Ok(found)
    }

    /// Bytes that have their checksums, from disk as far as they are there, else with one request to the store.
    async fn checked(&self, file: BlockFile, pieces: Vec<Piece>) -> Result<Vec<Bytes>, ReadError> {
        let (cache, path) = (&self.reader.cache, self.path(file));
        let key = |piece: &Piece| DiskKey {
            block: self.meta.id,
            file,
            start: piece.range.start,
            length: piece.range.end.saturating_sub(piece.range.start),
        };
        let wanted = pieces.iter().map(|piece| (key(piece), piece.checksum));
        let mut found = cache.on_disk(wanted.collect()).await;
        let (mut places, mut missing) = (Vec::new(), Vec::new());
        for (place, piece) in found.iter_mut().zip(&pieces) {
            if let Some(bytes) = place {
                self.statistics.cached(bytes.len());
            } else {
                missing.push(piece.range.clone());
                places.push((place, piece));
            }
        }
        if !missing.is_empty() {
            let read = self.fetch(&path, &missing).await?;
            for ((place, piece), bytes) in places.into_iter().zip(read) {
                check(&path, piece.range.start, &bytes, piece.checksum)?;
                cache.keep_on_disk([(key(piece), bytes.clone())]);
                *place = Some(bytes);
            }
        }
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }

    async fn fetch(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        let store = &self.reader.store;
        let read = match store.get_ranges(path, ranges).await {
            Ok(read) => read,
            Err(error) => return Err(self.explain(path, ranges, error).await),
        };
        self.statistics.request(read.iter().map(Bytes::len).sum());
        for (bytes, range) in read.iter().zip(ranges) {
            if bytes.len() as u64 != range.end - range.start {
                return Err(ReadError::damaged(path, range.start, "it ends before its length"));
            }
        }
        Ok(read)
    }

    /// A file that is shorter than the log says makes stores answer with errors of various kinds.
    async fn explain(&self, path: &Path, ranges: &[Range<u64>], error: object_store::Error) -> ReadError {
        let needed = ranges.iter().map(|range| range.end).max().unwrap_or_default();
        match self.reader.store.head(path).await {
            Ok(object) if object.size < needed => {
                let problem = format!("it is {} bytes long, byte {needed} was to be read", object.size);
                ReadError::damaged(path, object.size, problem)
            }
            _ => ReadError::of_store(path, error),
        }
    }
}

fn check(path: &Path, start: u64, bytes: &[u8], stored: u32) -> Result<(), ReadError> {
    let computed = crc32c::crc32c(bytes);
    if computed == stored {
        return Ok(());
    }
    let problem = format!(
        "the checksum of {} bytes is {computed:08x}, {stored:08x} was written",
        bytes.len()
    );
    Err(ReadError::damaged(path, start, problem))
}
