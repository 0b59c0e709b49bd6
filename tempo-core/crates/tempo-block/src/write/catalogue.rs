//! The catalogue of a block, from the dictionaries and values of segments.

use std::collections::HashMap;
use std::hash::Hash;

use tempo_model::view::{self, ValueView};
use tempo_traceql::ast::Scope;

use super::rows::at;
use crate::catalogue::Catalogue;
use crate::head::HeadSnapshot;
use crate::head::attributes::AttributeTable;
use crate::head::attributes::column::{Column, ColumnValues};
use crate::head::intern::{Coded, Words};
use crate::head::owner::Owner;
use crate::schema::ValueKind;

/// The catalogue of all spans of a snapshot.
pub(super) fn of(snapshot: &HeadSnapshot) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let tables = snapshot.tables();
    let mut resources = vec![0; tables.resources.len()];
    let mut scopes = vec![0; tables.scopes.len()];
    for segment in &snapshot.segments {
        add_table(Scope::Span, &segment.attributes, &mut catalogue);
        add_table(Scope::Event, &segment.events.attributes, &mut catalogue);
        add_table(Scope::Link, &segment.links.attributes, &mut catalogue);
        for (name, count) in used_words(&segment.name) {
            catalogue.add_name(text_of(name), count);
        }
        count_into(&segment.resource, &mut resources);
        count_into(&segment.scope, &mut scopes);
    }
    for (owner, count) in tables.resources.iter().zip(resources) {
        add_owner(Scope::Resource, owner, count, &mut catalogue);
    }
    for (owner, count) in tables.scopes.iter().zip(scopes) {
        add_owner(Scope::Instrumentation, owner, count, &mut catalogue);
    }
    catalogue.finish();
    catalogue
}

fn count_into(numbers: &[u32], counts: &mut [u64]) {
    for number in numbers {
        if let Some(count) = counts.get_mut(*number as usize) {
            *count += 1;
        }
    }
}

fn add_owner(scope: Scope, owner: &Owner, count: u64, catalogue: &mut Catalogue) {
    for attribute in owner.attributes().filter(|_| count > 0) {
        catalogue.add_key(scope, text_of(attribute.key));
        add(scope, text_of(attribute.key), attribute.value, count, catalogue);
    }
}

fn add_table(scope: Scope, table: &AttributeTable, catalogue: &mut Catalogue) {
    for (key, column) in table.columns() {
        catalogue.add_key(scope, key);
        match &column.values {
            ColumnValues::Int(values) => {
                for (value, count) in counted(values.iter().copied()) {
                    add(scope, key, ValueView::Int(value), count, catalogue);
                }
            }
            ColumnValues::Double(values) => {
                for (bits, count) in counted(values.iter().map(|value| value.to_bits())) {
                    add(
                        scope,
                        key,
                        ValueView::Double(f64::from_bits(bits)),
                        count,
                        catalogue,
                    );
                }
            }
            ColumnValues::Bool(values) => {
                for (value, count) in counted(values.iter().copied()) {
                    add(scope, key, ValueView::Bool(value), count, catalogue);
                }
            }
            ColumnValues::Coded(coded) => add_coded(scope, key, column, coded, catalogue),
            ColumnValues::Empty => {}
        }
    }
}

fn add_coded(scope: Scope, key: &str, column: &Column, coded: &Coded, catalogue: &mut Catalogue) {
    if column.kind == ValueKind::String || column.kind == ValueKind::Array {
        for (word, count) in used_words(coded) {
            add(scope, key, column.coded_view(word), count, catalogue);
        }
    }
}

/// Adds a value, or the elements of an array. Bytes, key-value lists, empty values, and arrays of several types are
/// nothing that queries can name.
fn add(scope: Scope, key: &str, value: ValueView<'_>, count: u64, catalogue: &mut Catalogue) {
    if let ValueView::Array(array) = value {
        let elements: Result<Vec<ValueView<'_>>, _> = view::array_values(array).collect();
        let elements = elements.unwrap_or_default();
        let mut kinds = elements.iter().map(ValueKind::of);
        let first = kinds.next();
        if first != Some(ValueKind::Array) && kinds.all(|kind| Some(kind) == first) {
            for element in elements {
                add(scope, key, element, count, catalogue);
            }
        }
        return;
    }
    match value {
        ValueView::String(text) => catalogue.add(scope, key, "string", text_of(text), count),
        ValueView::Int(number) => catalogue.add(scope, key, "int", &number.to_string(), count),
        ValueView::Double(number) => catalogue.add(scope, key, "float", &format!("{number:?}"), count),
        ValueView::Bool(value) => catalogue.add(scope, key, "bool", &value.to_string(), count),
        _ => {}
    }
}

/// The words that are used with how often they are, the most frequent first, as a catalogue keeps what comes first.
fn used_words(coded: &Coded) -> impl Iterator<Item = (&[u8], u64)> {
    let words: &Words = coded.interner.words();
    let mut counts = vec![0_u64; words.count()];
    count_into(&coded.codes, &mut counts);
    let mut by_count: Vec<u32> = (0..words.count() as u32).collect();
    by_count.sort_by_key(|code| std::cmp::Reverse(at(&counts, *code as usize)));
    by_count.into_iter().filter_map(move |code| {
        let count = at(&counts, code as usize);
        (count > 0).then(|| (words.bytes(code).unwrap_or_default(), count))
    })
}

/// Each value with how often it occurs, the most frequent first.
fn counted<T: Hash + Eq + Copy>(values: impl Iterator<Item = T>) -> Vec<(T, u64)> {
    let mut counts: HashMap<T, u64> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<(T, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn text_of(bytes: &[u8]) -> &str {
    // The head has replaced what was not UTF-8.
    std::str::from_utf8(bytes).unwrap_or_default()
}
