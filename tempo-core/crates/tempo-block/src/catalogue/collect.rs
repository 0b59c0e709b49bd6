//! How a catalogue is made: value by value, or of a whole batch of spans.

use std::collections::HashMap;

use tempo_traceql::ast::Scope;
use tempo_traceql::columns::{Column, FetchError, Field, Part, Selection, SpanBatch, Values};

use super::{Catalogue, Key, MAX_VALUE_BYTES};

/// The scope of what is no attribute.
pub(super) const INTRINSIC: &str = "intrinsic";
/// The key of spans' names.
pub(super) const NAME: &str = "name";
/// How many distinct values of a key are looked at while a catalogue is made; the rest is only counted.
const MAX_SEEN: usize = 4096;

/// The name of a type as tag values have it.
pub(super) fn kind_name(kind: &str) -> &'static str {
    match kind {
        "int" => "int",
        "float" => "float",
        "bool" => "bool",
        _ => "string",
    }
}

impl Catalogue {
    /// The catalogue of a batch.
    pub fn of(batch: &dyn SpanBatch) -> Result<Self, FetchError> {
        let mut catalogue = Self::default();
        for scope in Scope::ALL {
            for key in batch.attribute_keys(scope)? {
                let column = batch.column(&Field::Attribute(scope, key.clone()), Selection::All)?;
                catalogue.entry(scope.name(), &key).add_column(&column);
            }
        }
        let names = batch.column(&Field::Name, Selection::All)?;
        catalogue.entry(INTRINSIC, NAME).add_column(&names);
        catalogue.finish();
        Ok(catalogue)
    }

    /// Adds `count` occurrences of a value; `kind` is the type as TraceQL names it: `string`, `int`, `float`, `bool`.
    /// When all is added comes [`Catalogue::finish`].
    pub fn add(&mut self, scope: Scope, key: &str, kind: &'static str, value: &str, count: u64) {
        self.entry(scope.name(), key).add(kind, value, count);
    }

    /// Adds a key, whether or not it has values that TraceQL has a type for.
    pub fn add_key(&mut self, scope: Scope, key: &str) {
        self.entry(scope.name(), key);
    }

    /// Says that a key has `distinct` values at least, of which those that occur `count` times were not added.
    pub fn add_others(&mut self, scope: Scope, key: &str, distinct: u64, count: u64) {
        let key = self.entry(scope.name(), key);
        key.count += count;
        key.distinct = key.distinct.max(distinct);
        key.complete = false;
    }

    /// Adds `count` occurrences of a span's name.
    pub fn add_name(&mut self, name: &str, count: u64) {
        self.entry(INTRINSIC, NAME).add("string", name, count);
    }

    /// Keeps the frequent values only, now that everything was added.
    pub fn finish(&mut self) {
        self.trim();
    }

    fn entry(&mut self, scope: &str, key: &str) -> &mut Key {
        let keys = self.scopes.entry(scope.to_owned()).or_default();
        keys.entry(key.to_owned()).or_insert_with(|| Key {
            complete: true,
            ..Key::default()
        })
    }
}

impl Key {
    fn add(&mut self, kind: &'static str, value: &str, count: u64) {
        self.count += count;
        if !self.types.contains(kind) {
            self.types.insert(kind.to_owned());
        }
        let full = self.kept() >= MAX_SEEN;
        let texts = self.values.entry(kind.to_owned()).or_default();
        if let Some(known) = texts.get_mut(value) {
            *known += count;
        } else if full || value.len() > MAX_VALUE_BYTES {
            self.complete = false;
        } else {
            texts.insert(value.to_owned(), count);
            self.distinct = self.distinct.max(self.kept() as u64);
        }
    }

    fn add_column(&mut self, column: &Column) {
        for part in &column.parts {
            self.add_part(part);
        }
    }

    fn add_part(&mut self, part: &Part) {
        match &part.values {
            Values::String { codes, dictionary } => {
                for (code, count) in counted(codes.iter().copied()) {
                    self.add("string", dictionary.get(code).unwrap_or_default(), count);
                }
            }
            Values::Int(values) => {
                self.add_all("int", counted(values.iter().copied()), i64::to_string);
            }
            Values::Float(values) => {
                let bits = values.iter().map(|value| value.to_bits());
                self.add_all("float", counted(bits), |bits| {
                    format!("{:?}", f64::from_bits(*bits))
                });
            }
            Values::Bool(values) => {
                self.add_all("bool", counted(values.iter().copied()), bool::to_string);
            }
            // Attributes have no other types.
            Values::Duration(_)
            | Values::Status(_)
            | Values::Kind(_)
            | Values::SpanId(_)
            | Values::TraceId(_) => {}
        }
    }

    fn add_all<T>(&mut self, kind: &'static str, counts: Vec<(T, u64)>, text: impl Fn(&T) -> String) {
        for (value, count) in counts {
            self.add(kind, &text(&value), count);
        }
    }
}

/// Each value with how often it occurs, most frequent first.
fn counted<T: std::hash::Hash + Eq + Ord + Copy>(values: impl Iterator<Item = T>) -> Vec<(T, u64)> {
    let mut counts: HashMap<T, u64> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<(T, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
    counts
}
