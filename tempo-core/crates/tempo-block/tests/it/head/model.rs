//! What a batch of requests must look like, computed from the messages in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, InstrumentationScope, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, Span};
use tempo_traceql::ast::{Attribute, Intrinsic, Operator, Scope, Static};
use tempo_traceql::columns::{Column, Condition, Field, ORPHAN, ROOT, Rows, Selection, SpanBatch, Values};

/// A span with all that it came with.
#[derive(Clone, Default)]
struct Row {
    span: Span,
    resource: Resource,
    scope: InstrumentationScope,
    resource_schema: String,
    scope_schema: String,
}

fn rows_of(resource_spans: &[ResourceSpans]) -> Vec<Row> {
    let mut rows = Vec::new();
    for of_resource in resource_spans {
        for of_scope in &of_resource.scope_spans {
            rows.extend(of_scope.spans.iter().map(|span| Row {
                span: span.clone(),
                resource: of_resource.resource.clone().unwrap_or_default(),
                scope: of_scope.scope.clone().unwrap_or_default(),
                resource_schema: of_resource.schema_url.clone(),
                scope_schema: of_scope.schema_url.clone(),
            }));
        }
    }
    rows
}

/// Calls `change` with every attribute that is not inside a value.
pub(crate) fn each_attribute(request: &mut ExportTraceServiceRequest, change: impl Fn(&mut KeyValue)) {
    for of_resource in &mut request.resource_spans {
        let resource = of_resource.resource.iter_mut();
        resource
            .flat_map(|resource| &mut resource.attributes)
            .for_each(&change);
        for of_scope in &mut of_resource.scope_spans {
            let scope = of_scope.scope.iter_mut();
            scope.flat_map(|scope| &mut scope.attributes).for_each(&change);
            for span in &mut of_scope.spans {
                span.attributes.iter_mut().for_each(&change);
                let events = span.events.iter_mut();
                events.flat_map(|event| &mut event.attributes).for_each(&change);
                let links = span.links.iter_mut();
                links.flat_map(|link| &mut link.attributes).for_each(&change);
            }
        }
    }
}

/// Spans with all that they came with, in a form and an order that do not depend on how they were grouped, nor on the
/// order of different keys.
pub(crate) fn spans_of(resource_spans: &[ResourceSpans]) -> Vec<Vec<u8>> {
    let mut spans: Vec<Vec<u8>> = rows_of(resource_spans).into_iter().map(encoded).collect();
    spans.sort();
    spans
}

pub(crate) fn spans_of_trace(requests: &[ExportTraceServiceRequest], id: &[u8]) -> Vec<Vec<u8>> {
    let rows = requests
        .iter()
        .flat_map(|request| rows_of(&request.resource_spans));
    let mut spans: Vec<Vec<u8>> = rows.filter(|row| row.span.trace_id == id).map(encoded).collect();
    spans.sort();
    spans
}

fn encoded(mut row: Row) -> Vec<u8> {
    sort(&mut row.span.attributes);
    row.span
        .events
        .iter_mut()
        .for_each(|event| sort(&mut event.attributes));
    row.span
        .links
        .iter_mut()
        .for_each(|link| sort(&mut link.attributes));
    sort(&mut row.resource.attributes);
    sort(&mut row.scope.attributes);
    let mut bytes = row.span.encode_length_delimited_to_vec();
    bytes.extend(row.resource.encode_length_delimited_to_vec());
    bytes.extend(row.scope.encode_length_delimited_to_vec());
    bytes.extend(row.resource_schema.encode_length_delimited_to_vec());
    bytes.extend(row.scope_schema.encode_length_delimited_to_vec());
    bytes
}

/// By key and type, so that values of one key and type keep their order; an absent value is an empty one.
fn sort(attributes: &mut [KeyValue]) {
    for attribute in attributes.iter_mut() {
        attribute.value.get_or_insert_default();
        attribute.value.iter_mut().for_each(fill_in);
    }
    attributes.sort_by_key(|attribute| (attribute.key.clone(), kind(attribute)));
}

/// Makes absent values inside of lists empty ones.
fn fill_in(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(fill_in),
        Some(Value::KvlistValue(list)) => {
            for pair in &mut list.values {
                fill_in(pair.value.get_or_insert_default());
            }
        }
        _ => {}
    }
}

