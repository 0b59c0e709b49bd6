//! A file system in memory that forgets on a crash what was not synced, for simulations and tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::files::{File, FileLock, FileSystem};

/// Files in memory. Clones share the same files. Names are durable at once; contents once synced.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Content>,
    /// How many bytes may still be written before the disk is full.
    free: Option<u64>,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

impl MemoryFiles {
    /// What a power cut does: every file loses what was not synced.
    pub fn crash(&self) {
        for content in self.state.lock().files.values_mut() {
            content.bytes.truncate(content.synced);
        }
    }

    /// Lets `bytes` more be written, then answers that the disk is full; `None` lifts the limit.
    pub fn limit_free_space(&self, bytes: Option<u64>) {
        self.state.lock().free = bytes;
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}

impl FileSystem for MemoryFiles {
    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.state.lock();
        Ok(state
            .files
            .keys()
            .filter(|file| file.parent() == Some(path))
            .cloned()
            .collect())
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.state.lock().files.entry(path.to_owned()).or_default();
        Ok(Box::new(MemoryFile {
            path: path.to_owned(),
            state: Arc::clone(&self.state),
        }))
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        let state = self.state.lock();
        state
            .files
            .get(path)
            .map(|content| content.bytes.clone().into())
            .ok_or_else(|| not_found(path))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Bytes> {
        let whole = self.read(path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
        Ok(whole.slice(start..start.saturating_add(length).min(whole.len())))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.read(path)?.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let content = state.files.remove(from).ok_or_else(|| not_found(from))?;
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state.lock().files.remove(path);
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Always succeeds: which simulated processes are dead, and have let go of their locks, is not known here.
    fn lock(&self, _path: &Path) -> io::Result<Box<dyn FileLock>> {
        Ok(Box::new(NoLock))
    }
}

#[derive(Debug)]
struct NoLock;

impl FileLock for NoLock {}

#[derive(Debug)]
struct MemoryFile {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

impl MemoryFile {
    fn with_content<T>(&self, change: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        self.state
            .lock()
            .files
            .get_mut(&self.path)
            .map(change)
            .ok_or_else(|| not_found(&self.path))
    }
}

impl File for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let fits = state
            .free
            .map_or(bytes.len(), |free| bytes.len().min(free as usize));
        state.free = state.free.map(|free| free - fits as u64);
        let content = state
            .files
            .get_mut(&self.path)
            .ok_or_else(|| not_found(&self.path))?;
        // Like a real disk: what still fits is written, then comes the error.
        content
            .bytes
            .extend_from_slice(bytes.get(..fits).unwrap_or(bytes));
        if fits < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with_content(|content| content.synced = content.bytes.len())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.with_content(|content| {
            content
                .bytes
                .truncate(usize::try_from(length).unwrap_or(usize::MAX));
            content.synced = content.synced.min(content.bytes.len());
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_forgets_what_was_not_synced() {
        let files = MemoryFiles::default();
        let path = Path::new("/wal/1");
        let mut file = files.open_append(path).unwrap();
        file.append(b"kept").unwrap();
        file.sync().unwrap();
        file.append(b"lost").unwrap();
        files.crash();
        assert_eq!(files.read(path).unwrap(), &b"kept"[..]);
    }

    #[test]
    fn a_full_disk_writes_what_fits_and_says_so() {
        let files = MemoryFiles::default();
        files.limit_free_space(Some(2));
        let mut file = files.open_append(Path::new("/a")).unwrap();
        assert_eq!(
            file.append(b"abc").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(files.len(Path::new("/a")).unwrap(), 2);
    }
}
