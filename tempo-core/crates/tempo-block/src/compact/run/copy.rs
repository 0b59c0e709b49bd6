//! Putting blocks together by copying their row groups.

use super::CompactError;
use super::input::Input;
use super::pace::Pacer;
use crate::read::BlockReader;
use crate::write::{BlockWriter, Origin};

/// Copies all row groups of all inputs.
pub(super) async fn all(
    inputs: &[Input],
    writer: &mut BlockWriter,
    pacer: &mut Pacer,
) -> Result<(), CompactError> {
    for input in inputs {
        let meta = &input.meta;
        let origin = Origin {
            arrivals_ns: (meta.first_arrival_ns, meta.last_arrival_ns),
            trace_ids: (meta.min_trace_id, meta.max_trace_id),
            continued: meta.continued,
        };
        writer.describe(origin, &*input.block.catalogue().await?);
        for number in 0..input.raw.row_groups() {
            let _room = input.raw.room(number).await?;
            let raw = input.raw.row_group(number).await?;
            writer.add_copied(raw).await?;
            pacer.rest().await;
        }
    }
    Ok(())
}
