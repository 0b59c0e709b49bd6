//! Arrow arrays by type. A file whose columns are of other types than the format's is damaged, so every look is checked.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray,
    Int32Array, PrimitiveArray, StringArray,
};
use arrow::datatypes::Int32Type;
use tempo_traceql::columns::Dictionary;

/// A column of numbers.
pub(super) fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<&PrimitiveArray<T>> {
    array.as_primitive_opt::<T>()
}

/// A column of truths.
pub(super) fn booleans(array: &ArrayRef) -> Option<&BooleanArray> {
    array.as_boolean_opt()
}

/// A column of bytes of one length.
pub(super) fn fixed(array: &ArrayRef) -> Option<&FixedSizeBinaryArray> {
    array.as_fixed_size_binary_opt()
}

/// A column of bytes.
pub(super) fn binary(array: &ArrayRef) -> Option<&BinaryArray> {
    array.as_binary_opt::<i32>()
}

/// A column of texts, as codes of a dictionary. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    keys: Int32Array,
    dictionary: Arc<TextDictionary>,
}

impl Texts {
    pub(super) fn new(array: &ArrayRef) -> Option<Self> {
        let array = array.as_dictionary_opt::<Int32Type>()?;
        Some(Self {
            keys: array.keys().clone(),
            dictionary: Arc::new(TextDictionary::new(array.values().as_string_opt()?)),
        })
    }

    /// The codes; where a row has no text, anything.
    pub(super) fn keys(&self) -> &Int32Array {
        &self.keys
    }

    /// The code of a row that has a text.
    pub(super) fn code(&self, row: usize) -> Option<u32> {
        let is_there = row < self.keys.len() && self.keys.is_valid(row);
        is_there.then(|| self.keys.value(row) as u32)
    }

    /// The text of a row.
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        self.text(self.code(row)?)
    }

    /// The text of a row, empty where it has none.
    pub(super) fn owned(&self, row: usize) -> String {
        self.get(row).unwrap_or_default().to_owned()
    }

    /// The text of a code.
    pub(super) fn text(&self, code: u32) -> Option<&str> {
        self.dictionary.get(code)
    }

    /// All texts of the dictionary, by code.
    pub(super) fn dictionary(&self) -> impl Iterator<Item = &str> {
        self.dictionary.0.iter().map(Option::unwrap_or_default)
    }

    /// The dictionary, to be handed on.
    pub(super) fn shared_dictionary(&self) -> Arc<dyn Dictionary> {
        Arc::clone(&self.dictionary) as Arc<dyn Dictionary>
    }
}

/// The texts of an Arrow dictionary.
#[derive(Debug)]
pub(super) struct TextDictionary(StringArray);

impl TextDictionary {
    /// Of these texts, which it shares.
    pub(super) fn new(texts: &StringArray) -> Self {
        Self(texts.clone())
    }
}

impl Dictionary for TextDictionary {
    fn len(&self) -> usize {
        Array::len(&self.0)
    }

    fn get(&self, code: u32) -> Option<&str> {
        let code = code as usize;
        (code < Array::len(&self.0)).then(|| self.0.value(code))
    }
}
