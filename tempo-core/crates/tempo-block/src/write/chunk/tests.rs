//! What the encoder writes is read back by the Parquet library.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::schema::text_type;
use crate::write::file::ParquetFile;
use crate::write::row_group::Chunks;

/// A file of one column and one row group, with what the footer says of the chunk.
fn written(data_type: DataType, definition: &[u8], values: Values<'_>) -> (ArrayRef, ColumnChunkMetaData) {
    let is_optional = !definition.is_empty();
    let rows = if is_optional {
        definition.len()
    } else {
        values.count()
    };
    let schema = Arc::new(Schema::new(vec![Field::new("column", data_type, is_optional)]));
    let mut file = ParquetFile::new(&schema).unwrap();
    let mut chunks = Chunks::of(file.schema(), rows).unwrap();
    chunks.optional(definition, values).unwrap();
    let mut bytes = file.row_group(chunks.finish()).unwrap().to_vec();
    bytes.extend_from_slice(&file.finish(None).unwrap().0);
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let metadata = builder.metadata().row_group(0).column(0).clone();
    let batches: Vec<_> = builder
        .with_batch_size(1 << 20)
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let columns: Vec<&dyn Array> = batches.iter().map(|batch| &**batch.column(0)).collect();
    (arrow::compute::concat(&columns).unwrap(), metadata)
}

fn presence<T>(values: &[Option<T>]) -> Vec<u8> {
    values.iter().map(|value| u8::from(value.is_some())).collect()
}

fn uses_dictionary(metadata: &ColumnChunkMetaData) -> bool {
    metadata.dictionary_page_offset().is_some()
}

/// Runs of few values, as clustered rows have them, and stretches of many.
fn numbers() -> impl Strategy<Value = Vec<Option<i64>>> {
    let run = (prop::option::of(-3..3_i64), 1..40_usize)
        .prop_map(|(value, count)| std::iter::repeat_n(value, count).collect());
    let mixed = vec(prop::option::of(prop_oneof![any::<i64>(), 0..1000_i64]), 1..40);
    vec(prop_oneof![run, mixed], 1..12).prop_map(|parts: Vec<Vec<Option<i64>>>| parts.concat())
}

proptest! {
    #[test]
    fn numbers_come_back(values in numbers(), width in 0..3_u8) {
        let present: Vec<i64> = values.iter().copied().flatten().collect();
        let (read, metadata) = match width {
            0 => written(DataType::Int64, &presence(&values), Values::Int64(present.clone())),
            _ => written(DataType::Int64, &presence(&values), Values::Times(present.clone())),
        };
        prop_assert_eq!(read.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), values.clone());
        let Some(Statistics::Int64(statistics)) = metadata.statistics() else { panic!("no statistics") };
        prop_assert_eq!(statistics.min_opt(), present.iter().min());
        prop_assert_eq!(statistics.max_opt(), present.iter().max());
        prop_assert_eq!(statistics.null_count_opt(), Some((values.len() - present.len()) as u64));
    }

    #[test]
    fn rising_numbers_come_back(values in vec(any::<i32>(), 1..600)) {
        let (read, _) = written(DataType::Int32, &[], Values::Rising(values.clone()));
        prop_assert_eq!(read.as_primitive::<Int32Type>().values().to_vec(), values);
    }

    #[test]
    fn unsigned_numbers_are_compared_as_such(values in vec(any::<u32>(), 1..50)) {
        let (read, metadata) = written(DataType::UInt32, &[], Values::Int32(values.iter().map(|value| *value as i32).collect()));
        prop_assert_eq!(read.as_primitive::<UInt32Type>().values().to_vec(), values.clone());
        let Some(Statistics::Int32(statistics)) = metadata.statistics() else { panic!("no statistics") };
        prop_assert_eq!(statistics.max_opt().map(|most| *most as u32), values.iter().max().copied());
    }

    #[test]
    fn texts_come_back(values in vec(prop::option::of("[ab]{0,2}"), 1..100)) {
        let mut words: Vec<&str> = values.iter().flatten().map(String::as_str).collect();
        words.sort_unstable();
        words.dedup();
        let codes = values.iter().flatten().map(|text| words.binary_search(&text.as_str()).unwrap() as u32).collect();
        let words = words.into_iter().map(str::as_bytes).collect();
        let (read, metadata) = written(text_type(), &presence(&values), Values::Coded { codes, words });
        let plain = arrow::compute::cast(&read, &DataType::Utf8).unwrap();
        let found: Vec<Option<String>> = plain.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect();
        prop_assert_eq!(found, values);
        prop_assert!(uses_dictionary(&metadata));
    }

    #[test]
    fn booleans_come_back(values in vec(prop::option::of(any::<bool>()), 1..100)) {
        let (read, _) = written(DataType::Boolean, &presence(&values), Values::Bool(values.iter().copied().flatten().collect()));
        prop_assert_eq!(read.as_boolean().iter().collect::<Vec<_>>(), values);
    }

    #[test]
    fn doubles_come_back_bit_by_bit(values in vec(any::<f64>(), 1..50)) {
        let (read, metadata) = written(DataType::Float64, &[], Values::Double(values.clone()));
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(read.as_primitive::<Float64Type>().values()), bits(&values));
        let Some(Statistics::Double(statistics)) = metadata.statistics() else { panic!("no statistics") };
        for value in values.into_iter().filter(|value| !value.is_nan()) {
            prop_assert!(*statistics.min_opt().unwrap() <= value && value <= *statistics.max_opt().unwrap());
        }
    }
}

#[test]
fn a_large_chunk_has_several_pages() {
    let values: Vec<i64> = (0..3 * MAX_PAGE_ROWS as i64 + 7)
        .map(|number| number % 1000)
        .collect();
    let (read, metadata) = written(DataType::Int64, &[], Values::Int64(values.clone()));
    assert_eq!(read.as_primitive::<Int64Type>().values().to_vec(), values);
    assert!(uses_dictionary(&metadata));
    // The reader sums up which encodings the pages have; all refer to the dictionary.
    let mask = metadata.page_encoding_stats_mask().unwrap();
    assert!(mask.is_only(Encoding::RLE_DICTIONARY), "{mask:?}");
}

#[test]
fn long_texts_are_written_plain_in_short_pages() {
    let texts: Vec<Vec<u8>> = (0..20_u32)
        .map(|number| number.to_string().repeat(300_000).into_bytes())
        .collect();
    let words: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let (read, metadata) = written(
        text_type(),
        &[],
        Values::Coded {
            codes: (0..20).collect(),
            words,
        },
    );
    let plain = arrow::compute::cast(&read, &DataType::Utf8).unwrap();
    let found: Vec<&[u8]> = plain
        .as_string::<i32>()
        .iter()
        .map(|text| text.unwrap().as_bytes())
        .collect();
    assert_eq!(found, texts);
    assert!(!uses_dictionary(&metadata));
    let Some(Statistics::ByteArray(statistics)) = metadata.statistics() else {
        panic!("no statistics")
    };
    assert!(statistics.min_opt().is_none() && statistics.max_opt().is_none());
}
