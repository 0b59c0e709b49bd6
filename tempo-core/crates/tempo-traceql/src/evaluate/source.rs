//! A batch as the evaluator sees it: every attribute a query can name is a column, stored or derived.

use std::cell::OnceCell;
use std::sync::Arc;

use super::predicate::present;
use super::rows::RowSet;
use super::tree::Tree;
use crate::ast::{Attribute, Intrinsic, Scope};
use crate::columns::{Column, Condition, FetchError, Field, Part, Rows, SpanBatch, TraceRow, Values};

/// A batch with what was derived of it so far.
pub(crate) struct Source<'a> {
    batch: &'a dyn SpanBatch,
    traces: OnceCell<Arc<[TraceRow]>>,
    ordinals: OnceCell<Arc<[u32]>>,
    tree: OnceCell<Tree>,
}

/// The value of a cell, computed by `make` when asked for first.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T, FetchError>) -> Result<&T, FetchError> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

impl<'a> Source<'a> {
    pub(crate) fn new(batch: &'a dyn SpanBatch) -> Self {
        Self {
            batch,
            traces: OnceCell::new(),
            ordinals: OnceCell::new(),
            tree: OnceCell::new(),
        }
    }

    pub(crate) fn all_rows(&self) -> RowSet {
        RowSet::All(self.batch.len() as u32)
    }

    pub(crate) fn may_match(&self, condition: &Condition) -> bool {
        self.batch.may_match(condition)
    }

    pub(crate) fn traces(&self) -> Result<&[TraceRow], FetchError> {
        once(&self.traces, || self.batch.traces()).map(|traces| &**traces)
    }

    pub(crate) fn ordinals(&self) -> Result<&[u32], FetchError> {
        once(&self.ordinals, || self.batch.trace_ordinals()).map(|ordinals| &**ordinals)
    }

    pub(crate) fn tree(&self) -> Result<&Tree, FetchError> {
        let make = || {
            let parents = self.batch.parents()?;
            Ok(Tree::new(&parents, self.ordinals()?, self.traces()?.len()))
        };
        once(&self.tree, make)
    }

    pub(crate) fn attribute_keys(&self, scope: Scope) -> Result<Vec<String>, FetchError> {
        self.batch.attribute_keys(scope)
    }

    /// The stored column of a field.
    pub(crate) fn field(&self, field: &Field, rows: &RowSet) -> Result<Column, FetchError> {
        if rows.is_empty() {
            return Ok(Column::default());
        }
        self.batch.column(field, rows.selection())
    }

    /// The column of anything that a query can name.
    pub(crate) fn column(&self, attribute: &Attribute, rows: &RowSet) -> Result<Column, FetchError> {
        match attribute {
            Attribute::Scoped(scope, key) => self.field(&Field::Attribute(*scope, key.clone()), rows),
            Attribute::Unscoped(key) => self.unscoped(key, rows),
            Attribute::Intrinsic(intrinsic) => match stored(*intrinsic) {
                Some(field) if empty_when_absent(&field) => {
                    Ok(with_empty_strings(self.field(&field, rows)?, rows))
                }
                Some(field) => self.field(&field, rows),
                None => self.derived(*intrinsic, rows),
            },
            Attribute::Parent(_) => Ok(Column::default()),
        }
    }

    /// The span's value, or else the resource's.
    fn unscoped(&self, key: &str, rows: &RowSet) -> Result<Column, FetchError> {
        let mut column = self.field(&Field::Attribute(Scope::Span, key.to_owned()), rows)?;
        let of_resource = Field::Attribute(Scope::Resource, key.to_owned());
        if column.parts.is_empty() {
            return self.field(&of_resource, rows);
        }
        let rest = RowSet::Some(rows.without(&present(&column, rows)));
        let resource = self.field(&of_resource, &rest)?;
        column
            .parts
            .extend(resource.parts.into_iter().map(|part| sparse(part, &rest)));
        Ok(column)
    }

