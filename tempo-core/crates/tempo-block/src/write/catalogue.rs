//! The catalogue of a block, from the dictionaries and values of segments.

use tempo_model::view::{self, ValueView};
use tempo_traceql::ast::Scope;

use crate::catalogue::{Catalogue, kept_values};
use crate::head::HeadSnapshot;
use crate::head::attributes::AttributeTable;
use crate::head::attributes::column::ColumnValues;
use crate::head::intern::{Coded, Words};
use crate::head::owner::Owner;
use crate::schema::ValueKind;

/// Of the values of a key in a segment so many times as many are looked at one by one as the catalogue keeps in the end,
/// because what is frequent in one segment need not be in the next.
const LOOK_AT: usize = 4;

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
    let most = LOOK_AT * kept_values(table.columns().count());
    for (key, column) in table.columns() {
        catalogue.add_key(scope, key);
        match &column.values {
            ColumnValues::Int(values) => {
                let values = counted(values.clone());
                add_frequent(scope, key, &values, most, ValueView::Int, catalogue);
            }
            ColumnValues::Double(values) => {
                let values = counted(values.iter().map(|value| value.to_bits()).collect());
                add_frequent(
                    scope,
                    key,
                    &values,
                    most,
                    |bits| ValueView::Double(f64::from_bits(bits)),
                    catalogue,
                );
            }
            ColumnValues::Bool(values) => {
                add_frequent(
                    scope,
                    key,
                    &counted(values.clone()),
                    most,
                    ValueView::Bool,
                    catalogue,
                );
            }
            ColumnValues::Coded(coded) if matches!(column.kind, ValueKind::String | ValueKind::Array) => {
                add_frequent(
                    scope,
                    key,
                    &used_words(coded),
                    most,
                    |word| column.coded_view(word),
                    catalogue,
                );
            }
            ColumnValues::Coded(_) | ColumnValues::Empty => {}
        }
    }
}

/// Adds the first values, which are the most frequent, one by one, and says of the others that they are there.
fn add_frequent<'a, T: Copy>(
    scope: Scope,
    key: &str,
    values: &[(T, u64)],
    most: usize,
    view: impl Fn(T) -> ValueView<'a>,
    catalogue: &mut Catalogue,
) {
    let (frequent, others) = values.split_at(values.len().min(most));
    for (value, count) in frequent {
        add(scope, key, view(*value), *count, catalogue);
    }
    if !others.is_empty() {
        catalogue.add_others(
            scope,
            key,
            values.len() as u64,
            others.iter().map(|(_, count)| count).sum(),
        );
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

/// The words that are used with how often they are, the most frequent first.
fn used_words(coded: &Coded) -> Vec<(&[u8], u64)> {
    let words: &Words = coded.interner.words();
    let mut counts = vec![0_u64; words.count()];
    count_into(&coded.codes, &mut counts);
    let used = (0..).zip(counts).filter(|(_, count)| *count > 0);
    let word = |(code, count)| (words.bytes(code).unwrap_or_default(), count);
    frequent_first(used.map(word).collect())
}

/// Each value with how often it occurs, the most frequent first.
fn counted<T: Ord + Copy>(mut values: Vec<T>) -> Vec<(T, u64)> {
    values.sort_unstable();
    let runs = values.chunk_by(|one, next| one == next);
    frequent_first(
        runs.filter_map(|run| Some((*run.first()?, run.len() as u64)))
            .collect(),
    )
}

fn frequent_first<T>(mut counts: Vec<(T, u64)>) -> Vec<(T, u64)> {
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn text_of(bytes: &[u8]) -> &str {
    // The head has replaced what was not UTF-8.
    std::str::from_utf8(bytes).unwrap_or_default()
}
