//! What is kept of blocks on a local disk: ranges of their files as they were read from the store, each in a file of its
//! own, named after what it is. It outlives the process.
//!
//! It is a cache and no more: an entry that is not what was written is a miss and removed, a disk that is full or broken
//! keeps nothing new, and none of it is an error. Block files never change, so nothing here is ever out of date.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tempo_runtime::{Environment, FileLock};
use tokio::sync::Semaphore;
use ulid::Ulid;

use crate::layout::BlockFile;

/// What a file takes of a disk, at least, and in steps of which it grows.
const DISK_PAGE: u64 = 4096;
/// KB that may wait to be written; what comes while so much waits is not kept.
const MAX_WAITING_KB: usize = 16 << 10;
/// The end of the name of a file that is being written.
const PARTIAL: &str = ".part";

/// Where blocks are cached on disk, and how much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCacheSettings {
    /// A folder that no other process uses for this.
    pub folder: PathBuf,
    /// What its files may take, in bytes.
    pub max_bytes: u64,
}

/// A folder that cannot be a cache.
#[derive(Debug, thiserror::Error)]
#[error("cache blocks in {}: {source}; give a folder that this process alone can read and write", folder.display())]
pub struct DiskCacheError {
    folder: PathBuf,
    source: io::Error,
}

/// A range of a file of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DiskKey {
    pub(crate) block: Ulid,
    pub(crate) file: BlockFile,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl DiskKey {
    fn file_name(&self) -> String {
        format!(
            "{}-{}-{}-{}",
            self.block,
            self.start,
            self.length,
            self.file.name()
        )
    }

    /// `None` for files that are not the cache's.
    fn of_file_name(name: &str) -> Option<Self> {
        let mut parts = name.splitn(4, '-');
        let block = parts.next()?.parse().ok()?;
        let (start, length) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let file = parts.next()?;
        Some(Self {
            block,
            file: BlockFile::ALL.into_iter().find(|known| known.name() == file)?,
            start,
            length,
        })
    }

    fn cost(&self) -> u64 {
        self.length.div_ceil(DISK_PAGE).max(1).saturating_mul(DISK_PAGE)
    }
}

/// Which files there are, in the order of their last use.
#[derive(Debug, Default)]
struct Index {
    used: HashMap<DiskKey, u64>,
    by_use: BTreeMap<u64, DiskKey>,
    uses: u64,
    /// What the files take, those that are being written among them.
    bytes: u64,
}

impl Index {
    /// Notes a use; whether the file is there.
    fn touch(&mut self, key: &DiskKey) -> bool {
        let Some(used) = self.used.get_mut(key) else {
            return false;
        };
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, *key);
        true
    }

    /// Reserves room for a file, and gives those that must go for it; `None` when there is no need or no room.
    fn reserve(&mut self, key: &DiskKey, max_bytes: u64) -> Option<Vec<DiskKey>> {
        if self.used.contains_key(key) || key.cost() > max_bytes {
            return None;
        }
        self.bytes += key.cost();
        let mut gone = Vec::new();
        while self.bytes > max_bytes
            && let Some((_, key)) = self.by_use.pop_first()
        {
            self.used.remove(&key);
            self.bytes -= key.cost();
            gone.push(key);
        }
        Some(gone)
    }

    /// A file is there for which room was reserved.
    fn add(&mut self, key: DiskKey) {
        self.uses += 1;
        if let Some(before) = self.used.insert(key, self.uses) {
            // Two have read and written the same at the same time.
            self.by_use.remove(&before);
            self.release(&key);
        }
        self.by_use.insert(self.uses, key);
    }

    /// A file for which room was reserved is not there.
    fn release(&mut self, key: &DiskKey) {
        self.bytes -= key.cost();
    }

    fn remove(&mut self, key: &DiskKey) {
        if let Some(used) = self.used.remove(key) {
            self.by_use.remove(&used);
            self.release(key);
        }
    }
}

/// A folder of ranges of block files.
#[derive(Debug)]
pub(crate) struct DiskCache {
    environment: Environment,
    settings: DiskCacheSettings,
    index: Mutex<Index>,
    waiting: Arc<Semaphore>,
    has_complained: AtomicBool,
    _lock: Box<dyn FileLock>,
}

impl DiskCache {
    /// Takes up what an earlier process left in the folder.
    pub(crate) async fn open(
        environment: &Environment,
        settings: DiskCacheSettings,
    ) -> Result<Arc<Self>, DiskCacheError> {
        let (seams, folder) = (environment.clone(), settings.folder.clone());
        let opened = environment.run_cpu("open cache", move || {
            Self::open_now(seams, settings).map(Arc::new)
        });
        let opened = opened
            .await
            .unwrap_or_else(|failed| Err(io::Error::other(failed)));
        opened.map_err(|source| DiskCacheError { folder, source })
    }

