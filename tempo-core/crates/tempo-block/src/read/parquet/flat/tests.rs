//! Chunks as the Parquet library writes them: what is decoded of them is what was written.

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::SerializedPageReader;
use proptest::prelude::*;

use super::*;
use crate::read::parquet::part::Part;

/// How a column is written.
#[derive(Debug, Clone, Copy)]
struct Written {
    encoding: Encoding,
    dictionary: bool,
    page_rows: usize,
}

/// The only column of a file with these values, opened.
fn opened(array: &ArrayRef, written: Written) -> FlatChunk {
    let is_optional = array.null_count() > 0;
    let field = Field::new("column", array.data_type().clone(), is_optional);
    let schema = Arc::new(Schema::new(vec![field]));
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(written.dictionary)
        .set_encoding(written.encoding)
        .set_data_page_row_count_limit(written.page_rows)
        .set_write_batch_size(written.page_rows)
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, Arc::clone(&schema), Some(properties)).unwrap();
    writer
        .write(&RecordBatch::try_new(schema, vec![Arc::clone(array)]).unwrap())
        .unwrap();
    writer.close().unwrap();
    let bytes = Bytes::from(file);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let pages = Pages {
        inner: SerializedPageReader::new(
            Arc::new(Part { start: 0, bytes }),
            metadata.row_group(0).column(0),
            array.len(),
            None,
        )
        .unwrap(),
        compressed: false,
    };
    let opened = FlatChunk::open(array.data_type(), is_optional, array.len(), pages, None).unwrap();
    opened.expect("an encoding that is known")
}

/// All values, and those of some rows.
fn check(array: &ArrayRef, written: Written, chosen: u64) {
    let opened = opened(array, written);
    let plain = |array: &ArrayRef| match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).unwrap(),
        _ => Arc::clone(array),
    };
    assert_eq!(
        &plain(&opened.decode(None).unwrap()),
        &plain(array),
        "{written:?}"
    );
    let rows: Vec<u32> = (0..array.len() as u32)
        .filter(|row| chosen.rotate_left(*row) & 1 == 1)
        .collect();
    let expected = take(array, &UInt32Array::from(rows.clone()), None).unwrap();
    let found = opened.decode(Some(&rows)).unwrap();
    assert_eq!(&plain(&found), &plain(&expected), "{rows:?} of {written:?}");
    assert!(opened.decode(Some(&[array.len() as u32])).is_err());
}

/// The values by their numbers, of which `None` is null.
fn arrays(numbers: &[Option<i64>]) -> Vec<(ArrayRef, Vec<Encoding>)> {
    let texts: StringArray = numbers
        .iter()
        .map(|number| number.map(|number| number.to_string()))
        .collect();
    let texts = cast(&texts, &crate::schema::text_type()).unwrap();
    let bytes = |number: &Option<i64>| number.map(|number| number.to_le_bytes().repeat(2));
    let fixed = |length: usize| {
        let values = numbers
            .iter()
            .map(|number| bytes(number).map(|bytes| bytes[..length].to_vec()));
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, length as i32).unwrap()
    };
    let binary: BinaryArray = numbers
        .iter()
        .map(|number| bytes(number).map(|bytes| bytes[..(bytes[0] % 16) as usize].to_vec()))
        .collect();
    let narrow: Int32Array = numbers
        .iter()
        .map(|number| number.map(|number| number as i32))
        .collect();
    let wide: arrow::array::Int64Array = numbers.iter().copied().collect();
    let bits = |number: i64| f64::from_bits(number as u64 & !(0x7ff << 52));
    let doubles: arrow::array::Float64Array = numbers.iter().map(|number| number.map(bits)).collect();
    let truths: BooleanArray = numbers
        .iter()
        .map(|number| number.map(|number| number % 2 == 0))
        .collect();
    let unsigned = |array: &dyn Array, to: DataType| {
        let data = array.to_data().into_builder().data_type(to).build().unwrap();
        arrow::array::make_array(data)
    };
    let split = || vec![Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT];
    let deltas = || [split(), vec![Encoding::DELTA_BINARY_PACKED]].concat();
    vec![
        (texts, vec![]),
        (unsigned(&narrow, DataType::UInt32), deltas()),
        (unsigned(&wide, DataType::UInt64), split()),
        (Arc::new(fixed(8)), vec![Encoding::PLAIN]),
        (Arc::new(fixed(16)), vec![Encoding::PLAIN]),
        (Arc::new(binary), vec![Encoding::PLAIN]),
        (Arc::new(narrow), deltas()),
        (Arc::new(wide), split()),
        (Arc::new(doubles), split()),
        (Arc::new(truths), vec![Encoding::PLAIN]),
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_decoded(
        numbers in prop::collection::vec(
            prop_oneof![Just(None), any::<i64>().prop_map(Some), (0..4_i64).prop_map(Some), (0..100_000_i64).prop_map(Some)],
            1..400,
        ),
        repeat in 1..40_usize,
        with_nulls in any::<bool>(),
        page_rows in 1..300_usize,
        chosen in any::<u64>(),
    ) {
        let numbers: Vec<Option<i64>> = numbers
            .into_iter()
            .map(|number| if with_nulls { number } else { Some(number.unwrap_or_default()) })
            .enumerate()
            .flat_map(|(place, number)| std::iter::repeat_n(number, if place % 5 == 0 { repeat } else { 1 }))
            .collect();
        for (array, encodings) in arrays(&numbers) {
            for encoding in encodings {
                check(&array, Written { encoding, dictionary: false, page_rows }, chosen);
            }
            if !matches!(array.data_type(), DataType::Binary | DataType::Boolean) {
                check(&array, Written { encoding: Encoding::PLAIN, dictionary: true, page_rows }, chosen);
            }
        }
    }

    #[test]
    fn nonsense_is_refused_or_read(page in prop::collection::vec(any::<u8>(), 0..200), rows in 0..300_usize) {
        for data_type in arrays(&[Some(1)]).into_iter().map(|(array, _)| array.data_type().clone()) {
            for encoding in [Encoding::PLAIN, Encoding::RLE_DICTIONARY, Encoding::BYTE_STREAM_SPLIT, Encoding::DELTA_BINARY_PACKED] {
                for is_optional in [false, true] {
                    let data = FlatPage::new(Bytes::from(page.clone()), false, is_optional, 0..rows, encoding);
                    let words = Words::new(&data_type, &Bytes::from_static(&[1, 0, 0, 0, 65]), 1).ok();
                    let chunk = FlatChunk { data_type: data_type.clone(), words: words.map(Arc::new), pages: vec![data] };
                    for wanted in [None, Some(&[0, 2, 7][..])] {
                        if let Ok(array) = chunk.decode(wanted) {
                            prop_assert_eq!(array.len(), wanted.map_or(rows, <[u32]>::len));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_dictionary_that_is_cut_short_is_refused() {
    assert!(texts(&[3, 0, 0, 0, 65, 66], 1).is_err());
    assert!(texts(&[1, 0, 0, 0, 65], 2).is_err());
    assert!(texts(&[1, 0, 0, 0, 0xff], 1).is_err());
}
