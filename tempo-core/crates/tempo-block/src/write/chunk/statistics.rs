//! The smallest and the largest value of a column chunk.

use parquet::basic::SortOrder;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescriptor;

use super::values::Values;

/// Longer texts are not kept: what they would save in reads they cost in every footer.
const MAX_TEXT_BYTES: usize = 64;

/// Of `values`, of which `nulls` more are absent.
pub(super) fn of(descriptor: &ColumnDescriptor, values: &Values<'_>, nulls: usize) -> Statistics {
    let nulls = Some(nulls as u64);
    let unsigned = descriptor.sort_order() == SortOrder::UNSIGNED;
    match values {
        Values::Int32(values) | Values::Rising(values) => {
            // Flipping the sign bit orders unsigned numbers as signed ones.
            let flip = if unsigned { i32::MIN } else { 0 };
            let keys = || values.iter().map(|value| value ^ flip);
            Statistics::int32(
                keys().min().map(|key| key ^ flip),
                keys().max().map(|key| key ^ flip),
                None,
                nulls,
                false,
            )
        }
        Values::Int64(values) | Values::Times(values) => {
            let flip = if unsigned { i64::MIN } else { 0 };
            let keys = || values.iter().map(|value| value ^ flip);
            Statistics::int64(
                keys().min().map(|key| key ^ flip),
                keys().max().map(|key| key ^ flip),
                None,
                nulls,
                false,
            )
        }
        Values::Bool(values) => {
            let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
            Statistics::boolean(least, most, None, nulls, false)
        }
        Values::Double(values) => of_doubles(values, nulls),
        Values::Coded { words, .. } => of_words(descriptor, words, nulls),
        Values::Bytes(_) => Statistics::byte_array(None, None, None, nulls, false),
    }
}

/// Not a number is in no range; as zeros of both signs are equal, a zero at an end has the sign that takes in both.
fn of_doubles(values: &[f64], nulls: Option<u64>) -> Statistics {
    let numbers = || values.iter().copied().filter(|value| !value.is_nan());
    let least = numbers()
        .min_by(f64::total_cmp)
        .map(|least| if least == 0.0 { -0.0 } else { least });
    let most = numbers()
        .max_by(f64::total_cmp)
        .map(|most| if most == 0.0 { 0.0 } else { most });
    let not_numbers = values.len() - numbers().count();
    let statistics = ValueStatistics::new(least, most, None, nulls, false);
    Statistics::Double(statistics.with_nan_count(Some(not_numbers as u64)))
}

fn of_words(descriptor: &ColumnDescriptor, words: &[&[u8]], nulls: Option<u64>) -> Statistics {
    let least = words.iter().min();
    let most = words.iter().max();
    let are_short = [least, most]
        .into_iter()
        .flatten()
        .all(|word| word.len() <= MAX_TEXT_BYTES);
    let kept = |word: Option<&&[u8]>| {
        word.filter(|_| are_short)
            .map(|word| ByteArray::from(word.to_vec()))
    };
    let (least, most) = (kept(least), kept(most));
    if descriptor.physical_type() == parquet::basic::Type::FIXED_LEN_BYTE_ARRAY {
        let fixed = |word: Option<ByteArray>| word.map(FixedLenByteArray::from);
        Statistics::fixed_len_byte_array(fixed(least), fixed(most), None, nulls, false)
    } else {
        Statistics::byte_array(least, most, None, nulls, false)
    }
}
