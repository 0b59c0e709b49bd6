//! The bytes of entries and checkpoints, version 1. Pure.
//!
//! Both are JSON: `{"version": 1, "crc32c": …, "body": …}`, the checksum over the text of the body. An entry's body is
//! `{"nonce": …, "change": …}`, a checkpoint's `{"position": …, "state": …}`; a checkpoint is compressed with zstd.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ulid::Ulid;

/// The version of entries and checkpoints that is written.
pub const LOG_VERSION: u16 = 1;

/// zstd's fastest ordinary level: a checkpoint is written often and read seldom.
const COMPRESSION: i32 = 1;

/// The most bytes that a checkpoint unpacks to: 512 MiB, about half a million blocks.
const MAX_CHECKPOINT_BYTES: u64 = 512 << 20;

/// Why bytes are no entry or checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not what this version writes, or damaged.
    #[error("it is damaged ({0}); restore it from a backup of the bucket")]
    Damaged(String),
    /// A later version wrote it.
    #[error(
        "it is of version {0}, which this release cannot read; use the release that wrote it or a later one"
    )]
    Version(u16),
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u16,
    crc32c: u32,
    body: Box<RawValue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry<C> {
    /// Who wrote it: a writer that finds its own nonce has committed.
    pub(super) nonce: Ulid,
    pub(super) change: C,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint<F> {
    pub(super) position: u64,
    pub(super) state: F,
}

pub(super) fn encode<T: Serialize>(body: &T) -> Result<Vec<u8>, Unreadable> {
    let body = serde_json::value::to_raw_value(body).map_err(|error| damaged(&error))?;
    let crc32c = crc32c::crc32c(body.get().as_bytes());
    serde_json::to_vec(&Envelope {
        version: LOG_VERSION,
        crc32c,
        body,
    })
    .map_err(|error| damaged(&error))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
    if envelope.version != LOG_VERSION {
        return Err(Unreadable::Version(envelope.version));
    }
    let text = envelope.body.get();
    if crc32c::crc32c(text.as_bytes()) != envelope.crc32c {
        return Err(damaged(&"its checksum is wrong"));
    }
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

pub(super) fn encode_checkpoint<T: Serialize>(checkpoint: &T) -> Result<Bytes, Unreadable> {
    let json = encode(checkpoint)?;
    zstd::bulk::compress(&json, COMPRESSION)
        .map(Bytes::from)
        .map_err(|error| damaged(&error))
}

pub(super) fn decode_checkpoint<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    use std::io::Read;
    let decoder = zstd::stream::Decoder::new(bytes).map_err(|error| damaged(&error))?;
    let mut json = Vec::new();
    decoder
        .take(MAX_CHECKPOINT_BYTES)
        .read_to_end(&mut json)
        .map_err(|error| damaged(&error))?;
    decode(&json)
}

fn damaged(reason: &dyn std::fmt::Display) -> Unreadable {
    Unreadable::Damaged(reason.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry<Vec<u64>> {
        Entry {
            nonce: Ulid::from(7_u128),
            change: vec![1, 2, 3],
        }
    }

    #[test]
    fn entries_and_checkpoints_come_back() {
        assert_eq!(
            decode::<Entry<Vec<u64>>>(&encode(&entry()).unwrap()).unwrap(),
            entry()
        );
        let packed = encode_checkpoint(&entry()).unwrap();
        assert_eq!(decode_checkpoint::<Entry<Vec<u64>>>(&packed).unwrap(), entry());
    }

    #[test]
    fn a_later_version_is_named() {
        let text = String::from_utf8(encode(&entry()).unwrap())
            .unwrap()
            .replace("\"version\":1", "\"version\":2");
        assert_eq!(
            decode::<Entry<Vec<u64>>>(text.as_bytes()),
            Err(Unreadable::Version(2))
        );
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_never_read_as_something_else(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = encode(&entry()).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            if let Ok(read) = decode::<Entry<Vec<u64>>>(&bytes) {
                prop_assert_eq!(read, entry());
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode::<Entry<Vec<u64>>>(&bytes).is_err());
            prop_assert!(decode_checkpoint::<Entry<Vec<u64>>>(&bytes).is_err());
        }
    }
}
