//! Attributes of spans, resources and scopes: which have columns of their own, those columns, and the rest in lists.

mod plan;

use std::collections::HashMap;
use std::sync::Arc;

use tempo_model::view::{AttributeView, ValueView};
use tempo_traceql::ast::Scope;

pub(super) use plan::AttributePlan;

use super::WriteError;
use super::chunk::Values;
use super::lists::{AttributeLists, ListColumn};
use super::row_group::Chunks;
use super::rows::{NOWHERE, Ordinals, Rows, at};
use super::source::Source;
use super::texts::{MadeTexts, Texts};
use crate::head::attributes::column::{Column, ColumnValues};
use crate::head::owner::Owner;
use crate::schema::ValueKind;

/// What is in lists instead of columns.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    /// Places of columns, as [`crate::schema::RowGroupMetadata::overflowed`].
    pub(super) overflowed: Vec<u32>,
    /// Numbers of elements.
    pub(super) span: u64,
    pub(super) resource: u64,
    pub(super) scope: u64,
}

/// Writes the attribute columns and the lists behind them.
pub(super) fn write(
    source: &Source,
    rows: &Rows<'_>,
    plan: &AttributePlan,
    chunks: &mut Chunks,
) -> Result<Overflow, WriteError> {
    let tables = source.snapshot.tables();
    let mut spans = SpanAttributes::of(rows, plan);
    let mut resources = OwnerAttributes::of(Scope::Resource, &tables.resources, &rows.resources, plan);
    let mut scopes = OwnerAttributes::of(Scope::Instrumentation, &tables.scopes, &rows.scopes, plan);
    let mut overflowed = Vec::new();
    for (place, column) in plan.columns.iter().enumerate() {
        let is_written = match column.scope {
            Scope::Resource => resources.write(place, column.kind, chunks)?,
            Scope::Instrumentation => scopes.write(place, column.kind, chunks)?,
            _ => spans.write(place, column.kind, chunks)?,
        };
        if !is_written {
            overflowed.push(place as u32);
        }
    }
    Ok(Overflow {
        overflowed,
        span: spans.write_list(chunks)?,
        resource: resources.write_list(chunks)?,
        scope: scopes.write_list(chunks)?,
    })
}

/// A column without values.
fn write_nothing(rows: usize, kind: ValueKind, chunks: &mut Chunks) -> Result<(), WriteError> {
    Ok(chunks.optional(&vec![0; rows], no_values(kind))?)
}

/// No values of the type of a column.
pub(super) fn no_values(kind: ValueKind) -> Values<'static> {
    match kind {
        ValueKind::Int => Values::Int64(Vec::new()),
        ValueKind::Double => Values::Double(Vec::new()),
        ValueKind::Bool => Values::Bool(Vec::new()),
        _ => Values::Coded {
            codes: Vec::new(),
            words: Vec::new(),
        },
    }
}

/// Attributes of spans, which are in the columns of segments.
struct SpanAttributes<'r, 'a> {
    rows: &'r Rows<'a>,
    /// By place in the plan: the columns of parts.
    columns: Vec<Vec<(usize, &'a Column)>>,
    /// Columns of parts without a place in the plan.
    others: Vec<(usize, &'a str, &'a Column)>,
    keys: HashMap<usize, &'a str>,
}

impl<'r, 'a> SpanAttributes<'r, 'a> {
    fn of(rows: &'r Rows<'a>, plan: &AttributePlan) -> Self {
        let mut attributes = Self {
            rows,
            columns: vec![Vec::new(); plan.columns.len()],
            others: Vec::new(),
            keys: HashMap::new(),
        };
        for (part, segment) in rows.parts.iter().map(|part| part.segment).enumerate() {
            for (key, column) in segment.attributes.columns() {
                let place = plan.place(Scope::Span, column.kind, key);
                match place.and_then(|place| attributes.columns.get_mut(place).zip(Some(place))) {
                    Some((columns, place)) => {
                        columns.push((part, column));
                        attributes.keys.insert(place, key);
                    }
                    None => attributes.others.push((part, key, column)),
                }
            }
        }
        attributes
    }

    /// Writes a column. One that has two values of a row is left empty, and goes to the list.
    fn write(&mut self, place: usize, kind: ValueKind, chunks: &mut Chunks) -> Result<bool, WriteError> {
        let columns = self
            .columns
            .get_mut(place)
            .map(std::mem::take)
            .unwrap_or_default();
        if let Some(scattered) = Scattered::of(self.rows, &columns) {
            let has_value: Vec<u8> = scattered
                .slots
                .iter()
                .map(|slot| u8::from(*slot != NOWHERE))
                .collect();
            chunks.optional(&has_value, scattered.values(kind))?;
            return Ok(true);
        }
        write_nothing(self.rows.len(), kind, chunks)?;
        let key = self.keys.get(&place).copied().unwrap_or_default();
        self.others
            .extend(columns.into_iter().map(|(part, column)| (part, key, column)));
        Ok(false)
    }

