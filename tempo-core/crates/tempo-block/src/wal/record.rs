//! The bytes of a WAL segment, version 1. Pure: encoding and checking, no I/O.
//!
//! ```text
//! segment header, 40 bytes   "TWAL" | version u16 | 0 u16 | epoch 16 | segment u32 | good length of the segment before u64 | crc u32
//! record header, 32 bytes    "Rc" | flags u8 | tenant length u8 | payload length u32 | number u64 | hash u64 | body crc u32 | header crc u32
//! record body                tenant | payload
//! ```
//! Numbers are little-endian, the epoch is big-endian as ULIDs are. Every checksum is crc32c over what stands before it
//! (body crc: over the body) and starts from the checksum of the epoch, so that bytes of another epoch, or a payload
//! made to look like a record, do not pass.

use std::str;

use bytes::{BufMut, Bytes};
use tempo_model::TenantId;
use ulid::Ulid;

/// The version of the segment format that is written.
pub const WAL_VERSION: u16 = 1;

pub(super) const SEGMENT_HEADER_BYTES: usize = 40;
pub(super) const RECORD_HEADER_BYTES: usize = 32;
const SEGMENT_MAGIC: &[u8; 4] = b"TWAL";
const RECORD_MARK: &[u8; 2] = b"Rc";

/// What is said of a record beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// The sender had sent it elsewhere before, without an answer.
    pub const MAYBE_DUPLICATE: Self = Self(1);

    /// Whether all of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One acknowledged request of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The stream that it belongs to.
    pub epoch: Ulid,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its place among the tenant's records of this epoch, from 0.
    pub number: u64,
    /// A hash of the payload, made by the sender.
    pub hash: u64,
    /// What else is known of it.
    pub flags: Flags,
    /// Encoded OTLP.
    pub payload: Bytes,
}

/// Where a record's checksums start.
pub(super) fn seed(epoch: Ulid) -> u32 {
    crc32c::crc32c(&epoch.to_bytes())
}

/// Bytes that a record takes in a segment.
pub(super) fn encoded_length(tenant: &TenantId, payload: &Bytes) -> u64 {
    (RECORD_HEADER_BYTES + tenant.as_str().len() + payload.len()) as u64
}

pub(super) fn encode(record: &Record, into: &mut Vec<u8>) {
    let (tenant, start, seed) = (record.tenant.as_str().as_bytes(), into.len(), seed(record.epoch));
    into.put_slice(RECORD_MARK);
    into.put_u8(record.flags.0);
    into.put_u8(tenant.len() as u8);
    into.put_u32_le(record.payload.len() as u32);
    into.put_u64_le(record.number);
    into.put_u64_le(record.hash);
    into.put_u32_le(crc32c::crc32c_append(
        crc32c::crc32c_append(seed, tenant),
        &record.payload,
    ));
    let header = crc32c::crc32c_append(seed, into.get(start..).unwrap_or_default());
    into.put_u32_le(header);
    into.put_slice(tenant);
    into.put_slice(&record.payload);
}

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) version: u16,
    pub(super) epoch: Ulid,
    pub(super) segment: u32,
    /// Where the segment before this one ends; what stands behind it was never acknowledged.
    pub(super) previous_length: u64,
}

impl SegmentHeader {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.put_slice(SEGMENT_MAGIC);
        bytes.put_u16_le(self.version);
        bytes.put_u16_le(0);
        bytes.put_slice(&self.epoch.to_bytes());
        bytes.put_u32_le(self.segment);
        bytes.put_u64_le(self.previous_length);
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes
    }

    /// `None` when these are not the bytes of an intact header.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(..SEGMENT_HEADER_BYTES)?);
        let magic = fields.take::<4>()?;
        let version = u16::from_le_bytes(fields.take()?);
        fields.take::<2>()?;
        let epoch = Ulid::from_bytes(fields.take()?);
        let segment = u32::from_le_bytes(fields.take()?);
        let previous_length = u64::from_le_bytes(fields.take()?);
        let intact =
            u32::from_le_bytes(fields.take()?) == crc32c::crc32c(bytes.get(..SEGMENT_HEADER_BYTES - 4)?);
        (intact && &magic == SEGMENT_MAGIC).then_some(Self {
            version,
            epoch,
            segment,
            previous_length,
        })
    }
}

/// Why no record could be read at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// The header is not one: nothing is known of where the next record starts.
    Header,
    /// The body does not match its checksum; the next record would start at `next`.
    Body { next: usize },
}

/// Reads the record at `offset` and says where the next one starts.
pub(super) fn decode(epoch: Ulid, segment: &Bytes, offset: usize) -> Result<(Record, usize), Defect> {
    let header = segment
        .get(offset..)
        .and_then(|bytes| Header::decode(epoch, bytes))
        .ok_or(Defect::Header)?;
    let tenant_start = offset + RECORD_HEADER_BYTES;
    let payload_start = tenant_start + header.tenant_length;
    let next = payload_start
        .checked_add(header.payload_length)
        .ok_or(Defect::Header)?;
    let body = segment.get(tenant_start..next).ok_or(Defect::Header)?;
    if crc32c::crc32c_append(seed(epoch), body) != header.body_crc {
        return Err(Defect::Body { next });
    }
    let tenant = body
        .get(..header.tenant_length)
        .and_then(|name| str::from_utf8(name).ok());
    let tenant = tenant
        .and_then(|name| name.parse().ok())
        .ok_or(Defect::Body { next })?;
    let record = Record {
        epoch,
        tenant,
        number: header.number,
        hash: header.hash,
        flags: header.flags,
        payload: segment.slice(payload_start..next),
    };
    Ok((record, next))
}

struct Header {
    flags: Flags,
    tenant_length: usize,
    payload_length: usize,
    number: u64,
    hash: u64,
    body_crc: u32,
}

impl Header {
    fn decode(epoch: Ulid, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(..RECORD_HEADER_BYTES)?);
        // Before the checksum, since the search for the next record comes here at every byte.
        if &fields.take::<2>()? != RECORD_MARK {
            return None;
        }
        let [flags] = fields.take()?;
        let [tenant_length] = fields.take()?;
        let header = Self {
            flags: Flags(flags),
            tenant_length: usize::from(tenant_length),
            payload_length: u32::from_le_bytes(fields.take()?) as usize,
            number: u64::from_le_bytes(fields.take()?),
            hash: u64::from_le_bytes(fields.take()?),
            body_crc: u32::from_le_bytes(fields.take()?),
        };
        let checked = bytes.get(..RECORD_HEADER_BYTES - 4)?;
        let intact = u32::from_le_bytes(fields.take()?) == crc32c::crc32c_append(seed(epoch), checked);
        intact.then_some(header)
    }
}

/// Takes fixed-size fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}