fn kind(attribute: &KeyValue) -> u8 {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        None => 0,
        Some(Value::StringValue(_)) => 1,
        Some(Value::BoolValue(_)) => 2,
        Some(Value::IntValue(_)) => 3,
        Some(Value::DoubleValue(_)) => 4,
        Some(Value::ArrayValue(_)) => 5,
        Some(Value::KvlistValue(_)) => 6,
        Some(Value::BytesValue(_)) => 7,
    }
}

/// Row, event or link, whether of an array, value.
type Found = (u32, u32, bool, String);

/// All spans of some requests, in order.
pub(crate) struct Model {
    rows: Vec<Row>,
}

impl Model {
    pub(crate) fn new(requests: &[ExportTraceServiceRequest]) -> Self {
        let rows = requests
            .iter()
            .flat_map(|request| rows_of(&request.resource_spans));
        Self { rows: rows.collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All fields that a batch may be asked for, and one that no span has.
    pub(crate) fn fields(&self) -> Vec<Field> {
        let mut fields = vec![
            Field::Start,
            Field::Duration,
            Field::Name,
            Field::Status,
            Field::StatusMessage,
            Field::Kind,
            Field::SpanId,
            Field::ParentId,
            Field::EventName,
            Field::EventTimeSinceStart,
            Field::LinkTraceId,
            Field::LinkSpanId,
            Field::InstrumentationName,
            Field::InstrumentationVersion,
            Field::Attribute(Scope::Span, "no such key".to_owned()),
        ];
        for scope in Scope::ALL {
            let keys = self.keys(scope).into_iter();
            fields.extend(keys.map(|key| Field::Attribute(scope, key)));
        }
        fields
    }

    fn keys(&self, scope: Scope) -> BTreeSet<String> {
        let sets = self.rows.iter().flat_map(|row| sets(row, scope));
        sets.flatten().map(|attribute| attribute.key.clone()).collect()
    }

    pub(crate) fn expected(&self, field: &Field, selection: Selection<'_>) -> Vec<Found> {
        let mut found: Vec<Found> = selected(selection, self.len())
            .into_iter()
            .flat_map(|number| {
                let of_row = of_row(&self.rows[number as usize], field);
                of_row
                    .into_iter()
                    .map(move |(entry, array, value)| (number, entry, array, value))
            })
            .collect();
        found.sort();
        found
    }

    /// Checks everything but columns.
    pub(crate) fn check_tables(&self, batch: &dyn SpanBatch) {
        for scope in Scope::ALL {
            let keys = batch.attribute_keys(scope).unwrap();
            assert_eq!(keys.len(), self.keys(scope).len());
            assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), self.keys(scope));
        }
        let (traces, ordinals, parents) = (
            batch.traces().unwrap(),
            batch.trace_ordinals().unwrap(),
            batch.parents().unwrap(),
        );
        assert_eq!((ordinals.len(), parents.len()), (self.len(), self.len()));
        let mut by_id: BTreeMap<&[u8], Vec<u32>> = BTreeMap::new();
        for (row, number) in self.rows.iter().zip(0..) {
            by_id.entry(&row.span.trace_id).or_default().push(number);
            let trace = &traces[ordinals[number as usize] as usize];
            assert_eq!(trace.trace_id[..], row.span.trace_id[..]);
            self.check_parent(number, parents[number as usize]);
        }
        assert_eq!(traces.len(), by_id.len());
        for trace in traces.iter() {
            let rows: Vec<&Row> = by_id[&trace.trace_id[..]]
                .iter()
                .map(|number| &self.rows[*number as usize])
                .collect();
            let start = |row: &&Row| row.span.start_time_unix_nano;
            let end = |row: &&Row| row.span.end_time_unix_nano.max(row.span.start_time_unix_nano);
            assert_eq!(Some(trace.start_ns), rows.iter().map(start).min());
            assert_eq!(Some(trace.end_ns), rows.iter().map(end).max());
            assert!(trace.continued);
            let root = rows.iter().rev().find(|row| is_root(row));
            let found = trace
                .root
                .as_ref()
                .map(|root| (&*root.name, root.service.to_string()));
            assert_eq!(found, root.map(|row| (&*row.span.name, service(row))));
        }
    }

    fn check_parent(&self, number: u32, parent: u32) {
        let row = &self.rows[number as usize];
        let is_parent = |other: &&Row| {
            other.span.trace_id == row.span.trace_id && other.span.span_id == row.span.parent_span_id
        };
        match parent {
            ROOT => assert!(is_root(row)),
            ORPHAN => assert!(!is_root(row) && !self.rows.iter().any(|other| is_parent(&other))),
            parent => assert!(!is_root(row) && is_parent(&&self.rows[parent as usize])),
        }
    }

