//! Damaged inputs: valid samples with random edits, which get much further into a decoder than random bytes.
//! `make fuzz` runs the tests that use it with many more cases.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[derive(Debug, Clone)]
enum Edit {
    Replace(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
    Truncate(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if let Self::Insert(at, new) = self {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, new.iter().copied());
            return;
        }
        if bytes.is_empty() {
            return;
        }
        let range = |from: &Index, to: &Index| {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            from.min(to)..(from.max(to) + 1)
        };
        match self {
            Self::Replace(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << (bit % 8);
            }
            Self::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Self::Repeat(from, to) => {
                let copy = bytes[range(from, to)].to_vec();
                bytes.extend(copy);
            }
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(..) => {}
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), at()).prop_map(|(from, to)| Edit::Remove(from, to)),
        (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        at().prop_map(Edit::Truncate),
    ]
}

/// One of the samples, with up to six edits.
pub(crate) fn edited(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (select(samples), vec(edit(), 0..7)).prop_map(|(mut bytes, edits)| {
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        bytes
    })
}

/// One of the texts, with up to six edits; what is not UTF-8 after them is replaced.
#[allow(dead_code, reason = "not every crate that shares this file decodes text")]
pub(crate) fn edited_text(samples: &[&str]) -> impl Strategy<Value = String> {
    let samples = samples.iter().map(|text| text.as_bytes().to_vec()).collect();
    edited(samples).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
