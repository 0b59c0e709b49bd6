//! The file seam: what the WAL needs of a file system, and nothing more. Calls block; run them on the CPU pool.

use std::fmt::Debug;
use std::io;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// A folder tree that survives a crash as far as it was synced.
pub trait FileSystem: Debug + Send + Sync + 'static {
    /// Makes a folder and those above it; one that is there already is fine.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The entries of a folder, sorted by name, as full paths.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Opens a file for appending, making it if it is not there.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Bytes>;

    /// Reads `length` bytes from `offset`; fewer at the end of the file.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Bytes>;

    /// The length of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// Renames a file or folder, replacing a file that is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; one that is not there is fine.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a folder (created, renamed and removed names) durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Locks a file against other processes, making it if it is not there; [`io::ErrorKind::WouldBlock`] when it is
    /// locked already.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;
}

/// A lock that is held until it is dropped or the process ends.
pub trait FileLock: Debug + Send + Sync + 'static {}

impl FileLock for std::fs::File {}

/// A file open for appending.
pub trait File: Debug + Send + 'static {
    /// Appends all of `bytes`. After an error the end of the file is unknown: truncate it or leave the file.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was appended durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct LocalFiles;

impl FileSystem for LocalFiles {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(LocalFile(
            std::fs::OpenOptions::new().create(true).append(true).open(path)?,
        )))
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        Ok(std::fs::read(path)?.into())
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut read = Vec::new();
        file.take(length as u64).read_to_end(&mut read)?;
        Ok(read.into())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.try_lock()?;
        Ok(Box::new(file))
    }
}

#[derive(Debug)]
struct LocalFile(std::fs::File);

impl File for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
