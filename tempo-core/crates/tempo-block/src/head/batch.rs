//! A snapshot as columns for the evaluator: the columns of its segments, one after the other.

mod attributes;
mod dictionary;
mod matching;
mod parts;
mod selected;

use std::collections::BTreeSet;
use std::sync::Arc;

use tempo_traceql::ast::Scope;
use tempo_traceql::columns::{
    Column, Condition, FetchError, Field, Part, Rows, Selection, SpanBatch, TraceRow, Values,
};

use super::intern::Coded;
use super::owner::Owner;
use super::right_aligned;
use super::segment::Segment;
use super::snapshot::HeadSnapshot;
use dictionary::Chain;
use selected::selected;

impl SpanBatch for HeadSnapshot {
    fn len(&self) -> usize {
        self.spans()
    }

    fn column(&self, field: &Field, selection: Selection<'_>) -> Result<Column, FetchError> {
        if let Field::Attribute(scope, key) = field {
            return Ok(self.attribute(*scope, key, selection));
        }
        let (rows, values) = self.intrinsic(field, selection);
        let part = Part {
            rows,
            values,
            array: false,
        };
        Ok(Column { parts: vec![part] })
    }

    fn attribute_keys(&self, scope: Scope) -> Result<Vec<String>, FetchError> {
        let mut keys = BTreeSet::new();
        for segment in &self.segments {
            if let Some(table) = segment.table(scope) {
                keys.extend(table.columns().map(|(key, _)| key));
            }
        }
        let owners = self.owners(scope).unwrap_or_default();
        let of_owners = owners.iter().flat_map(|owner| owner.attributes());
        keys.extend(of_owners.filter_map(|attribute| std::str::from_utf8(attribute.key).ok()));
        Ok(keys.into_iter().map(str::to_owned).collect())
    }

    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError> {
        Ok(Arc::clone(self.ordinals()))
    }

    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError> {
        Ok(Arc::clone(self.trace_rows()))
    }

    fn parents(&self) -> Result<Arc<[u32]>, FetchError> {
        Ok(Arc::clone(self.parent_rows()))
    }

    fn may_match(&self, condition: &Condition) -> bool {
        self.has_match(condition)
    }
}

impl HeadSnapshot {
    fn intrinsic(&self, field: &Field, selection: Selection<'_>) -> (Rows, Values) {
        let dense = |values| (Rows::Dense, values);
        match field {
            Field::Start => dense(Values::Int(self.of_rows(
                selection,
                |segment| &segment.start,
                |start| *start as i64,
            ))),
            Field::Duration => dense(Values::Duration(self.of_rows(
                selection,
                |segment| &segment.duration,
                |duration| *duration,
            ))),
            Field::Status => dense(Values::Status(self.of_rows(
                selection,
                |segment| &segment.status,
                |status| code_of(status.unwrap_or_default()),
            ))),
            Field::Kind => dense(Values::Kind(self.of_rows(
                selection,
                |segment| &segment.kind,
                |kind| code_of(*kind),
            ))),
            Field::SpanId => dense(Values::SpanId(self.of_rows(
                selection,
                |segment| &segment.span_id,
                |id| *id,
            ))),
            Field::Name => dense(self.texts(selection, |segment| &segment.name)),
            Field::StatusMessage => dense(self.texts(selection, |segment| &segment.status_message)),
            Field::InstrumentationName => dense(self.scope_texts(selection, |scope| &scope.name)),
            Field::InstrumentationVersion => dense(self.scope_texts(selection, |scope| &scope.version)),
            Field::ParentId => self.parent_ids(selection),
            Field::EventName => self.event_names(selection),
            Field::EventTimeSinceStart => {
                let time = |segment: &Segment, event| segment.events.time.get(event).copied();
                let (rows, times) = self.nested(selection, Scope::Event, time);
                (rows, Values::Duration(times))
            }
            Field::LinkTraceId => {
                let id = |segment: &Segment, link| Some(right_aligned(segment.links.trace_id.bytes(link)));
                let (rows, ids) = self.nested(selection, Scope::Link, id);
                (rows, Values::TraceId(ids))
            }
            Field::LinkSpanId => {
                let id = |segment: &Segment, link| Some(right_aligned(segment.links.span_id.bytes(link)));
                let (rows, ids) = self.nested(selection, Scope::Link, id);
                (rows, Values::SpanId(ids))
            }
            // Not an intrinsic.
            Field::Attribute(..) => (Rows::Sparse(Vec::new()), Values::Bool(Vec::new())),
        }
    }

