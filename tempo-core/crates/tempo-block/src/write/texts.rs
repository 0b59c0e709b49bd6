//! Dictionaries of several segments as one, which has the words that are used.

use std::collections::HashMap;

use super::chunk::Values;
use crate::head::intern::{Interner, Words};

/// No code yet.
const NONE: u32 = u32::MAX;

/// Texts or bytes, given by their codes in the dictionaries of segments.
pub(super) struct Texts<'a> {
    parts: Vec<TextPart<'a>>,
    by_word: HashMap<&'a [u8], u32>,
    words: Vec<&'a [u8]>,
    codes: Vec<u32>,
}

struct TextPart<'a> {
    words: &'a Words,
    /// The new code of each word, or [`NONE`].
    codes: Vec<u32>,
}

impl<'a> Texts<'a> {
    /// None yet, of these dictionaries.
    pub(super) fn of(parts: impl Iterator<Item = &'a Words>) -> Self {
        let part = |words: &'a Words| TextPart {
            words,
            codes: vec![NONE; words.count()],
        };
        Self {
            parts: parts.map(part).collect(),
            by_word: HashMap::new(),
            words: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Adds a value: a code of a part's dictionary.
    pub(super) fn push(&mut self, part: usize, code: u32) {
        let is_alone = self.parts.len() == 1;
        let Some(part) = self.parts.get_mut(part) else {
            return;
        };
        let Some(known) = part.codes.get_mut(code as usize) else {
            return;
        };
        if *known == NONE {
            let word = part.words.bytes(code).unwrap_or_default();
            let new = self.words.len() as u32;
            // The words of one dictionary are distinct.
            *known = if is_alone {
                new
            } else {
                *self.by_word.entry(word).or_insert(new)
            };
            if *known == new {
                self.words.push(word);
            }
        }
        self.codes.push(*known);
    }

    /// The new codes.
    pub(super) fn into_codes(self) -> Vec<u32> {
        self.codes
    }

    /// As the values of a column. The words are sorted, as they compress better so.
    pub(super) fn into_values(self) -> Values<'a> {
        let mut sorted: Vec<(&[u8], u32)> = self.words.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let mut places = vec![0; sorted.len()];
        for (place, (_, code)) in (0..).zip(&sorted) {
            if let Some(of_code) = places.get_mut(*code as usize) {
                *of_code = place;
            }
        }
        let place = |code: u32| places.get(code as usize).copied().unwrap_or_default();
        Values::Coded {
            codes: self.codes.into_iter().map(place).collect(),
            words: sorted.into_iter().map(|(word, _)| word).collect(),
        }
    }
}

/// Texts that are made for the column.
#[derive(Debug, Default)]
pub(super) struct MadeTexts {
    interner: Interner,
    codes: Vec<u32>,
}

impl MadeTexts {
    /// The code of a text, which is to be used.
    pub(super) fn code(&mut self, text: &[u8]) -> u32 {
        self.interner.text(text)
    }

    /// Adds a value by its code.
    pub(super) fn push_code(&mut self, code: u32) {
        self.codes.push(code);
    }

    /// Adds a value.
    pub(super) fn push(&mut self, text: &[u8]) {
        let code = self.code(text);
        self.push_code(code);
    }

    /// As the values of a column.
    pub(super) fn values(&self) -> Values<'_> {
        let words = self.interner.words();
        let word = |code| words.bytes(code).unwrap_or_default();
        Values::Coded {
            codes: self.codes.clone(),
            words: (0..words.count() as u32).map(word).collect(),
        }
    }
}
