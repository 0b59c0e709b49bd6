//! Which leaf columns of a row group hold what is wanted of it. Leaves without a value are left out, so that nothing is
//! read for fields that no span has.

use parquet::file::metadata::ColumnChunkMetaData;
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::Field;

use super::file::{LeafNumber, SpansFile, element_path, is_all_null, nested_path};
use crate::read::{ReadError, Wanted};
use crate::schema::{ValueKind, spans};

/// The leaves of an attribute list.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListLeaves {
    pub(super) key: LeafNumber,
    pub(super) kind: LeafNumber,
    pub(super) value: LeafNumber,
}

impl ListLeaves {
    fn all(self) -> [LeafNumber; 3] {
        [self.key, self.kind, self.value]
    }
}

/// Where a row group's columns lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    pub(super) file: &'a SpansFile,
    pub(super) row_group: usize,
}

impl Layout<'_> {
    /// The leaves that hold `wanted`.
    pub(super) fn leaves_of(self, wanted: &Wanted) -> Vec<LeafNumber> {
        match wanted {
            Wanted::Field(Field::Attribute(scope, key)) => self.leaves_of_attribute(*scope, key),
            Wanted::Field(Field::ParentId) => self.leaves(&[
                spans::SPAN_ID,
                spans::PARENT_SPAN_ID,
                spans::TRACE_ORD,
                spans::POS,
                spans::DEPTH,
            ]),
            Wanted::Field(field) => self.leaf_of(field).into_iter().collect(),
            Wanted::Ordinals => self.leaves(&[spans::TRACE_ORD]),
            Wanted::Parents => {
                self.leaves(&[spans::PARENT_SPAN_ID, spans::TRACE_ORD, spans::POS, spans::DEPTH])
            }
            Wanted::Keys(scope) => self.list(*scope).iter().map(|list| list.key).collect(),
            Wanted::Attributes(scope) => {
                let columns = self.file.contents.columns.iter().enumerate();
                let of_scope = columns.filter(|(_, column)| column.scope == *scope);
                let leaves = of_scope.filter_map(|(place, _)| Some(self.column_at(place)?.0));
                leaves
                    .chain(self.list(*scope).into_iter().flat_map(ListLeaves::all))
                    .collect()
            }
        }
    }

    /// The leaf of a field that is no attribute and has one to itself; `None` where no row has a value.
    pub(super) fn leaf_of(self, field: &Field) -> Option<LeafNumber> {
        let path = match field {
            Field::Start => spans::START,
            Field::Duration => spans::DURATION,
            Field::Name => spans::NAME,
            Field::Status => spans::STATUS_CODE,
            Field::StatusMessage => spans::STATUS_MESSAGE,
            Field::Kind => spans::KIND,
            Field::SpanId => spans::SPAN_ID,
            Field::InstrumentationName => spans::SCOPE_NAME,
            Field::InstrumentationVersion => spans::SCOPE_VERSION,
            Field::EventName => return self.leaf(&element_path(spans::EVENTS, spans::NAME)),
            Field::EventTimeSinceStart => return self.leaf(&element_path(spans::EVENTS, spans::TIME)),
            Field::LinkTraceId => return self.leaf(&element_path(spans::LINKS, spans::TRACE_ID)),
            Field::LinkSpanId => return self.leaf(&element_path(spans::LINKS, spans::SPAN_ID)),
            Field::ParentId | Field::Attribute(..) => return None,
        };
        match field {
            // Spans without a status are unset.
            Field::Status => self.file.leaf(path),
            _ => self.leaf(path),
        }
    }

    /// The leaf of this path, if any row has a value in it.
    pub(super) fn leaf(self, path: &str) -> Option<LeafNumber> {
        let leaf = self.file.leaf(path)?;
        let (group, _) = self.file.row_group(self.row_group).ok()?;
        (!is_all_null(group.columns().get(leaf)?)).then_some(leaf)
    }

    /// Every leaf that has a value here, those of overflow lists only where there is overflow.
    pub(super) fn all_leaves(self) -> Vec<LeafNumber> {
        let Ok((group, _)) = self.file.row_group(self.row_group) else {
            return Vec::new();
        };
        let of_lists = [Scope::Span, Scope::Resource, Scope::Instrumentation];
        let unused: Vec<LeafNumber> = of_lists
            .into_iter()
            .filter(|scope| self.list(*scope).is_none())
            .filter_map(|scope| self.list_of(scope))
            .flat_map(ListLeaves::all)
            .collect();
        let has_values = |(leaf, chunk): &(LeafNumber, &ColumnChunkMetaData)| {
            !is_all_null(chunk) && !unused.contains(leaf)
        };
        let chunks = group.columns().iter().enumerate().filter(has_values);
        chunks.map(|(leaf, _)| leaf).collect()
    }

    fn leaves(self, paths: &[&str]) -> Vec<LeafNumber> {
        paths.iter().filter_map(|path| self.leaf(path)).collect()
    }

    fn leaves_of_attribute(self, scope: Scope, key: &str) -> Vec<LeafNumber> {
        let columns = self.columns_of(scope, key).into_iter().map(|(leaf, _)| leaf);
        let list = self.list(scope).into_iter().flat_map(ListLeaves::all);
        columns.chain(list).collect()
    }

    /// The columns that hold values of an attribute here, with their types.
    pub(super) fn columns_of(self, scope: Scope, key: &str) -> Vec<(LeafNumber, ValueKind)> {
        let places = self.file.columns_of(scope, key).iter();
        places.filter_map(|place| self.column_at(*place)).collect()
    }

    /// The attribute column at a place of the file's, if it holds values here.
    pub(super) fn column_at(self, place: usize) -> Option<(LeafNumber, ValueKind)> {
        let (group, contents) = self.file.row_group(self.row_group).ok()?;
        let (leaf, kind) = self.file.attribute_column(place)?;
        let is_used =
            !contents.overflowed.contains(&(place as u32)) && !is_all_null(group.columns().get(leaf)?);
        is_used.then_some((leaf, kind))
    }

    /// The list that attributes of a scope without a column lie in, if there are any here.
    pub(super) fn list(self, scope: Scope) -> Option<ListLeaves> {
        let (group, contents) = self.file.row_group(self.row_group).ok()?;
        let elements = match scope {
            Scope::Span => contents.span_overflow,
            Scope::Resource => contents.resource_overflow,
            Scope::Instrumentation => contents.scope_overflow,
            Scope::Event | Scope::Link => u64::MAX,
        };
        let list = self.list_of(scope)?;
        (elements > 0 && !is_all_null(group.columns().get(list.key)?)).then_some(list)
    }

    fn list_of(self, scope: Scope) -> Option<ListLeaves> {
        let leaf = |field: &str| {
            self.file.leaf(&match scope {
                Scope::Span => element_path(spans::SPAN_ATTRIBUTES, field),
                Scope::Resource => element_path(spans::RESOURCE_ATTRIBUTES, field),
                Scope::Instrumentation => element_path(spans::SCOPE_ATTRIBUTES, field),
                Scope::Event => nested_path(spans::EVENTS, field),
                Scope::Link => nested_path(spans::LINKS, field),
            })
        };
        Some(ListLeaves {
            key: leaf(spans::KEY)?,
            kind: leaf(spans::TYPE)?,
            value: leaf(spans::VALUE)?,
        })
    }

    /// A file whose columns do not fit together.
    pub(super) fn damaged(self, problem: &str) -> ReadError {
        ReadError::damaged(
            &self.file.path,
            0,
            format!("row group {}: {problem}", self.row_group),
        )
    }
}
