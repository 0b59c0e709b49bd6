//! What is kept of blocks: decoded metadata, the bytes of column chunks, and what of them is decoded once for many queries
//! in memory, and, where there is a folder for it, what was read from the store on a local disk (`disk`). Each is limited
//! by bytes.

mod disk;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use moka::future::Cache;
use tempo_runtime::Environment;
use ulid::Ulid;

pub use disk::{DiskCacheError, DiskCacheSettings};

use self::disk::DiskCache;
pub(crate) use self::disk::DiskKey;
use super::ReadError;
use super::parquet::{TraceTable, Words};
use crate::layout::BlockFile;

/// How much is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes of decoded footers, trace tables and catalogues.
    pub metadata_bytes: u64,
    /// Bytes of column chunks; 0 keeps none, which suits a local folder, as the operating system caches its files.
    pub chunk_bytes: u64,
    /// Bytes of decoded dictionaries and trace tables, which most queries start with; 0 keeps none.
    pub decoded_bytes: u64,
}

impl Default for CacheSettings {
    /// 64 MB of metadata, 64 MB of column chunks, 64 MB of dictionaries and trace tables.
    fn default() -> Self {
        Self {
            metadata_bytes: 64 << 20,
            chunk_bytes: 64 << 20,
            decoded_bytes: 64 << 20,
        }
    }
}

/// A column chunk of a block: row group and leaf column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ChunkKey {
    pub(crate) block: Ulid,
    pub(crate) row_group: u32,
    pub(crate) leaf: u32,
}

/// What is decoded of a row group.
#[derive(Clone)]
pub(crate) enum Kept {
    /// The dictionary of a chunk.
    Words(Arc<Words>),
    /// The trace table.
    Traces(Arc<TraceTable>),
}

impl Kept {
    fn memory(&self) -> usize {
        match self {
            Self::Words(words) => words.memory(),
            Self::Traces(table) => table.memory(),
        }
    }
}

#[derive(Clone)]
struct Metadata {
    value: Arc<dyn Any + Send + Sync>,
    bytes: u32,
}

/// The cache of a process. Cheap to clone.
#[derive(Clone)]
pub struct BlockCache {
    metadata: Cache<(Ulid, BlockFile), Metadata>,
    chunks: Cache<ChunkKey, Bytes>,
    /// Asked where nothing may wait.
    decoded: moka::sync::Cache<ChunkKey, Kept>,
    disk: Option<Arc<DiskCache>>,
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlockCache")
            .field("metadata_bytes", &self.metadata.weighted_size())
            .field("chunk_bytes", &self.chunks.weighted_size())
            .field("decoded_bytes", &self.decoded.weighted_size())
            .field("disk_bytes", &self.disk.as_ref().map(|disk| disk.bytes()))
            .finish_non_exhaustive()
    }
}

impl BlockCache {
    /// An empty cache.
    pub fn new(settings: CacheSettings) -> Self {
        /// What an entry costs besides its value, about.
        const ENTRY: u32 = 128;
        let chunk_weight = |_: &ChunkKey, chunk: &Bytes| (chunk.len() as u32).saturating_add(ENTRY);
        Self {
            metadata: Cache::builder()
                .max_capacity(settings.metadata_bytes)
                .weigher(|_, kept: &Metadata| kept.bytes.saturating_add(ENTRY))
                .build(),
            chunks: Cache::builder()
                .max_capacity(settings.chunk_bytes)
                .weigher(chunk_weight)
                .build(),
            decoded: moka::sync::Cache::builder()
                .max_capacity(settings.decoded_bytes)
                .weigher(|_, kept: &Kept| (kept.memory() as u32).saturating_add(ENTRY))
                .build(),
            disk: None,
        }
    }

    /// The same, with what is in a folder and will be.
    pub async fn with_disk(
        self,
        environment: &Environment,
        settings: DiskCacheSettings,
    ) -> Result<Self, DiskCacheError> {
        Ok(Self {
            disk: Some(DiskCache::open(environment, settings).await?),
            ..self
        })
    }

