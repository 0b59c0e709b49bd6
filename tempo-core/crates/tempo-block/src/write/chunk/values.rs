//! The values of a column chunk: which encoding suits them, their dictionary, and their bytes in a page.

use std::collections::HashMap;
use std::ops::Range;

use parquet::basic::Encoding;

use super::{delta, hybrid};

/// A dictionary with more bytes is not written.
const MAX_DICTIONARY_BYTES: usize = 8 << 20;
/// Integers that lie closer together than this are counted in an array.
const MAX_DENSE_RANGE: u64 = 1 << 16;
/// If most of so many integers are distinct, so are the others.
const SAMPLE: usize = 1024;

/// The values of a column chunk, absent ones left out.
#[derive(Debug)]
pub(in crate::write) enum Values<'a> {
    /// Texts or bytes by their places among `words`, which are distinct and all used.
    Coded {
        /// One for each value.
        codes: Vec<u32>,
        /// The dictionary.
        words: Vec<&'a [u8]>,
    },
    /// Bytes without a dictionary.
    Bytes(Vec<&'a [u8]>),
    /// 32 bits; unsigned ones as the same bits.
    Int32(Vec<i32>),
    /// 32 bits, mostly rising by little.
    Rising(Vec<i32>),
    /// 64 bits; unsigned ones as the same bits.
    Int64(Vec<i64>),
    /// 64 bits, hardly any two the same.
    Times(Vec<i64>),
    /// Doubles.
    Double(Vec<f64>),
    /// Booleans.
    Bool(Vec<bool>),
}

impl Values<'_> {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Coded { codes, .. } => codes.len(),
            Self::Bytes(values) => values.len(),
            Self::Int32(values) | Self::Rising(values) => values.len(),
            Self::Int64(values) | Self::Times(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// The size of each value, where values are written one after the other and may be long.
    pub(super) fn plain_sizes(&self) -> Option<Box<dyn Iterator<Item = usize> + '_>> {
        match self {
            Self::Bytes(values) => Some(Box::new(values.iter().map(|value| value.len()))),
            Self::Coded { codes, words } if !fit_in_dictionary(words) => {
                let size = |code: &u32| words.get(*code as usize).map_or(0, |word| word.len());
                Some(Box::new(codes.iter().map(size)))
            }
            _ => None,
        }
    }

    /// As they are written. Bytes of `fixed` length stand without their length.
    pub(super) fn encoded(&self, fixed: bool) -> Encoded<'_> {
        match self {
            Self::Coded { codes, words } => coded(codes, words, fixed),
            Self::Bytes(values) => plain_bytes(values.clone(), fixed),
            Self::Int32(values) => dictionary_of(values, |value| i64::from(*value))
                .unwrap_or_else(|| Encoded::split(values, |value| value.to_le_bytes())),
            Self::Int64(values) => dictionary_of(values, |value| *value)
                .unwrap_or_else(|| Encoded::split(values, |value| value.to_le_bytes())),
            Self::Rising(values) => Encoded {
                dictionary: None,
                encoding: Encoding::DELTA_BINARY_PACKED,
                write: Box::new(|range, out| delta::encode(values.get(range).unwrap_or_default(), out)),
            },
            Self::Times(values) => Encoded::split(values, |value| value.to_le_bytes()),
            Self::Double(values) => Encoded::split(values, |value| value.to_le_bytes()),
            Self::Bool(values) => Encoded {
                dictionary: None,
                encoding: Encoding::PLAIN,
                write: Box::new(|range, out| {
                    let bits = values.get(range).unwrap_or_default();
                    hybrid::pack(
                        bits.iter().map(|bit| u32::from(*bit)),
                        bits.len().next_multiple_of(8),
                        1,
                        out,
                    );
                }),
            },
        }
    }
}

/// Appends a range of the values to a page.
type Write<'a> = Box<dyn Fn(Range<usize>, &mut Vec<u8>) + 'a>;

/// Values with their encoding.
pub(super) struct Encoded<'a> {
    pub(super) dictionary: Option<DictionaryPage>,
    /// Of the data pages.
    pub(super) encoding: Encoding,
    pub(super) write: Write<'a>,
}

pub(super) struct DictionaryPage {
    pub(super) bytes: Vec<u8>,
    pub(super) entries: usize,
}

impl<'a> Encoded<'a> {
    fn by_dictionary(codes: std::borrow::Cow<'a, [u32]>, dictionary: DictionaryPage) -> Self {
        let width = hybrid::bit_width(dictionary.entries.saturating_sub(1) as u32);
        Self {
            dictionary: Some(dictionary),
            encoding: Encoding::RLE_DICTIONARY,
            write: Box::new(move |range, out| {
                out.push(width as u8);
                hybrid::encode(codes.get(range).unwrap_or_default(), width, out);
            }),
        }
    }

