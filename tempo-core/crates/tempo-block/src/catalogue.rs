//! The attribute catalogue of a block: which keys there are in which scope, of which types, how many values each has,
//! and the frequent ones. It answers tag queries without reading spans.
//!
//! ```text
//! "TCAT"  version u16  reserved u16  crc32c u32 of the rest  zstd of JSON        (little endian)
//! ```
//! Not here: tag queries with a filter, which need the spans (`scan`).

mod collect;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::{Deserialize, Serialize};
use tempo_traceql::ast::Scope;
use tempo_traceql::tags::TagValue;

/// The format that this version writes.
pub const CATALOGUE_FORMAT: u16 = 1;

const MAGIC: [u8; 4] = *b"TCAT";
const HEADER_BYTES: usize = 12;
/// What a catalogue may unpack to: more is a damaged or hostile file.
const MAX_UNPACKED_BYTES: u64 = 256 << 20;
const COMPRESSION_LEVEL: i32 = 3;

/// How many values are kept of each key in a catalogue with few keys.
const MAX_VALUES_OF_KEY: usize = 256;
/// How many values are kept in all, at least one of each key.
const MAX_VALUES: usize = 20_000;
/// A longer value is counted and not kept.
const MAX_VALUE_BYTES: usize = 256;

/// The keys of a block, or of several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Catalogue {
    /// By scope (`span`, `resource`, `event`, `link`, `instrumentation`, and `intrinsic` with the key `name`).
    scopes: BTreeMap<String, BTreeMap<String, Key>>,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Key {
    /// How many values it has.
    pub count: u64,
    /// How many distinct values at least; exactly so many when `complete`.
    pub distinct: u64,
    /// Whether `values` has all of them.
    pub complete: bool,
    /// The types that TraceQL knows of its values: `string`, `int`, `float`, `bool`.
    pub types: BTreeSet<String>,
    /// Frequent values by type, with how often each was seen since it was first kept.
    pub values: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A catalogue that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not a catalogue.
    #[error("not a catalogue: it starts with {found:02x?}, not with \"TCAT\"")]
    Magic {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// Written by a later version.
    #[error("catalogue format {found} is newer than this version reads ({CATALOGUE_FORMAT}): upgrade tempo")]
    Version {
        /// Its version.
        found: u16,
    },
    /// The bytes are not those that were written.
    #[error("catalogue checksum is {computed:08x}, {stored:08x} was written: the file is damaged")]
    Checksum {
        /// Of what was read.
        computed: u32,
        /// In the header.
        stored: u32,
    },
    /// The compressed part cannot be unpacked.
    #[error("unpack the catalogue: {0}")]
    Unpack(#[source] std::io::Error),
    /// The unpacked part is no catalogue.
    #[error("read the catalogue: {0}")]
    Json(#[from] serde_json::Error),
}

impl Catalogue {
    /// The keys of a scope, sorted.
    pub fn keys(&self, scope: Scope) -> impl Iterator<Item = (&str, &Key)> {
        let keys = self.scopes.get(scope.name());
        keys.into_iter()
            .flatten()
            .map(|(key, known)| (key.as_str(), known))
    }

    /// What is known of a key.
    pub fn key(&self, scope: Scope, key: &str) -> Option<&Key> {
        self.scopes.get(scope.name())?.get(key)
    }

    /// What is known of the names of spans.
    pub fn names(&self) -> Option<&Key> {
        self.scopes.get(collect::INTRINSIC)?.get(collect::NAME)
    }

    /// How many keys in all scopes, the names of spans not counted.
    pub fn len(&self) -> usize {
        Scope::ALL.iter().map(|scope| self.keys(*scope).count()).sum()
    }

    /// Whether no span has an attribute.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what another catalogue knows: of other row groups, or of other blocks.
    pub fn merge(&mut self, other: &Self) {
        for (scope, keys) in &other.scopes {
            let known = self.scopes.entry(scope.clone()).or_default();
            for (key, other) in keys {
                match known.get_mut(key) {
                    Some(known) => known.merge(other),
                    None => drop(known.insert(key.clone(), other.clone())),
                }
            }
        }
        self.trim();
    }

    /// The file.
    pub fn encode(&self) -> Result<Vec<u8>, CatalogueError> {
        let json = serde_json::to_vec(self)?;
        let body = zstd::encode_all(json.as_slice(), COMPRESSION_LEVEL).map_err(CatalogueError::Unpack)?;
        let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&CATALOGUE_FORMAT.to_le_bytes());
        file.extend_from_slice(&[0; 2]);
        file.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        file.extend_from_slice(&body);
        Ok(file)
    }

    /// Reads a file.
    pub fn decode(file: &[u8]) -> Result<Self, CatalogueError> {
        let Some((header, body)) = file.split_first_chunk::<HEADER_BYTES>() else {
            return Err(not_a_catalogue(file));
        };
        let [a, b, c, d, version_low, version_high, _, _, crc @ ..] = *header;
        if [a, b, c, d] != MAGIC {
            return Err(not_a_catalogue(file));
        }
        let found = u16::from_le_bytes([version_low, version_high]);
        if found > CATALOGUE_FORMAT {
            return Err(CatalogueError::Version { found });
        }
        let (stored, computed) = (u32::from_le_bytes(crc), crc32c::crc32c(body));
        if stored != computed {
            return Err(CatalogueError::Checksum { computed, stored });
        }
        let unpacked = zstd::Decoder::new(body).map_err(CatalogueError::Unpack)?;
        let mut json = Vec::new();
        unpacked
            .take(MAX_UNPACKED_BYTES)
            .read_to_end(&mut json)
            .map_err(CatalogueError::Unpack)?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// Bytes of memory, about: what a cache counts.
    pub fn memory(&self) -> usize {
        const NODE: usize = 96;
        let of_key = |(key, known): (&String, &Key)| {
            let values = known.values.values().flat_map(BTreeMap::keys);
            NODE + key.len() + values.map(|value| NODE + value.len()).sum::<usize>()
        };
        self.scopes.values().flatten().map(of_key).sum()
    }

    /// Keeps the file small where there are many keys.
    fn trim(&mut self) {
        let keys: usize = self.scopes.values().map(BTreeMap::len).sum();
        let most = kept_values(keys);
        for key in self.scopes.values_mut().flat_map(BTreeMap::values_mut) {
            key.trim(most);
        }
    }
}

/// How many values are kept of each of so many keys.
pub(crate) fn kept_values(keys: usize) -> usize {
    (MAX_VALUES / keys.max(1)).clamp(1, MAX_VALUES_OF_KEY)
}

fn not_a_catalogue(file: &[u8]) -> CatalogueError {
    CatalogueError::Magic {
        found: file.iter().take(MAGIC.len()).copied().collect(),
    }
}

impl Key {
    /// The kept values, by type and text.
    pub fn tag_values(&self) -> impl Iterator<Item = TagValue> {
        self.values.iter().flat_map(|(kind, texts)| {
            let kind = collect::kind_name(kind);
            texts.keys().map(move |text| TagValue {
                kind,
                value: text.clone(),
            })
        })
    }

    fn kept(&self) -> usize {
        self.values.values().map(BTreeMap::len).sum()
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.types.extend(other.types.iter().cloned());
        for (kind, texts) in &other.values {
            let known = self.values.entry(kind.clone()).or_default();
            for (text, count) in texts {
                *known.entry(text.clone()).or_default() += count;
            }
        }
        self.complete &= other.complete;
        self.distinct = if self.complete {
            self.kept() as u64
        } else {
            self.distinct.max(other.distinct).max(self.kept() as u64)
        };
    }

    /// Keeps the `most` frequent values.
    fn trim(&mut self, most: usize) {
        let kept = self.kept();
        if kept <= most {
            return;
        }
        let mut counts: Vec<u64> = self
            .values
            .values()
            .flat_map(|texts| texts.values().copied())
            .collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let least = counts.get(most - 1).copied().unwrap_or_default();
        let mut ties = most - counts.iter().filter(|count| **count > least).count();
        for texts in self.values.values_mut() {
            texts.retain(|_, count| {
                let tie = *count == least && ties > 0;
                ties -= usize::from(tie);
                *count > least || tie
            });
        }
        self.complete = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(values: &[(&str, u64)]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for (value, count) in values {
            catalogue.add(Scope::Span, "key", "string", value, *count);
        }
        catalogue.finish();
        catalogue
    }

    #[test]
    fn merging_adds_up_and_comes_back_from_its_file() {
        let mut all = catalogue(&[("a", 2), ("b", 1)]);
        all.merge(&catalogue(&[("b", 5), ("c", 1)]));
        let key = all.key(Scope::Span, "key").unwrap();
        assert_eq!((key.count, key.distinct, key.complete), (9, 3, true));
        assert_eq!(key.values["string"]["b"], 6);
        assert_eq!(Catalogue::decode(&all.encode().unwrap()).unwrap(), all);
    }

    #[test]
    fn the_frequent_values_are_kept() {
        let texts: Vec<String> = (0..1000).map(|number| format!("{number:04}")).collect();
        let counts: Vec<(&str, u64)> = texts.iter().map(String::as_str).zip(1..).collect();
        let catalogue = catalogue(&counts);
        let key = catalogue.key(Scope::Span, "key").unwrap();
        assert_eq!(
            (key.kept(), key.distinct, key.complete),
            (MAX_VALUES_OF_KEY, 1000, false)
        );
        assert!(key.values["string"].contains_key("0999") && !key.values["string"].contains_key("0000"));
    }

    #[test]
    fn long_values_are_counted_and_not_kept() {
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        let catalogue = catalogue(&[(&long, 1), ("a", 1)]);
        let key = catalogue.key(Scope::Span, "key").unwrap();
        assert_eq!((key.count, key.kept(), key.complete), (2, 1, false));
    }

    #[test]
    fn damage_is_an_error() {
        let file = catalogue(&[("a", 1)]).encode().unwrap();
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            // The two reserved bytes are the only ones that nothing depends on.
            assert_eq!(
                Catalogue::decode(&damaged).is_err(),
                !(6..8).contains(&at),
                "byte {at}"
            );
            assert!(Catalogue::decode(&file[..at]).is_err());
        }
    }
}
