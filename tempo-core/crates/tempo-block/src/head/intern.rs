//! Byte strings by code: each distinct one is kept once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempo_traceql::columns::Dictionary;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::schema::value::text_of;

/// Byte strings in the order of their codes, in one allocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Words {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of a code.
    pub(crate) fn bytes(&self, code: u32) -> Option<&[u8]> {
        let code = code as usize;
        let end = *self.ends.get(code)? as usize;
        let start = match code.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// The text of a code that was interned as text.
    pub(crate) fn text(&self, code: u32) -> &str {
        let bytes = self.bytes(code).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn push(&mut self, word: &[u8]) {
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len() as u32);
    }

    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        let end = self.ends.last().copied().unwrap_or_default();
        self.bytes.truncate(end as usize);
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + 4 * self.ends.capacity()
    }
}

impl<'a> FromIterator<&'a str> for Words {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut words = Self::default();
        texts.into_iter().for_each(|text| words.push(text.as_bytes()));
        words
    }
}

impl Dictionary for Words {
    fn len(&self) -> usize {
        self.count()
    }

    fn get(&self, code: u32) -> Option<&str> {
        std::str::from_utf8(self.bytes(code)?).ok()
    }
}

/// What the hashes of new interners are seeded with.
static SEED: AtomicU64 = AtomicU64::new(0);

/// Seeds the hashes of words, for the whole process: whoever sends spans must not be able to choose words that have one
/// hash, which would make each look-up as slow as there are words. To be called once with a random number; codes and all
/// that is made of them are the same for every seed.
pub fn seed_hashes(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

/// Gives codes to byte strings: an open-addressed table over [`Words`].
///
/// The words are shared with published copies; the first new word after a publication copies them.
#[derive(Debug, Clone)]
pub(crate) struct Interner {
    seed: u64,
    words: Arc<Words>,
    /// The hash of each word.
    hashes: Vec<u32>,
    /// Codes plus one; zero is a free slot. A power of two long and at most half full.
    table: Vec<u32>,
    last: u32,
}

impl Default for Interner {
    fn default() -> Self {
        Self::seeded(SEED.load(Ordering::Relaxed))
    }
}

impl Interner {
    fn seeded(seed: u64) -> Self {
        Self {
            seed,
            words: Arc::default(),
            hashes: Vec::new(),
            table: Vec::new(),
            last: 0,
        }
    }

    /// The words so far.
    pub(crate) fn words(&self) -> &Arc<Words> {
        &self.words
    }

    /// How many words there are.
    pub(crate) fn count(&self) -> usize {
        self.words.count()
    }

    /// The code of a text; what is not UTF-8 in it is replaced by U+FFFD.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> u32 {
        match self.find(bytes) {
            Ok(code) => code,
            Err(hash) => match std::str::from_utf8(bytes) {
                Ok(_) => self.add(bytes, hash),
                Err(_) => self.bytes(text_of(bytes).as_bytes()),
            },
        }
    }

    /// The code of a byte string.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> u32 {
        match self.find(bytes) {
            Ok(code) => code,
            Err(hash) => self.add(bytes, hash),
        }
    }

    /// The code, or the hash of a word that has none yet.
    fn find(&mut self, bytes: &[u8]) -> Result<u32, u32> {
        if self.words.bytes(self.last) == Some(bytes) {
            return Ok(self.last);
        }
        let hash = xxh3_64_with_seed(bytes, self.seed) as u32;
        for slot in self.slots(hash) {
            match self.table.get(slot) {
                None | Some(0) => break,
                Some(taken) => {
                    let code = taken - 1;
                    let is_same = self.hashes.get(code as usize) == Some(&hash);
                    if is_same && self.words.bytes(code) == Some(bytes) {
                        self.last = code;
                        return Ok(code);
                    }
                }
            }
        }
        Err(hash)
    }

    /// The slots where a word of this hash may be, in the order of looking.
    fn slots(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let length = self.table.len();
        let start = hash as usize;
        (0..length).map(move |step| start.wrapping_add(step) & (length - 1))
    }

    fn add(&mut self, bytes: &[u8], hash: u32) -> u32 {
        let code = self.count() as u32;
        Arc::make_mut(&mut self.words).push(bytes);
        self.hashes.push(hash);
        if self.hashes.len() * 2 > self.table.len() {
            self.grow();
        } else {
            self.take_slot(code, hash);
        }
        self.last = code;
        code
    }

    fn grow(&mut self) {
        self.table = vec![0; (self.hashes.len() * 4).next_power_of_two().max(16)];
        let hashes = std::mem::take(&mut self.hashes);
        for (code, hash) in (0..).zip(&hashes) {
            self.take_slot(code, *hash);
        }
        self.hashes = hashes;
    }

    fn take_slot(&mut self, code: u32, hash: u32) {
        let is_free = |slot: &usize| self.table.get(*slot) == Some(&0);
        let free = self.slots(hash).find(is_free);
        if let Some(slot) = free.and_then(|slot| self.table.get_mut(slot)) {
            *slot = code + 1;
        }
    }

    /// Forgets all words but the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        Arc::make_mut(&mut self.words).truncate(count);
        self.hashes.truncate(count);
        self.grow();
    }

    /// Gives back what only new words need; nothing may be interned any more.
    pub(crate) fn seal(&mut self) {
        if let Some(words) = Arc::get_mut(&mut self.words) {
            words.bytes.shrink_to_fit();
            words.ends.shrink_to_fit();
        }
        self.hashes = Vec::new();
        self.table = Vec::new();
    }

    /// Bytes of memory, about.
    pub(crate) fn memory(&self) -> usize {
        self.words.memory() + 4 * (self.hashes.capacity() + self.table.capacity())
    }
}

