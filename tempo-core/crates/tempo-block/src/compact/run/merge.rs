//! Putting blocks together span by span: duplicates and unwanted traces are left out, the rest is clustered anew.
//!
//! Spans are the same if trace, id, kind, name and times are. The ids alone are not enough: with ids shared by both
//! sides of a call, as Zipkin has them, each side is a span of its own. Of several the one in the oldest input stays.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::input::Input;
use super::pace::Pacer;
use super::pieces::{Part, Piece, Pieces};
use super::{CompactError, Options};
use crate::head::{Head, HeadSettings};
use crate::read::ReadError;
use crate::read::parquet::{Decoded, SpanKey};
use crate::write::{BlockWriter, GoesOn};

/// What a span takes in a head besides its attributes, about.
const SPAN_BYTES: u64 = 128;

/// Merges all inputs piece by piece.
pub(super) async fn all(
    inputs: &[Input],
    options: &Options,
    writer: &mut BlockWriter,
    pacer: &mut Pacer,
) -> Result<(), CompactError> {
    let parts = parts(inputs, options).await?;
    for piece in Pieces::new(parts, options.piece_bytes) {
        let mut merge = Merge::new(piece);
        for (input, row_group) in merge.piece.row_groups.clone() {
            if let Some(input) = inputs.get(input) {
                let arrival_ns = input.meta.last_arrival_ns;
                let take = move |rows: &Decoded<'_>| merge.take(rows, arrival_ns).map(|()| merge);
                merge = input.block.take_rows(row_group, take).await?;
                pacer.rest().await;
            }
        }
        let snapshot = merge.head.snapshot();
        if snapshot.spans() > 0 {
            let goes_on = GoesOn::Known(merge.piece.continued);
            writer.add_snapshot(snapshot, goes_on).await?;
            pacer.rest().await;
        }
    }
    for input in inputs {
        writer.widen_arrivals((input.meta.first_arrival_ns, input.meta.last_arrival_ns));
    }
    Ok(())
}

/// What the inputs have of the traces that are wanted.
async fn parts(inputs: &[Input], options: &Options) -> Result<Vec<Part>, ReadError> {
    let mut parts = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        for row_group in 0..input.raw.row_groups() {
            if options.salvage
                && let Err(error) = is_readable(input, row_group).await
            {
                tracing::warn!(block = %input.meta.id, row_group, %error, "a row group is left out");
                continue;
            }
            let (rows, bytes) = input.raw.size_of(row_group)?;
            let bytes_of_span = SPAN_BYTES + bytes / rows.max(1);
            let of_row_group = input.raw.trace_parts(row_group).await?.into_iter();
            let wanted = of_row_group.filter(|part| !options.without.contains(&part.id));
            parts.extend(wanted.map(|part| Part {
                id: part.id,
                start_ns: part.start_ns,
                bytes: bytes_of_span.saturating_mul(u64::from(part.spans)),
                row_group: (number, row_group),
                continued: part.continued,
            }));
        }
    }
    Ok(parts)
}

/// Whether all of a row group can be read, which includes its checksums.
async fn is_readable(input: &Input, row_group: usize) -> Result<(), ReadError> {
    input.raw.trace_parts(row_group).await?;
    let count = |rows: &Decoded<'_>| rows.spans_by_trace().map(drop);
    input.block.take_rows(row_group, count).await
}

/// A piece that is being merged.
struct Merge {
    piece: Piece,
    head: Head,
    /// Identities of spans.
    seen: HashSet<u128>,
}

impl Merge {
    fn new(piece: Piece) -> Self {
        Self {
            piece,
            // What was too long was cut when it was received.
            head: Head::new(HeadSettings {
                max_attribute_bytes: 0,
            }),
            seen: HashSet::new(),
        }
    }

    /// Takes the spans that belong to the piece and are new.
    fn take(&mut self, rows: &Decoded<'_>, arrival_ns: u64) -> Result<(), ReadError> {
        let Self { piece, head, seen } = self;
        let mut bytes = Vec::new();
        rows.append_to(head, arrival_ns, |span| {
            piece.traces.contains(&span.trace_id) && seen.insert(identity(span, &mut bytes))
        })
    }
}

/// What only the same span has, but for a chance that is as good as none. `bytes` is a buffer.
fn identity(span: &SpanKey<'_>, bytes: &mut Vec<u8>) -> u128 {
    bytes.clear();
    bytes.extend_from_slice(&span.trace_id.0);
    bytes.extend_from_slice(span.span_id);
    bytes.extend_from_slice(&span.kind.to_le_bytes());
    bytes.extend_from_slice(&span.start_ns.to_le_bytes());
    bytes.extend_from_slice(&span.end_ns.to_le_bytes());
    bytes.extend_from_slice(span.name.as_bytes());
    xxh3_128(bytes)
}
