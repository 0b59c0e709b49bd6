//! Which attributes have columns of their own in a file.

use std::collections::HashMap;

use tempo_traceql::ast::Scope;

use crate::head::HeadSnapshot;
use crate::schema::{AttributeColumn, MAX_ATTRIBUTE_COLUMNS, ValueKind};

/// An attribute has a column if at least one row of so many has it: a column costs a row group about as much as five
/// hundred values in a list.
const ROWS_PER_VALUE: u64 = 100;

/// Names by scope and type.
type ByKey<K, T> = HashMap<(Scope, ValueKind), HashMap<K, T>>;

/// The attribute columns of a file.
#[derive(Debug)]
pub(in crate::write) struct AttributePlan {
    /// In the order of the schema.
    pub(in crate::write) columns: Vec<AttributeColumn>,
    places: ByKey<String, usize>,
}

impl AttributePlan {
    /// The columns that suit all spans of a snapshot.
    pub(in crate::write) fn of(snapshot: &HeadSnapshot) -> Self {
        Self::new(columns(&counts(snapshot), snapshot.spans() as u64))
    }

    /// With these columns, in whatever order.
    pub(in crate::write) fn new(mut columns: Vec<AttributeColumn>) -> Self {
        columns.sort_by_cached_key(AttributeColumn::name);
        let mut places: ByKey<String, usize> = HashMap::new();
        for (place, column) in columns.iter().enumerate() {
            let keys = places.entry((column.scope, column.kind)).or_default();
            keys.insert(column.key.clone(), place);
        }
        Self { columns, places }
    }

    /// The place of an attribute's column.
    pub(in crate::write) fn place(&self, scope: Scope, kind: ValueKind, key: &str) -> Option<usize> {
        self.places.get(&(scope, kind))?.get(key).copied()
    }
}

/// How many spans have each attribute, be it through their resource or scope.
fn counts(snapshot: &HeadSnapshot) -> ByKey<&str, u64> {
    let mut counts: ByKey<&str, u64> = HashMap::new();
    let mut add = |scope: Scope, kind: ValueKind, key, count: u64| {
        *counts.entry((scope, kind)).or_default().entry(key).or_default() += count;
    };
    let tables = snapshot.tables();
    let mut spans_of_resources = vec![0_u64; tables.resources.len()];
    let mut spans_of_scopes = vec![0_u64; tables.scopes.len()];
    for segment in &snapshot.segments {
        for (key, column) in segment.attributes.columns() {
            add(Scope::Span, column.kind, key, column.owners.len() as u64);
        }
        for (owners, counts) in [
            (&segment.resource, &mut spans_of_resources),
            (&segment.scope, &mut spans_of_scopes),
        ] {
            for owner in owners {
                if let Some(count) = counts.get_mut(*owner as usize) {
                    *count += 1;
                }
            }
        }
    }
    let resources = tables.resources.iter().zip(spans_of_resources);
    let scopes = tables.scopes.iter().zip(spans_of_scopes);
    let of_scope = |scope| move |(owner, count)| (scope, owner, count);
    let owners = resources
        .map(of_scope(Scope::Resource))
        .chain(scopes.map(of_scope(Scope::Instrumentation)));
    for (scope, owner, count) in owners {
        for attribute in owner.attributes() {
            let key = std::str::from_utf8(attribute.key).unwrap_or_default();
            add(scope, ValueKind::of(&attribute.value), key, count);
        }
    }
    counts
}

/// The attributes that are frequent enough, the most frequent if there are too many.
fn columns(counts: &ByKey<&str, u64>, spans: u64) -> Vec<AttributeColumn> {
    let all = counts
        .iter()
        .flat_map(|((scope, kind), keys)| keys.iter().map(move |(key, count)| (*count, *scope, *kind, *key)));
    let frequent = all.filter(|(count, ..)| count * ROWS_PER_VALUE >= spans);
    let column = |(count, scope, kind, key): (u64, Scope, ValueKind, &str)| {
        let column = AttributeColumn {
            scope,
            key: key.to_owned(),
            kind,
        };
        column.is_possible().then_some((count, column))
    };
    let mut columns: Vec<(u64, AttributeColumn)> = frequent.filter_map(column).collect();
    columns.sort_unstable_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
    columns.truncate(MAX_ATTRIBUTE_COLUMNS);
    columns.into_iter().map(|(_, column)| column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_ones_have_columns_and_not_too_many() {
        let mut keys: HashMap<String, u64> = (0..300)
            .map(|number| (format!("k{number}"), 10 + number))
            .collect();
        keys.insert("rare".to_owned(), 9);
        keys.insert("x".repeat(200), 1000);
        let of_span = keys.iter().map(|(key, count)| (key.as_str(), *count)).collect();
        let arrays = HashMap::from([("k1", 1000)]);
        let counts = HashMap::from([
            ((Scope::Span, ValueKind::Int), of_span),
            ((Scope::Span, ValueKind::Array), arrays),
        ]);
        let plan = AttributePlan::new(columns(&counts, 1000));
        assert_eq!(plan.columns.len(), MAX_ATTRIBUTE_COLUMNS);
        assert!(plan.columns.is_sorted_by_key(AttributeColumn::name));
        assert!(plan.place(Scope::Span, ValueKind::Int, "k299").is_some());
        assert_eq!(plan.place(Scope::Span, ValueKind::Int, "k0"), None);
        assert_eq!(plan.place(Scope::Resource, ValueKind::Int, "k299"), None);
        assert!(columns(&counts, 1001).iter().all(|column| column.key != "rare"));
    }
}