/// A column of codes with the words that they stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coded {
    pub(crate) codes: Vec<u32>,
    pub(crate) interner: Interner,
}

impl Coded {
    /// Codes of these words, sealed.
    pub(crate) fn of<'a>(words: impl Iterator<Item = &'a str>, codes: Vec<u32>) -> Self {
        let interner = Interner {
            words: Arc::new(words.collect()),
            ..Interner::default()
        };
        Self { codes, interner }
    }

    pub(crate) fn push_text(&mut self, text: &[u8]) {
        let code = self.interner.text(text);
        self.codes.push(code);
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        let code = self.interner.bytes(bytes);
        self.codes.push(code);
    }

    /// The text of an entry; empty when there is no such entry.
    pub(crate) fn text(&self, index: usize) -> &str {
        self.codes
            .get(index)
            .map_or("", |code| self.interner.words.text(*code))
    }

    /// The bytes of an entry; empty when there is no such entry.
    pub(crate) fn bytes(&self, index: usize) -> &[u8] {
        let code = self.codes.get(index);
        code.and_then(|code| self.interner.words.bytes(*code))
            .unwrap_or_default()
    }

    /// Adds the first `count` entries of `other`.
    pub(crate) fn extend(&mut self, other: &Self, count: usize) {
        let mut codes: Vec<Option<u32>> = vec![None; other.interner.count()];
        self.codes.reserve(count);
        for code in other.codes.iter().take(count) {
            let Some(known) = codes.get_mut(*code as usize) else {
                continue;
            };
            let word = other.interner.words.bytes(*code).unwrap_or_default();
            let own = *known.get_or_insert_with(|| self.interner.bytes(word));
            self.codes.push(own);
        }
    }

    /// Gives back what only new entries need; nothing may be pushed any more.
    pub(crate) fn seal(&mut self) {
        self.codes.shrink_to_fit();
        self.interner.seal();
    }

    pub(crate) fn memory(&self) -> usize {
        4 * self.codes.capacity() + self.interner.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_have_equal_codes_through_growth() {
        let mut interner = Interner::default();
        let word = |number: u32| number.to_string().into_bytes();
        let codes: Vec<u32> = (0..1000).map(|number| interner.bytes(&word(number))).collect();
        assert_eq!(codes, (0..1000).collect::<Vec<_>>());
        for number in (0..1000).rev() {
            assert_eq!(interner.bytes(&word(number)), number);
        }
        assert_eq!(interner.words().bytes(999), Some(&b"999"[..]));
        assert_eq!(interner.words().bytes(1000), None);
    }

    /// How far from its own place a word is at most.
    fn longest_search(interner: &Interner) -> usize {
        let distance = |(code, hash): (u32, &u32)| {
            interner
                .slots(*hash)
                .position(|slot| interner.table[slot] == code + 1)
        };
        (0..)
            .zip(&interner.hashes)
            .filter_map(distance)
            .max()
            .unwrap_or_default()
    }

    #[test]
    fn words_chosen_to_meet_in_one_place_do_not_when_the_seed_is_another() {
        let words = (0_u64..).map(u64::to_le_bytes);
        let chosen = words.filter(|word| xxh3_64_with_seed(word, 0).is_multiple_of(256));
        let (mut known, mut secret) = (Interner::seeded(0), Interner::seeded(0x5eed));
        for word in chosen.take(2000) {
            assert_eq!(known.bytes(&word), secret.bytes(&word));
        }
        assert!(longest_search(&known) > 100, "{}", longest_search(&known));
        assert!(longest_search(&secret) < 50, "{}", longest_search(&secret));
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        let mut interner = Interner::default();
        let broken = interner.text(b"a\xff");
        assert_eq!(interner.words().text(broken), "a\u{fffd}");
        assert_eq!(interner.text(b"a\xfe"), broken);
        assert_eq!(interner.text("a\u{fffd}".as_bytes()), broken);
    }

    #[test]
    fn forgotten_words_are_new_again() {
        let mut interner = Interner::default();
        for word in [b"one", b"two", b"six"] {
            interner.bytes(word);
        }
        interner.truncate(1);
        assert_eq!(interner.bytes(b"six"), 1);
        assert_eq!(interner.bytes(b"one"), 0);
        assert_eq!(interner.count(), 2);
    }

    #[test]
    fn published_words_do_not_change() {
        let mut interner = Interner::default();
        interner.text(b"one");
        let published = Arc::clone(interner.words());
        interner.text(b"two");
        assert_eq!((published.count(), interner.count()), (1, 2));
    }
}
