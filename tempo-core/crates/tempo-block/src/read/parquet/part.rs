//! A piece of a file in memory, as the Parquet decoder reads it: offsets are the file's.

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of a file from `start` on.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) bytes: Bytes,
}

impl Part {
    /// What lies from `offset` on.
    fn from(&self, offset: u64) -> Result<Bytes> {
        let skipped = offset.checked_sub(self.start).map(|skipped| skipped as usize);
        match skipped.filter(|skipped| *skipped <= self.bytes.len()) {
            Some(skipped) => Ok(self.bytes.slice(skipped..)),
            None => Err(ParquetError::EOF(format!("byte {offset} was not read"))),
        }
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }
}

impl ChunkReader for Part {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} were not read"
            )));
        }
        Ok(bytes.split_to(length))
    }
}
