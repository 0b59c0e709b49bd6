//! The inputs of a job, and which attribute columns suit all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempo_model::TenantId;

use crate::meta::{BLOCK_FORMAT, BlockMeta};
use crate::read::parquet::{ParquetBlock, RawBlock};
use crate::read::{ReadError, ReadStatistics, Reader};
use crate::schema::{AttributeColumn, MAX_ATTRIBUTE_COLUMNS};

/// The most row groups of a Parquet file.
const MAX_ROW_GROUPS: usize = i16::MAX as usize;

/// A block that goes into another.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) meta: Arc<BlockMeta>,
    pub(super) block: ParquetBlock,
    pub(super) raw: RawBlock,
}

impl Input {
    pub(super) async fn open(
        reader: &Reader,
        tenant: &TenantId,
        meta: &Arc<BlockMeta>,
    ) -> Result<Self, ReadError> {
        if meta.format != BLOCK_FORMAT {
            return Err(ReadError::Format {
                block: meta.id,
                found: meta.format,
            });
        }
        let statistics = Arc::new(ReadStatistics::default());
        let block = ParquetBlock::new(reader.clone(), tenant, Arc::clone(meta), statistics);
        Ok(Self {
            meta: Arc::clone(meta),
            raw: block.raw().await?,
            block,
        })
    }
}

/// Whether one file can hold the row groups of all inputs as they are.
pub(super) fn fit_together(inputs: &[Input]) -> bool {
    let row_groups: usize = inputs.iter().map(|input| input.raw.row_groups()).sum();
    row_groups <= MAX_ROW_GROUPS && values_of_columns(inputs).len() <= MAX_ATTRIBUTE_COLUMNS
}

/// The attribute columns of all inputs, or those with the most values if there are too many for one file.
pub(super) fn columns(inputs: &[Input]) -> Vec<AttributeColumn> {
    let mut columns: Vec<(&AttributeColumn, u64)> = values_of_columns(inputs).into_iter().collect();
    columns.sort_by_key(|(_, values)| std::cmp::Reverse(*values));
    columns.truncate(MAX_ATTRIBUTE_COLUMNS);
    columns.into_iter().map(|(column, _)| column.clone()).collect()
}

fn values_of_columns(inputs: &[Input]) -> BTreeMap<&AttributeColumn, u64> {
    let mut all = BTreeMap::new();
    for (column, values) in inputs.iter().flat_map(|input| input.raw.values_of_columns()) {
        *all.entry(column).or_default() += values;
    }
    all
}