    /// A value of each selected row.
    fn of_rows<T, V>(
        &self,
        selection: Selection<'_>,
        column: fn(&Segment) -> &Vec<T>,
        value: impl Fn(&T) -> V,
    ) -> Vec<V> {
        let mut values = Vec::new();
        for part in selected(self, selection) {
            let column = column(part.segment);
            part.each_row(|row, _| values.extend(column.get(row).map(&value)));
        }
        values
    }

    /// A text of each selected row.
    fn texts(&self, selection: Selection<'_>, column: fn(&Segment) -> &Coded) -> Values {
        let (mut codes, mut dictionary) = (Vec::new(), Chain::default());
        for part in selected(self, selection) {
            let column = column(part.segment);
            let first = dictionary.add(column.interner.words().clone());
            part.each_row(|row, _| codes.extend(column.codes.get(row).map(|code| first + code)));
        }
        Values::String {
            codes,
            dictionary: dictionary.into_dictionary(),
        }
    }

    /// A text of each selected row's scope.
    fn scope_texts(&self, selection: Selection<'_>, text: fn(&Owner) -> &String) -> Values {
        let texts: Vec<String> = self
            .tables()
            .scopes
            .iter()
            .map(|scope| text(scope).clone())
            .collect();
        Values::String {
            codes: self.of_rows(selection, |segment| &segment.scope, |scope| *scope),
            dictionary: Arc::new(texts),
        }
    }

    fn parent_ids(&self, selection: Selection<'_>) -> (Rows, Values) {
        let (mut rows, mut ids) = (Vec::new(), Vec::new());
        for part in selected(self, selection) {
            part.each_row(|row, number| {
                if part.segment.has_parent(row) {
                    rows.push(number);
                    ids.push(right_aligned(part.segment.raw_parent(row)));
                }
            });
        }
        (Rows::Sparse(rows), Values::SpanId(ids))
    }

    fn event_names(&self, selection: Selection<'_>) -> (Rows, Values) {
        let (mut rows, mut codes, mut dictionary) = (Vec::new(), Vec::new(), Chain::default());
        for part in selected(self, selection) {
            let names = &part.segment.events.name;
            let first = dictionary.add(names.interner.words().clone());
            part.each_nested(&part.segment.events.row, |event, row| {
                rows.push(row);
                codes.push(first + names.codes.get(event).copied().unwrap_or_default());
            });
        }
        let dictionary = dictionary.into_dictionary();
        (Rows::Sparse(rows), Values::String { codes, dictionary })
    }

    /// A value of each event or link of the selected rows.
    fn nested<V>(
        &self,
        selection: Selection<'_>,
        scope: Scope,
        value: impl Fn(&Segment, usize) -> Option<V>,
    ) -> (Rows, Vec<V>) {
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for part in selected(self, selection) {
            let rows_of_nested = part.segment.nested_rows(scope).unwrap_or_default();
            part.each_nested(rows_of_nested, |number, row| {
                if let Some(value) = value(part.segment, number) {
                    rows.push(row);
                    values.push(value);
                }
            });
        }
        (Rows::Sparse(rows), values)
    }

    /// Whom attributes of a scope belong to, if it is resources or scopes.
    fn owners(&self, scope: Scope) -> Option<&[Arc<Owner>]> {
        match scope {
            Scope::Resource => Some(&self.tables().resources),
            Scope::Instrumentation => Some(&self.tables().scopes),
            Scope::Span | Scope::Event | Scope::Link => None,
        }
    }
}

/// A status or kind of OTLP; what no version knows is unset.
fn code_of(code: i32) -> u8 {
    u8::try_from(code).unwrap_or_default()
}