    fn write_list(&self, chunks: &mut Chunks) -> Result<u64, WriteError> {
        let columns = self.others.iter().filter_map(|(part, key, column)| {
            Some(ListColumn {
                key,
                column,
                destinations: &self.rows.parts.get(*part)?.destinations,
            })
        });
        let columns: Vec<ListColumn<'_>> = columns.collect();
        let outer = vec![0; self.rows.len()];
        let lists = AttributeLists::of_columns(&outer, &outer, 0, &columns)?;
        lists.write(chunks)?;
        Ok(lists.len() as u64)
    }
}

/// The entries of columns of one key and type, brought to their rows.
struct Scattered<'a> {
    columns: Vec<ScatteredColumn<'a>>,
    /// For each row the number of its entry, or [`NOWHERE`]; columns count on from each other.
    slots: Vec<u32>,
}

struct ScatteredColumn<'a> {
    first_slot: u32,
    column: &'a Column,
}

impl<'a> Scattered<'a> {
    /// `None` if a row has two values.
    fn of(rows: &Rows<'_>, columns: &[(usize, &'a Column)]) -> Option<Self> {
        let mut slots = vec![NOWHERE; rows.len()];
        let mut next_slot = 0;
        let mut scattered = Vec::new();
        for (part, column) in columns {
            let destinations = rows.parts.get(*part).map(|part| &part.destinations)?;
            scattered.push(ScatteredColumn {
                first_slot: next_slot,
                column,
            });
            for (slot, owner) in (next_slot..).zip(&column.owners) {
                let destination = destinations.get(*owner as usize)?;
                // There is no such row where the owner goes nowhere.
                if let Some(place) = slots.get_mut(*destination as usize) {
                    if *place != NOWHERE {
                        return None;
                    }
                    *place = slot;
                }
            }
            next_slot += column.owners.len() as u32;
        }
        Some(Self {
            columns: scattered,
            slots,
        })
    }

    /// The column and the entry of each value: the number of the column, the column, and the entry.
    fn entries(&self) -> impl Iterator<Item = (usize, &'a Column, usize)> {
        let slots = self.slots.iter().filter(|slot| **slot != NOWHERE);
        slots.filter_map(|slot| {
            let behind = self.columns.partition_point(|column| column.first_slot <= *slot);
            let number = behind.checked_sub(1)?;
            let ScatteredColumn { first_slot, column } = self.columns.get(number)?;
            Some((number, *column, (slot - first_slot) as usize))
        })
    }

    fn values(&self, kind: ValueKind) -> Values<'a> {
        let entries = self.entries();
        match kind {
            ValueKind::Int => Values::Int64(entries.map(|(_, column, entry)| column.int(entry)).collect()),
            ValueKind::Double => {
                Values::Double(entries.map(|(_, column, entry)| column.double(entry)).collect())
            }
            ValueKind::Bool => Values::Bool(entries.map(|(_, column, entry)| column.bool(entry)).collect()),
            _ => {
                let words = self.columns.iter().filter_map(|part| part.column.words());
                let mut texts = Texts::of(words.map(|words| &**words));
                for (part, column, entry) in entries {
                    texts.push(part, column.code(entry));
                }
                texts.into_values()
            }
        }
    }
}

impl Column {
    fn int(&self, entry: usize) -> i64 {
        match &self.values {
            ColumnValues::Int(values) => at(values, entry),
            _ => 0,
        }
    }

    fn double(&self, entry: usize) -> f64 {
        match &self.values {
            ColumnValues::Double(values) => at(values, entry),
            _ => 0.0,
        }
    }

    fn bool(&self, entry: usize) -> bool {
        match &self.values {
            ColumnValues::Bool(values) => at(values, entry),
            _ => false,
        }
    }

    fn code(&self, entry: usize) -> u32 {
        match &self.values {
            ColumnValues::Coded(coded) => at(&coded.codes, entry),
            _ => 0,
        }
    }
}

/// Attributes of resources or scopes.
struct OwnerAttributes<'r, 'a> {
    of_rows: &'r [u32],
    /// By place in the plan: the value that each owner has.
    columns: HashMap<usize, OwnerColumn<'a>>,
    /// Attributes of each owner without a place in the plan.
    others: Vec<Vec<AttributeView<'a>>>,
}