    /// All first bytes, all second bytes, and so on: close numbers compress well so.
    fn split<T, const N: usize>(values: &'a [T], bytes: impl Fn(&T) -> [u8; N] + 'a) -> Self {
        Self {
            dictionary: None,
            encoding: Encoding::BYTE_STREAM_SPLIT,
            write: Box::new(move |range, out| {
                let values = values.get(range).unwrap_or_default();
                for stream in 0..N {
                    let byte = |value| bytes(value).get(stream).copied().unwrap_or_default();
                    out.extend(values.iter().map(byte));
                }
            }),
        }
    }
}

fn fit_in_dictionary(words: &[&[u8]]) -> bool {
    words.iter().map(|word| word.len()).sum::<usize>() <= MAX_DICTIONARY_BYTES
}

fn coded<'a>(codes: &'a [u32], words: &[&'a [u8]], fixed: bool) -> Encoded<'a> {
    if !fit_in_dictionary(words) {
        let word = |code: &u32| words.get(*code as usize).copied().unwrap_or_default();
        return plain_bytes(codes.iter().map(word).collect(), fixed);
    }
    let mut bytes = Vec::new();
    for word in words {
        push_plain(word, fixed, &mut bytes);
    }
    let entries = words.len();
    Encoded::by_dictionary(codes.into(), DictionaryPage { bytes, entries })
}

fn plain_bytes(values: Vec<&[u8]>, fixed: bool) -> Encoded<'_> {
    Encoded {
        dictionary: None,
        encoding: Encoding::PLAIN,
        write: Box::new(move |range, out| {
            for value in values.get(range).unwrap_or_default() {
                push_plain(value, fixed, out);
            }
        }),
    }
}

fn push_plain(word: &[u8], fixed: bool, out: &mut Vec<u8>) {
    if !fixed {
        out.extend_from_slice(&(word.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(word);
}

/// Numbers by a dictionary, where few are distinct.
fn dictionary_of<'a, T: Copy + ToBytes>(values: &[T], wide: impl Fn(&T) -> i64) -> Option<Encoded<'a>> {
    let numbers = || values.iter().map(&wide);
    let most = values.len() / 4 + 1;
    let (codes, distinct) = match (numbers().min(), numbers().max()) {
        (Some(least), Some(greatest)) if greatest.abs_diff(least) < MAX_DENSE_RANGE => {
            codes_in_range(numbers(), least, greatest)
        }
        _ => codes_by_hash(numbers(), most)?,
    };
    if distinct.len() > most {
        return None;
    }
    let mut bytes = Vec::new();
    for number in &distinct {
        T::push(*number, &mut bytes);
    }
    let entries = distinct.len();
    Some(Encoded::by_dictionary(
        codes.into(),
        DictionaryPage { bytes, entries },
    ))
}

fn codes_in_range(
    numbers: impl Iterator<Item = i64> + Clone,
    least: i64,
    greatest: i64,
) -> (Vec<u32>, Vec<i64>) {
    let place = |number: i64| number.abs_diff(least) as usize;
    let mut code_of = vec![u32::MAX; place(greatest) + 1];
    for number in numbers.clone() {
        if let Some(code) = code_of.get_mut(place(number)) {
            *code = 0;
        }
    }
    let mut distinct = Vec::new();
    for (number, code) in (least..).zip(&mut code_of) {
        if *code == 0 {
            *code = distinct.len() as u32;
            distinct.push(number);
        }
    }
    let code = |number| code_of.get(place(number)).copied().unwrap_or_default();
    (numbers.map(code).collect(), distinct)
}

/// `None` as soon as more than `most` are distinct, or most of the first ones are.
fn codes_by_hash(numbers: impl Iterator<Item = i64> + Clone, most: usize) -> Option<(Vec<u32>, Vec<i64>)> {
    let mut first: Vec<i64> = numbers.clone().take(SAMPLE).collect();
    first.sort_unstable();
    first.dedup();
    if first.len() > SAMPLE / 2 {
        return None;
    }
    let mut code_of: HashMap<i64, u32> = HashMap::new();
    let mut distinct = Vec::new();
    let mut codes = Vec::new();
    for number in numbers {
        let code = *code_of.entry(number).or_insert_with(|| {
            distinct.push(number);
            distinct.len() as u32 - 1
        });
        if distinct.len() > most {
            return None;
        }
        codes.push(code);
    }
    Some((codes, distinct))
}

/// Integers as Parquet has them.
trait ToBytes {
    fn push(number: i64, out: &mut Vec<u8>);
}

impl ToBytes for i32 {
    fn push(number: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&(number as i32).to_le_bytes());
    }
}

impl ToBytes for i64 {
    fn push(number: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&number.to_le_bytes());
    }
}