    /// What the disk has of ranges, each with the checksum that it must have.
    pub(crate) async fn on_disk(&self, wanted: Vec<(DiskKey, u32)>) -> Vec<Option<Bytes>> {
        match &self.disk {
            Some(disk) => disk.get(wanted).await,
            None => vec![None; wanted.len()],
        }
    }

    /// Keeps what was read from the store on disk.
    pub(crate) fn keep_on_disk(&self, pieces: impl IntoIterator<Item = (DiskKey, Bytes)>) {
        if let Some(disk) = &self.disk {
            disk.keep(pieces.into_iter().collect());
        }
    }

    /// The decoded metadata of a file, made by `load` (which also says how many bytes it takes) if it is not here.
    /// Several who ask at once wait for one.
    pub(crate) async fn metadata<T: Send + Sync + 'static>(
        &self,
        block: Ulid,
        file: BlockFile,
        load: impl Future<Output = Result<(T, usize), ReadError>>,
    ) -> Result<Arc<T>, ReadError> {
        let make = async {
            let (value, bytes) = load.await?;
            Ok(Metadata {
                value: Arc::new(value),
                bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            })
        };
        let kept = self.metadata.try_get_with((block, file), make).await;
        let kept = kept.map_err(ReadError::Shared)?;
        let found = format!("{} of block {block} cached as another type", file.name());
        kept.value
            .downcast()
            .map_err(|_| ReadError::damaged(&file.name().into(), 0, found))
    }

    pub(crate) async fn chunk(&self, key: ChunkKey) -> Option<Bytes> {
        self.chunks.get(&key).await
    }

    /// The decoded dictionary of a column chunk.
    pub(crate) fn words(&self, key: ChunkKey) -> Option<Arc<Words>> {
        match self.decoded.get(&key)? {
            Kept::Words(words) => Some(words),
            Kept::Traces(_) => None,
        }
    }

    /// The decoded trace table of a row group.
    pub(crate) fn traces(&self, key: ChunkKey) -> Option<Arc<TraceTable>> {
        match self.decoded.get(&key)? {
            Kept::Traces(table) => Some(table),
            Kept::Words(_) => None,
        }
    }

    pub(crate) fn keep(&self, key: ChunkKey, kept: Kept) {
        if self.decoded.policy().max_capacity() != Some(0) {
            self.decoded.insert(key, kept);
        }
    }

    pub(crate) async fn keep_chunk(&self, key: ChunkKey, chunk: &Bytes) {
        if self.chunks.policy().max_capacity() != Some(0) {
            // A copy of its own: a slice would keep all of the answer that it came in.
            self.chunks.insert(key, Bytes::copy_from_slice(chunk)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn metadata_is_loaded_once_and_errors_are_not_kept() {
        let cache = BlockCache::new(CacheSettings::default());
        let block = Ulid::from(1_u128);
        let gone = || ReadError::Gone { file: "x".into() };
        let failed = cache
            .metadata::<u32>(block, BlockFile::Spans, async { Err(gone()) })
            .await;
        assert!(failed.unwrap_err().is_gone());
        for answer in [7, 8] {
            let kept = cache
                .metadata(block, BlockFile::Spans, async { Ok((answer, 4)) })
                .await;
            assert_eq!(*kept.unwrap(), 7);
        }
    }

    #[tokio::test]
    async fn chunks_are_limited_by_bytes() {
        let cache = BlockCache::new(CacheSettings {
            metadata_bytes: 0,
            chunk_bytes: 1000,
            decoded_bytes: 0,
        });
        let key = |leaf| ChunkKey {
            block: Ulid::from(1_u128),
            row_group: 0,
            leaf,
        };
        for leaf in 0..100 {
            cache.keep_chunk(key(leaf), &Bytes::from(vec![0; 100])).await;
        }
        cache.chunks.run_pending_tasks().await;
        assert!(cache.chunks.weighted_size() <= 1000);
        assert!(cache.chunks.entry_count() > 0);
    }
}