struct OwnerColumn<'a> {
    key: &'a [u8],
    values: Vec<Option<ValueView<'a>>>,
    /// Values of owners that have one already.
    repeated: Vec<(usize, ValueView<'a>)>,
}

impl<'r, 'a> OwnerAttributes<'r, 'a> {
    fn of(scope: Scope, owners: &'a [Arc<Owner>], ordinals: &'r Ordinals, plan: &AttributePlan) -> Self {
        let count = ordinals.numbers.len();
        let mut attributes = Self {
            of_rows: &ordinals.of_rows,
            columns: HashMap::new(),
            others: vec![Vec::new(); count],
        };
        let known = ordinals.numbers.iter().map(|number| owners.get(*number));
        for (ordinal, owner) in known.enumerate() {
            for attribute in owner.into_iter().flat_map(|owner| owner.attributes()) {
                attributes.add(scope, ordinal, count, attribute, plan);
            }
        }
        attributes
    }

    fn add(
        &mut self,
        scope: Scope,
        ordinal: usize,
        count: usize,
        attribute: AttributeView<'a>,
        plan: &AttributePlan,
    ) {
        let key = std::str::from_utf8(attribute.key).unwrap_or_default();
        let Some(place) = plan.place(scope, ValueKind::of(&attribute.value), key) else {
            if let Some(others) = self.others.get_mut(ordinal) {
                others.push(attribute);
            }
            return;
        };
        let column = self.columns.entry(place).or_insert_with(|| OwnerColumn {
            key: attribute.key,
            values: vec![None; count],
            repeated: Vec::new(),
        });
        match column.values.get_mut(ordinal) {
            Some(value @ None) => *value = Some(attribute.value),
            _ => column.repeated.push((ordinal, attribute.value)),
        }
    }

    /// Writes a column. One that has two values of an owner is left empty, and goes to the list.
    fn write(&mut self, place: usize, kind: ValueKind, chunks: &mut Chunks) -> Result<bool, WriteError> {
        match self.columns.remove(&place) {
            None => write_nothing(self.of_rows.len(), kind, chunks)?,
            Some(column) if column.repeated.is_empty() => self.write_column(&column.values, kind, chunks)?,
            Some(column) => {
                write_nothing(self.of_rows.len(), kind, chunks)?;
                self.overflow(column);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_column(
        &self,
        values: &[Option<ValueView<'a>>],
        kind: ValueKind,
        chunks: &mut Chunks,
    ) -> Result<(), WriteError> {
        let of_rows = || self.of_rows.iter().map(|ordinal| at(values, *ordinal as usize));
        let has_value: Vec<u8> = of_rows().map(|value| u8::from(value.is_some())).collect();
        let present = of_rows().flatten();
        let mut texts = MadeTexts::default();
        let values = match kind {
            ValueKind::Int => Values::Int64(present.filter_map(int).collect()),
            ValueKind::Double => Values::Double(present.filter_map(double).collect()),
            ValueKind::Bool => Values::Bool(present.filter_map(bool).collect()),
            _ => {
                let code = |value: &Option<ValueView<'_>>| value.and_then(text).map(|text| texts.code(text));
                let codes: Vec<Option<u32>> = values.iter().map(code).collect();
                for code in self
                    .of_rows
                    .iter()
                    .filter_map(|ordinal| at(&codes, *ordinal as usize))
                {
                    texts.push_code(code);
                }
                texts.values()
            }
        };
        Ok(chunks.optional(&has_value, values)?)
    }

    fn overflow(&mut self, column: OwnerColumn<'a>) {
        let first = column.values.into_iter().enumerate();
        let first = first.filter_map(|(ordinal, value)| Some((ordinal, value?)));
        for (ordinal, value) in first.chain(column.repeated) {
            if let Some(others) = self.others.get_mut(ordinal) {
                others.push(AttributeView {
                    key: column.key,
                    value,
                });
            }
        }
    }

    fn write_list(&self, chunks: &mut Chunks) -> Result<u64, WriteError> {
        let lists = AttributeLists::of_owners(&self.others, self.of_rows)?;
        lists.write(chunks)?;
        Ok(lists.len() as u64)
    }
}

fn int(value: ValueView<'_>) -> Option<i64> {
    match value {
        ValueView::Int(number) => Some(number),
        _ => None,
    }
}

fn double(value: ValueView<'_>) -> Option<f64> {
    match value {
        ValueView::Double(number) => Some(number),
        _ => None,
    }
}

fn bool(value: ValueView<'_>) -> Option<bool> {
    match value {
        ValueView::Bool(value) => Some(value),
        _ => None,
    }
}

fn text(value: ValueView<'_>) -> Option<&[u8]> {
    match value {
        ValueView::String(text) => Some(text),
        _ => None,
    }
}