    fn derived(&self, intrinsic: Intrinsic, rows: &RowSet) -> Result<Column, FetchError> {
        let values = match intrinsic {
            Intrinsic::TraceDuration => Values::Duration(
                self.of_trace(rows, |trace| trace.end_ns.saturating_sub(trace.start_ns) as i64)?,
            ),
            Intrinsic::TraceId => self.trace_strings(rows, |trace| trace_id_text(&trace.trace_id).into())?,
            Intrinsic::RootName => self.trace_strings(rows, |trace| {
                trace
                    .root
                    .as_ref()
                    .map_or_else(|| "".into(), |root| root.name.clone())
            })?,
            Intrinsic::RootServiceName => self.trace_strings(rows, |trace| {
                trace
                    .root
                    .as_ref()
                    .map_or_else(|| "".into(), |root| root.service.clone())
            })?,
            Intrinsic::NestedSetLeft => self.of_tree(rows, Tree::left)?,
            Intrinsic::NestedSetRight => self.of_tree(rows, Tree::right)?,
            Intrinsic::NestedSetParent => self.of_tree(rows, Tree::parent_number)?,
            Intrinsic::ChildCount => return self.child_counts(rows),
            _ => return Ok(Column::default()),
        };
        Ok(Column {
            parts: vec![Part {
                rows: Rows::Dense,
                values,
                array: false,
            }],
        })
    }

    fn of_trace<T: Default>(
        &self,
        rows: &RowSet,
        value: impl Fn(&TraceRow) -> T,
    ) -> Result<Vec<T>, FetchError> {
        let (traces, ordinals) = (self.traces()?, self.ordinals()?);
        let trace = |row: u32| traces.get(*ordinals.get(row as usize)? as usize);
        Ok(rows
            .iter()
            .map(|row| trace(row).map(&value).unwrap_or_default())
            .collect())
    }

    /// A string of each trace, with the trace table's order as dictionary.
    fn trace_strings(
        &self,
        rows: &RowSet,
        text: impl Fn(&TraceRow) -> Arc<str>,
    ) -> Result<Values, FetchError> {
        let ordinals = self.ordinals()?;
        let dictionary: Vec<Arc<str>> = self.traces()?.iter().map(text).collect();
        Ok(Values::String {
            codes: rows
                .iter()
                .map(|row| ordinals.get(row as usize).copied().unwrap_or_default())
                .collect(),
            dictionary: Arc::new(dictionary),
        })
    }

    fn of_tree(&self, rows: &RowSet, number: impl Fn(&Tree, u32) -> i64) -> Result<Values, FetchError> {
        let tree = self.tree()?;
        Ok(Values::Int(rows.iter().map(|row| number(tree, row)).collect()))
    }

    /// Of spans that hang on a root; others have none.
    fn child_counts(&self, rows: &RowSet) -> Result<Column, FetchError> {
        let tree = self.tree()?;
        let connected: Vec<u32> = rows.iter().filter(|row| tree.is_connected(*row)).collect();
        Ok(Column {
            parts: vec![Part {
                values: Values::Int(connected.iter().map(|row| tree.child_count(*row)).collect()),
                rows: Rows::Sparse(connected),
                array: false,
            }],
        })
    }
}

/// The field that stores an intrinsic.
pub(crate) fn stored(intrinsic: Intrinsic) -> Option<Field> {
    Some(match intrinsic {
        Intrinsic::Duration => Field::Duration,
        Intrinsic::Name => Field::Name,
        Intrinsic::Status => Field::Status,
        Intrinsic::StatusMessage => Field::StatusMessage,
        Intrinsic::Kind => Field::Kind,
        Intrinsic::SpanId => Field::SpanId,
        Intrinsic::ParentId => Field::ParentId,
        Intrinsic::EventName => Field::EventName,
        Intrinsic::EventTimeSinceStart => Field::EventTimeSinceStart,
        Intrinsic::LinkTraceId => Field::LinkTraceId,
        Intrinsic::LinkSpanId => Field::LinkSpanId,
        Intrinsic::InstrumentationName => Field::InstrumentationName,
        Intrinsic::InstrumentationVersion => Field::InstrumentationVersion,
        _ => return None,
    })
}

fn empty_when_absent(field: &Field) -> bool {
    matches!(
        field,
        Field::StatusMessage | Field::InstrumentationName | Field::InstrumentationVersion
    )
}

fn with_empty_strings(mut column: Column, rows: &RowSet) -> Column {
    let absent = rows.without(&present(&column, rows));
    if !absent.is_empty() {
        column.parts.push(Part {
            values: Values::String {
                codes: vec![0; absent.len()],
                dictionary: Arc::new(vec![String::new()]),
            },
            rows: Rows::Sparse(absent),
            array: false,
        });
    }
    column
}

/// A part that was fetched for `rows` without reference to them.
fn sparse(part: Part, rows: &RowSet) -> Part {
    Part {
        rows: match part.rows {
            Rows::Dense => Rows::Sparse(rows.to_vec()),
            other => other,
        },
        ..part
    }
}

/// A trace id as the API prints it: lower-case hex without leading zeros.
pub(crate) fn trace_id_text(id: &[u8; 16]) -> String {
    format!("{:x}", u128::from_be_bytes(*id))
}