    fn open_now(environment: Environment, settings: DiskCacheSettings) -> io::Result<Self> {
        let files = &environment.files;
        files.create_dir_all(&settings.folder)?;
        let lock = files.lock(&settings.folder.join("lock"))?;
        let (mut index, mut gone) = (Index::default(), Vec::new());
        for path in files.list(&settings.folder)? {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if let Some(key) = DiskKey::of_file_name(name) {
                match index.reserve(&key, settings.max_bytes) {
                    Some(others) => {
                        gone.extend(others);
                        index.add(key);
                    }
                    None => gone.push(key),
                }
            } else if let Some(whole) = name.strip_suffix(PARTIAL)
                && DiskKey::of_file_name(whole).is_some()
            {
                files.remove_file(&path)?;
            }
        }
        let cache = Self {
            environment,
            settings,
            index: Mutex::new(index),
            waiting: Arc::new(Semaphore::new(MAX_WAITING_KB)),
            has_complained: AtomicBool::new(false),
            _lock: lock,
        };
        cache.remove_files(&gone);
        Ok(cache)
    }

    /// What is here of some ranges, each with the checksum (CRC-32C) that it must have.
    pub(crate) async fn get(self: &Arc<Self>, wanted: Vec<(DiskKey, u32)>) -> Vec<Option<Bytes>> {
        let is_here = {
            let mut index = self.index.lock();
            let touched = wanted.iter().map(|(key, _)| index.touch(key));
            touched.collect::<Vec<_>>()
        };
        let nothing = vec![None; wanted.len()];
        if !is_here.contains(&true) {
            return nothing;
        }
        let this = Arc::clone(self);
        let read = self.environment.run_cpu("read cache", move || {
            let entries = is_here.into_iter().zip(wanted);
            let read = |(is_here, (key, checksum)): (bool, (DiskKey, u32))| {
                is_here.then(|| this.read(&key, checksum)).flatten()
            };
            entries.map(read).collect()
        });
        read.await.unwrap_or(nothing)
    }

    fn read(&self, key: &DiskKey, checksum: u32) -> Option<Bytes> {
        let bytes = self.environment.files.read(&self.path(key)).ok();
        let sound =
            bytes.filter(|bytes| bytes.len() as u64 == key.length && crc32c::crc32c(bytes) == checksum);
        if sound.is_none() {
            self.index.lock().remove(key);
            self.remove_files(std::slice::from_ref(key));
        }
        sound
    }

    /// Writes ranges in the background, unless too much waits to be written already.
    pub(crate) fn keep(self: &Arc<Self>, pieces: Vec<(DiskKey, Bytes)>) {
        let bytes: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        let permits = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.waiting).try_acquire_many_owned(permits) else {
            return;
        };
        let this = Arc::clone(self);
        self.environment.spawn("keep in cache", async move {
            let (environment, writer) = (this.environment.clone(), this);
            let written = environment.run_cpu("write cache", move || {
                let _room = room;
                for (key, bytes) in &pieces {
                    writer.write(key, bytes);
                }
            });
            // A process that ends keeps nothing more.
            let _ = written.await;
        });
    }

    fn write(&self, key: &DiskKey, bytes: &[u8]) {
        let Some(gone) = self.index.lock().reserve(key, self.settings.max_bytes) else {
            return;
        };
        self.remove_files(&gone);
        let path = self.path(key);
        let partial = with_suffix(&path, PARTIAL);
        match self.write_file(&partial, &path, bytes) {
            Ok(()) => {
                self.index.lock().add(*key);
                self.has_complained.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                self.index.lock().release(key);
                // What is left of it goes at the next start at the latest.
                let _ = self.environment.files.remove_file(&partial);
                if !self.has_complained.swap(true, Ordering::Relaxed) {
                    let folder = self.settings.folder.display();
                    tracing::warn!(%error, "nothing new is kept in the block cache in {folder}");
                }
            }
        }
    }

    fn write_file(&self, partial: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let files = &self.environment.files;
        // One that was left behind would be appended to.
        files.remove_file(partial)?;
        files.open_append(partial)?.append(bytes)?;
        files.rename(partial, path)
    }

    fn remove_files(&self, keys: &[DiskKey]) {
        for key in keys {
            // One that stays is found, and its bytes counted, at the next start.
            let _ = self.environment.files.remove_file(&self.path(key));
        }
    }

    fn path(&self, key: &DiskKey) -> PathBuf {
        self.settings.folder.join(key.file_name())
    }

    /// Bytes of disk that are taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.index.lock().bytes
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests;
