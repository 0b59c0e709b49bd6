//! How bodies are compressed, and undoing it up to a limit. Pure.

use std::io::Read;

use bytes::Bytes;

use crate::consumer::{ConsumeError, ErrorKind};

/// The largest window of zstd, as a power of two: 8 MiB, which every decoder has to offer (RFC 9659), and which a
/// client can make us set aside.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A compression, by the names of `Content-Encoding` and `grpc-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zlib,
    Zstd,
}

impl Packing {
    /// What clients may choose from.
    pub(crate) const NAMES: &str = "gzip, zstd, zlib, deflate";

    /// The compression of a name; `None` when nobody knows it.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "" | "identity" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            "deflate" | "zlib" => Some(Self::Zlib),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What was packed, which may have `limit` bytes at most.
    pub(crate) fn unpack(self, body: Bytes, limit: usize) -> Result<Bytes, ConsumeError> {
        match self {
            Self::None => Ok(body),
            Self::Gzip => inflate(flate2::read::MultiGzDecoder::new(&*body), limit),
            Self::Zlib => inflate(flate2::read::ZlibDecoder::new(&*body), limit),
            Self::Zstd => inflate(zstd_decoder(&body).map_err(|error| broken(&error))?, limit),
        }
    }
}

fn zstd_decoder(body: &[u8]) -> std::io::Result<zstd::Decoder<'_, &[u8]>> {
    let mut decoder = zstd::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

fn inflate(decoder: impl Read, limit: usize) -> Result<Bytes, ConsumeError> {
    let mut inflated = Vec::new();
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| broken(&error))?;
    if inflated.len() > limit {
        Err(too_large(limit))
    } else {
        Ok(inflated.into())
    }
}

/// The error of a request beyond a limit.
pub(crate) fn too_large(limit: usize) -> ConsumeError {
    let message = format!("the request is larger than {limit} bytes; send smaller batches");
    ConsumeError::new(ErrorKind::TooLarge, message)
}

fn broken(error: &std::io::Error) -> ConsumeError {
    let message = format!("cannot decompress the request body: {error}");
    ConsumeError::new(ErrorKind::InvalidArgument, message)
}