    /// For every attribute value and every name, conditions that its span satisfies.
    pub(crate) fn satisfied_conditions(&self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let mut add = |attribute: &Attribute, operator, operand| {
            conditions.push(Condition {
                attribute: attribute.clone(),
                operator,
                operand,
            });
        };
        for row in &self.rows {
            add(
                &Attribute::Intrinsic(Intrinsic::Name),
                Operator::Equal,
                Static::String(row.span.name.clone()),
            );
            for scope in Scope::ALL {
                for attribute in sets(row, scope).into_iter().flatten() {
                    let mut names = vec![Attribute::Scoped(scope, attribute.key.clone())];
                    if let Scope::Span | Scope::Resource = scope {
                        names.push(Attribute::Unscoped(attribute.key.clone()));
                    }
                    for name in names {
                        add(&name, Operator::NotEqual, Static::Nil);
                        for text in texts(attribute) {
                            add(&name, Operator::Equal, Static::String(text));
                        }
                    }
                }
            }
        }
        conditions
    }
}

/// The text of an attribute, or those in its array.
fn texts(attribute: &KeyValue) -> Vec<String> {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => vec![text.clone()],
        Some(Value::ArrayValue(array)) => {
            let values = array.values.iter();
            values
                .filter_map(|value| match &value.value {
                    Some(Value::StringValue(text)) => Some(text.clone()),
                    _ => None,
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

fn is_root(row: &Row) -> bool {
    row.span.parent_span_id.iter().all(|byte| *byte == 0)
}

fn service(row: &Row) -> String {
    let of_key = row
        .resource
        .attributes
        .iter()
        .filter(|attribute| attribute.key == "service.name");
    let mut names = of_key.filter_map(|attribute| match &attribute.value.as_ref()?.value {
        Some(Value::StringValue(name)) => Some(name.clone()),
        _ => None,
    });
    names.next_back().unwrap_or_default()
}

/// The attributes in a scope; of each event or link.
fn sets(row: &Row, scope: Scope) -> Vec<&Vec<KeyValue>> {
    match scope {
        Scope::Span => vec![&row.span.attributes],
        Scope::Resource => vec![&row.resource.attributes],
        Scope::Instrumentation => vec![&row.scope.attributes],
        Scope::Event => row.span.events.iter().map(|event| &event.attributes).collect(),
        Scope::Link => row.span.links.iter().map(|link| &link.attributes).collect(),
    }
}

fn of_row(row: &Row, field: &Field) -> Vec<(u32, bool, String)> {
    let span = &row.span;
    let one = |value: String| vec![(0, false, value)];
    let many = |values: Vec<String>| values.into_iter().map(|value| (0, false, value)).collect();
    let status = span.status.clone().unwrap_or_default();
    match field {
        Field::Start => one(format!("{:?}", span.start_time_unix_nano as i64)),
        Field::Duration => one(format!(
            "{:?}",
            duration(span.start_time_unix_nano, span.end_time_unix_nano)
        )),
        Field::Name => one(format!("{:?}", span.name)),
        Field::Status => one(format!("{:?}", status.code)),
        Field::StatusMessage => one(format!("{:?}", status.message)),
        Field::Kind => one(format!("{:?}", span.kind)),
        Field::SpanId => one(format!("{:?}", span.span_id)),
        Field::ParentId if is_root(row) => Vec::new(),
        Field::ParentId => one(format!("{:?}", span.parent_span_id)),
        Field::EventName => many(
            span.events
                .iter()
                .map(|event| format!("{:?}", event.name))
                .collect(),
        ),
        Field::EventTimeSinceStart => {
            let times = span.events.iter().map(|event| event.time_unix_nano);
            many(
                times
                    .map(|time| format!("{:?}", duration(span.start_time_unix_nano, time)))
                    .collect(),
            )
        }
        Field::LinkTraceId => many(
            span.links
                .iter()
                .map(|link| format!("{:?}", link.trace_id))
                .collect(),
        ),
        Field::LinkSpanId => many(
            span.links
                .iter()
                .map(|link| format!("{:?}", link.span_id))
                .collect(),
        ),
        Field::InstrumentationName => one(format!("{:?}", row.scope.name)),
        Field::InstrumentationVersion => one(format!("{:?}", row.scope.version)),
        Field::Attribute(scope, key) => (0..)
            .zip(sets(row, *scope))
            .flat_map(|(entry, attributes)| attributes.iter().map(move |attribute| (entry, attribute)))
            .filter(|(_, attribute)| attribute.key == *key)
            .flat_map(|(entry, attribute)| {
                let (array, values) = elements(attribute.value.as_ref());
                values.into_iter().map(move |value| (entry, array, value))
            })
            .collect(),
    }
}

fn duration(start: u64, end: u64) -> i64 {
    end.wrapping_sub(start) as i64
}

/// Whether it is an array, and the values that TraceQL has a type for.
fn elements(value: Option<&AnyValue>) -> (bool, Vec<String>) {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::ArrayValue(array)) => {
            let kinds: BTreeSet<_> = array
                .values
                .iter()
                .map(|value| single(value).map(|(kind, _)| kind))
                .collect();
            if kinds.len() != 1 || kinds.contains(&None) {
                return (true, Vec::new());
            }
            (
                true,
                array
                    .values
                    .iter()
                    .filter_map(single)
                    .map(|(_, text)| text)
                    .collect(),
            )
        }
        _ => (
            false,
            value.and_then(single).map(|(_, text)| text).into_iter().collect(),
        ),
    }
}

fn single(value: &AnyValue) -> Option<(u8, String)> {
    match value.value.as_ref()? {
        Value::StringValue(text) => Some((1, format!("{text:?}"))),
        Value::BoolValue(value) => Some((2, format!("{value:?}"))),
        Value::IntValue(value) => Some((3, format!("{value:?}"))),
        Value::DoubleValue(value) => Some((4, format!("{value:?}"))),
        _ => None,
    }
}

fn selected(selection: Selection<'_>, length: usize) -> Vec<u32> {
    match selection {
        Selection::All => (0..length as u32).collect(),
        Selection::Rows(rows) => rows.to_vec(),
    }
}

/// The values of a column in any order, but those of one array or key in theirs.
pub(crate) fn values(column: &Column, selection: Selection<'_>, length: usize) -> Vec<Found> {
    let mut found = Vec::new();
    for part in &column.parts {
        let texts = texts_of(&part.values);
        let (rows, entries) = match &part.rows {
            Rows::Dense => (selected(selection, length), vec![0; texts.len()]),
            Rows::Sparse(rows) => (rows.clone(), vec![0; texts.len()]),
            Rows::Entries { rows, entries } => (rows.clone(), entries.clone()),
        };
        for ((row, entry), text) in rows.into_iter().zip(entries).zip(texts) {
            found.push((row, entry, part.array, text));
        }
    }
    found.sort();
    found
}

/// Checks that parts are as the contract says, whatever they hold.
pub(crate) fn check_shape(column: &Column, selection: Selection<'_>, length: usize) {
    for part in &column.parts {
        let of_rows = match &part.rows {
            Rows::Dense => selected(selection, length),
            Rows::Sparse(rows) => rows.clone(),
            Rows::Entries { rows, entries } => {
                let pairs: Vec<_> = rows.iter().zip(entries).collect();
                assert!(pairs.is_sorted() && rows.len() == entries.len());
                rows.clone()
            }
        };
        assert_eq!(of_rows.len(), part.values.len());
        assert!(of_rows.is_sorted());
        let rows = selected(selection, length);
        assert!(of_rows.iter().all(|row| rows.binary_search(row).is_ok()));
    }
    let kinds: BTreeSet<_> = column
        .parts
        .iter()
        .map(|part| (part.array, format!("{:?}", std::mem::discriminant(&part.values))))
        .collect();
    assert_eq!(kinds.len(), column.parts.len(), "a part for each type");
}

fn texts_of(values: &Values) -> Vec<String> {
    fn all<T: std::fmt::Debug>(values: &[T]) -> Vec<String> {
        values.iter().map(|value| format!("{value:?}")).collect()
    }
    match values {
        Values::Int(values) | Values::Duration(values) => all(values),
        Values::Float(values) => all(values),
        Values::Bool(values) => all(values),
        Values::String { codes, dictionary } => {
            let texts: Vec<&str> = codes.iter().map(|code| dictionary.get(*code).unwrap()).collect();
            all(&texts)
        }
        Values::Status(values) | Values::Kind(values) => all(values),
        Values::SpanId(values) => all(values),
        Values::TraceId(values) => all(values),
    }
}
