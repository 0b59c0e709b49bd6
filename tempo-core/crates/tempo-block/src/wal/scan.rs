//! Reads the records of a segment's bytes and steps over what is damaged. Pure: no I/O.

use std::collections::HashMap;

use bytes::Bytes;
use tempo_model::TenantId;
use ulid::Ulid;

use super::record::{Defect, Record, SEGMENT_HEADER_BYTES, SegmentHeader, decode};

/// Bytes of a segment that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) offset: usize,
    pub(super) length: usize,
}

#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) records: Vec<Record>,
    /// In the order in which they stand in the segment.
    pub(super) gaps: Vec<Gap>,
}

impl Scan {
    /// The gap that runs to the end of the segment: what a crash leaves of a record that was being written.
    pub(super) fn torn_tail(&mut self, length: usize) -> Option<Gap> {
        self.gaps.pop_if(|gap| gap.offset + gap.length == length)
    }

    fn add_gap(&mut self, from: usize, to: usize) {
        if let Some(last) = self
            .gaps
            .last_mut()
            .filter(|last| last.offset + last.length == from)
        {
            last.length += to - from;
        } else if from < to {
            self.gaps.push(Gap {
                offset: from,
                length: to - from,
            });
        }
    }
}

pub(super) fn scan(epoch: Ulid, segment: &Bytes) -> Scan {
    let mut scan = Scan::default();
    let mut last: HashMap<TenantId, u64> = HashMap::new();
    let start = SEGMENT_HEADER_BYTES.min(segment.len());
    if SegmentHeader::decode(segment).is_none_or(|header| header.epoch != epoch) {
        scan.add_gap(0, start);
    }
    let mut offset = start;
    while offset < segment.len() {
        match decode(epoch, segment, offset) {
            Ok((record, next)) => {
                // Numbers only rise; what claims otherwise was not written here by us.
                let rises = last.get(&record.tenant).is_none_or(|last| *last < record.number);
                if rises {
                    last.insert(record.tenant.clone(), record.number);
                    scan.records.push(record);
                } else {
                    scan.add_gap(offset, next);
                }
                offset = next;
            }
            Err(Defect::Body { next }) => {
                scan.add_gap(offset, next);
                offset = next;
            }
            Err(Defect::Header) => {
                let next = next_record(epoch, segment, offset + 1);
                scan.add_gap(offset, next);
                offset = next;
            }
        }
    }
    scan
}

/// Where the next intact record starts; the end of the segment if there is none.
fn next_record(epoch: Ulid, segment: &Bytes, from: usize) -> usize {
    (from..segment.len())
        .find(|offset| decode(epoch, segment, *offset).is_ok())
        .unwrap_or(segment.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wal::record::{Flags, WAL_VERSION, encode};

    const EPOCH: Ulid = Ulid(0x0123_4567_89ab_cdef_0011_2233_4455_6677);

    fn segment(payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<Record>) {
        let header = SegmentHeader {
            version: WAL_VERSION,
            epoch: EPOCH,
            segment: 0,
            previous_length: 0,
        };
        let mut bytes = header.encode();
        let mut records = Vec::new();
        for (number, payload) in payloads.iter().enumerate() {
            let tenant = if number % 2 == 0 { "even" } else { "odd" };
            let record = Record {
                epoch: EPOCH,
                tenant: tenant.parse().unwrap(),
                number: number as u64 / 2,
                hash: number as u64,
                flags: Flags::default(),
                payload: payload.clone().into(),
            };
            encode(&record, &mut bytes);
            records.push(record);
        }
        (bytes, records)
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..12)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payloads in payloads()) {
            let (bytes, records) = segment(&payloads);
            let scan = scan(EPOCH, &bytes.into());
            prop_assert_eq!(scan.records, records);
            prop_assert!(scan.gaps.is_empty());
        }

        #[test]
        fn flipped_bits_cost_only_the_records_that_they_hit(
            payloads in payloads(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..6),
        ) {
            let (mut bytes, records) = segment(&payloads);
            for (place, bit) in &flips {
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
            }
            let scan = scan(EPOCH, &bytes.into());
            prop_assert!(scan.records.iter().all(|record| records.contains(record)), "a wrong record was read");
            prop_assert!(records.len() - scan.records.len() <= flips.len(), "more was lost than was hit");
            prop_assert!(scan.records.len() == records.len() || !scan.gaps.is_empty());
        }

        #[test]
        fn a_cut_anywhere_keeps_the_records_before_it(payloads in payloads(), cut in any::<prop::sample::Index>()) {
            let (mut bytes, records) = segment(&payloads);
            bytes.truncate(cut.index(bytes.len()));
            let scan = scan(EPOCH, &bytes.into());
            prop_assert_eq!(&records[..scan.records.len()], &scan.records[..]);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(scan(EPOCH, &bytes.into()).records.is_empty());
        }
    }

    #[test]
    fn a_payload_that_looks_like_a_record_of_another_epoch_is_none() {
        let (mut inner, _) = segment(&[b"forged".to_vec()]);
        let forged = inner.split_off(SEGMENT_HEADER_BYTES);
        let (mut bytes, _) = segment(&[forged]);
        bytes[SEGMENT_HEADER_BYTES + 4] ^= 1; // the outer header is now damaged
        let other = Ulid(EPOCH.0 + 1);
        assert!(scan(other, &bytes.into()).records.is_empty());
    }
}
