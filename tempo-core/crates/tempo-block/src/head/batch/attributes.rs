//! Columns of attributes.

use std::sync::Arc;

use tempo_traceql::ast::Scope;
use tempo_traceql::columns::{Column, Selection};

use super::parts::{Elements, Owned, Parts};
use super::selected::{SelectedPart, selected};
use crate::head::attributes::AttributeTable;
use crate::head::attributes::column::{Column as StoredColumn, ColumnValues};
use crate::head::owner::Owner;
use crate::head::segment::Segment;
use crate::head::snapshot::HeadSnapshot;
use crate::schema::ValueKind;

impl Segment {
    /// The attributes of a scope, if they are kept in the segment.
    pub(super) fn table(&self, scope: Scope) -> Option<&AttributeTable> {
        match scope {
            Scope::Span => Some(&self.attributes),
            Scope::Event => Some(&self.events.attributes),
            Scope::Link => Some(&self.links.attributes),
            Scope::Resource | Scope::Instrumentation => None,
        }
    }

    /// The row of each event or link; `None` in other scopes.
    pub(super) fn nested_rows(&self, scope: Scope) -> Option<&[u32]> {
        match scope {
            Scope::Event => Some(&self.events.row),
            Scope::Link => Some(&self.links.row),
            Scope::Span | Scope::Resource | Scope::Instrumentation => None,
        }
    }
}

impl HeadSnapshot {
    pub(super) fn attribute(&self, scope: Scope, key: &str, selection: Selection<'_>) -> Column {
        let mut parts = Parts::default();
        match self.owners(scope) {
            Some(owners) => self.of_owners(owners, scope, key, selection, &mut parts),
            None => {
                for part in selected(self, selection) {
                    of_segment(&part, scope, key, &mut parts);
                }
            }
        }
        parts.into_column(matches!(scope, Scope::Event | Scope::Link))
    }

    /// Attributes of resources or scopes: their values are read once, and go to every row.
    fn of_owners(
        &self,
        owners: &[Arc<Owner>],
        scope: Scope,
        key: &str,
        selection: Selection<'_>,
        parts: &mut Parts,
    ) {
        let (mut single, mut arrays) = (Texts::default(), Texts::default());
        let values: Vec<Vec<(bool, Elements)>> = owners
            .iter()
            .map(|owner| values_of(owner, key, &mut single, &mut arrays))
            .collect();
        parts.single.dictionary.add(Arc::new(single));
        parts.arrays.dictionary.add(Arc::new(arrays));
        if values.iter().all(Vec::is_empty) {
            return;
        }
        for part in selected(self, selection) {
            let numbers = match scope {
                Scope::Resource => &part.segment.resource,
                _ => &part.segment.scope,
            };
            part.each_row(|row, number| {
                let owner = numbers.get(row).and_then(|owner| values.get(*owner as usize));
                for (is_array, elements) in owner.into_iter().flatten() {
                    let group = if *is_array {
                        &mut parts.arrays
                    } else {
                        &mut parts.single
                    };
                    let of_row = Owned {
                        row: number,
                        entry: 0,
                    };
                    group.push(of_row, elements, 0);
                }
            });
        }
    }
}

type Texts = Vec<String>;

/// The values of a key, and whether each is an array.
fn values_of(owner: &Owner, key: &str, single: &mut Texts, arrays: &mut Texts) -> Vec<(bool, Elements)> {
    let of_key = owner
        .attributes()
        .filter(|attribute| attribute.key == key.as_bytes());
    let elements = of_key.filter_map(|attribute| {
        let is_array = matches!(attribute.value, tempo_model::view::ValueView::Array(_));
        let texts = if is_array { &mut *arrays } else { &mut *single };
        Some((is_array, Elements::of(attribute.value, texts)?))
    });
    elements.collect()
}

/// Attributes of a segment's spans, events or links.
fn of_segment(part: &SelectedPart<'_>, scope: Scope, key: &str, parts: &mut Parts) {
    let Some(table) = part.segment.table(scope) else {
        return;
    };
    let columns: Vec<&StoredColumn> = table
        .columns()
        .filter(|(name, _)| *name == key)
        .map(|(_, column)| column)
        .collect();
    if columns.is_empty() {
        return;
    }
    match part.segment.nested_rows(scope) {
        None => {
            for column in columns {
                push_values(column, parts, |visit| {
                    part.each_entry(&column.owners, |index, row| visit(index, Owned { row, entry: 0 }));
                });
            }
        }
        Some(nested_rows) => {
            let owned = owned_by(part, nested_rows);
            for column in columns {
                push_values(column, parts, |visit| each_owned(&column.owners, &owned, visit));
            }
        }
    }
}

/// For every event or link of selected rows, its number and whose it is.
fn owned_by(part: &SelectedPart<'_>, nested_rows: &[u32]) -> Vec<(u32, Owned)> {
    let mut owned: Vec<(u32, Owned)> = Vec::new();
    part.each_nested(nested_rows, |nested, row| {
        let entry = match owned.last() {
            Some((_, last)) if last.row == row => last.entry + 1,
            _ => 0,
        };
        owned.push((nested as u32, Owned { row, entry }));
    });
    owned
}

/// Calls `visit` with every entry that an event or link of `owned` has; both lists ascend.
fn each_owned(owners: &[u32], owned: &[(u32, Owned)], visit: &mut dyn FnMut(usize, Owned)) {
    let mut owned = owned.iter().peekable();
    for (index, owner) in owners.iter().enumerate() {
        while owned.next_if(|(nested, _)| nested < owner).is_some() {}
        if let Some((nested, owned)) = owned.peek()
            && nested == owner
        {
            visit(index, *owned);
        }
    }
}

/// Adds the entries of a column that `each` visits.
fn push_values(column: &StoredColumn, parts: &mut Parts, each: impl FnOnce(&mut dyn FnMut(usize, Owned))) {
    let Parts { single, arrays } = parts;
    match &column.values {
        ColumnValues::Int(values) => each(&mut |index, owned| {
            single
                .ints
                .push(owned, values.get(index).copied().unwrap_or_default());
        }),
        ColumnValues::Double(values) => each(&mut |index, owned| {
            single
                .floats
                .push(owned, values.get(index).copied().unwrap_or_default());
        }),
        ColumnValues::Bool(values) => each(&mut |index, owned| {
            single
                .bools
                .push(owned, values.get(index).copied().unwrap_or_default());
        }),
        ColumnValues::Coded(values) if column.kind == ValueKind::String => {
            let first = single.dictionary.add(values.interner.words().clone());
            each(&mut |index, owned| {
                let code = values.codes.get(index).copied().unwrap_or_default();
                single.strings.push(owned, first + code);
            });
        }
        ColumnValues::Coded(values) if column.kind == ValueKind::Array => {
            let mut texts = Vec::new();
            let words = values.interner.words();
            let read = |code| {
                let array = words.bytes(code).unwrap_or_default();
                Elements::of(column.coded_view(array), &mut texts)
            };
            let elements: Vec<Option<Elements>> = (0..words.count() as u32).map(read).collect();
            let first = arrays.dictionary.next_code();
            each(&mut |index, owned| {
                let code = values.codes.get(index).map_or(0, |code| *code as usize);
                if let Some(Some(elements)) = elements.get(code) {
                    arrays.push(owned, elements, first);
                }
            });
            arrays.dictionary.add(Arc::new(texts));
        }
        ColumnValues::Coded(_) | ColumnValues::Empty => {}
    }
}
