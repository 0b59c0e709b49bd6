//! A batch in memory, made of the conformance data's traces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_yaml::Value;
use tempo_traceql::Query;
use tempo_traceql::ast::{Expression, Kind, Pipeline, Root, Scope, SpansetExpression, Stage, Status};
use tempo_traceql::columns::{
    Column, Condition, FetchError, Field, ORPHAN, Part, ROOT, RootSpan, Rows, Selection, SpanBatch, TraceRow,
    Values,
};
use tempo_traceql::search::{Search, SearchOptions};

use crate::dataset::{Attributes, Dataset, ScopeOf, Span, Trace};

fn nanos(millis: f64) -> i64 {
    (millis * 1e6).round() as i64
}

fn id<const N: usize>(hex: &str) -> [u8; N] {
    let mut id = [0; N];
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("an id in hex");
    }
    id
}

struct Row {
    span: Span,
    resource: Arc<Attributes>,
    scope: ScopeOf,
    start_ns: i64,
}

impl Row {
    /// The attributes in a scope; of each event or link where it has several.
    fn attribute_sets(&self, scope: Scope) -> Vec<&Attributes> {
        match scope {
            Scope::Span => vec![&self.span.attributes],
            Scope::Resource => vec![&*self.resource],
            Scope::Instrumentation => vec![&self.scope.attributes],
            Scope::Event => self.span.events.iter().map(|event| &event.attributes).collect(),
            Scope::Link => self.span.links.iter().map(|link| &link.attributes).collect(),
        }
    }
}

/// All traces of a dataset.
pub(crate) struct Memory {
    rows: Vec<Row>,
    ordinals: Vec<u32>,
    traces: Vec<TraceRow>,
    parents: Vec<u32>,
}

impl Memory {
    pub(crate) fn new(dataset: Dataset) -> Self {
        let base_ns = dataset.base_unix_seconds as i64 * 1_000_000_000;
        let mut memory = Self {
            rows: Vec::new(),
            ordinals: Vec::new(),
            traces: Vec::new(),
            parents: Vec::new(),
        };
        for trace in dataset.traces {
            memory.add(trace, base_ns);
        }
        memory
    }

    fn add(&mut self, trace: Trace, base_ns: i64) {
        let first = self.rows.len();
        for batch in trace.batches {
            let resource = Arc::new(batch.resource);
            self.rows.extend(batch.spans.into_iter().map(|span| Row {
                start_ns: base_ns + nanos(span.start_ms),
                span,
                resource: resource.clone(),
                scope: batch.scope.clone(),
            }));
        }
        let rows = &self.rows[first..];
        let by_id: HashMap<&str, usize> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| (row.span.id.as_str(), first + index))
            .collect();
        let parent = |row: &Row| match &row.span.parent_id {
            None => ROOT,
            Some(parent) => by_id.get(parent.as_str()).map_or(ORPHAN, |row| *row as u32),
        };
        self.parents.extend(rows.iter().map(parent));
        let root = rows.iter().rev().find(|row| row.span.parent_id.is_none());
        self.ordinals.resize(self.rows.len(), self.traces.len() as u32);
        self.traces.push(TraceRow {
            trace_id: id(&trace.trace_id),
            start_ns: rows.iter().map(|row| row.start_ns).min().unwrap_or_default() as u64,
            end_ns: rows
                .iter()
                .map(|row| row.start_ns + nanos(row.span.duration_ms))
                .max()
                .unwrap_or_default() as u64,
            root: root.map(|row| RootSpan {
                name: row.span.name.as_str().into(),
                service: row
                    .resource
                    .get("service.name")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .into(),
            }),
            continued: false,
        });
    }

    fn selected<'a>(&'a self, selection: Selection<'a>) -> Box<dyn Iterator<Item = (u32, &'a Row)> + 'a> {
        match selection {
            Selection::All => Box::new((0..).zip(&self.rows)),
            Selection::Rows(rows) => Box::new(rows.iter().map(|row| (*row, &self.rows[*row as usize]))),
        }
    }

    fn dense<T>(
        &self,
        selection: Selection<'_>,
        value: impl Fn(&Row) -> T,
        values: fn(Vec<T>) -> Values,
    ) -> Column {
        column(
            Rows::Dense,
            values(self.selected(selection).map(|(_, row)| value(row)).collect()),
        )
    }

    fn sparse<T>(
        &self,
        selection: Selection<'_>,
        of: impl Fn(&Row) -> Vec<T>,
        values: fn(Vec<T>) -> Values,
    ) -> Column {
        let pairs = self
            .selected(selection)
            .flat_map(|(number, row)| of(row).into_iter().map(move |value| (number, value)));
        let (rows, found) = pairs.unzip();
        column(Rows::Sparse(rows), values(found))
    }

    fn attributes(&self, scope: Scope, key: &str, selection: Selection<'_>) -> Column {
        let mut parts = Parts::default();
        for (number, row) in self.selected(selection) {
            for (entry, attributes) in (0..).zip(row.attribute_sets(scope)) {
                if let Some(value) = attributes.get(key) {
                    parts.add(number, entry, value);
                }
            }
        }
        parts.column()
    }
}

fn column(rows: Rows, values: Values) -> Column {
    Column {
        parts: vec![Part {
            rows,
            values,
            array: false,
        }],
    }
}

fn strings(texts: Vec<String>) -> Values {
    Values::String {
        codes: (0..texts.len() as u32).collect(),
        dictionary: Arc::new(texts),
    }
}

/// The parts of an attribute, by type and whether it is an array.
#[derive(Default)]
struct Parts(BTreeMap<PartKey, Vec<Entry>>);

/// The type, and whether it is an array's elements'.
type PartKey = (&'static str, bool);

/// Row, event or link, value.
type Entry = (u32, u32, Value);

fn type_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Bool(_) => Some("bool"),
        Value::Number(number) if number.is_f64() => Some("float"),
        Value::Number(_) => Some("int"),
        Value::String(_) => Some("string"),
        _ => None,
    }
}

impl Parts {
    fn add(&mut self, row: u32, entry: u32, value: &Value) {
        let elements = match value {
            Value::Sequence(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        };
        let Some(kind) = elements.first().and_then(type_of) else {
            return;
        };
        if elements.iter().all(|element| type_of(element) == Some(kind)) {
            let part = self
                .0
                .entry((kind, matches!(value, Value::Sequence(_))))
                .or_default();
            part.extend(elements.iter().map(|element| (row, entry, element.clone())));
        }
    }

    fn column(self) -> Column {
        let part = |((kind, array), values): (PartKey, Vec<Entry>)| Part {
            rows: Rows::Entries {
                rows: values.iter().map(|(row, ..)| *row).collect(),
                entries: values.iter().map(|(_, entry, _)| *entry).collect(),
            },
            values: match kind {
                "bool" => Values::Bool(values.iter().filter_map(|(.., value)| value.as_bool()).collect()),
                "float" => Values::Float(values.iter().filter_map(|(.., value)| value.as_f64()).collect()),
                "int" => Values::Int(values.iter().filter_map(|(.., value)| value.as_i64()).collect()),
                _ => strings(
                    values
                        .iter()
                        .filter_map(|(.., value)| value.as_str().map(str::to_owned))
                        .collect(),
                ),
            },
            array,
        };
        Column {
            parts: self.0.into_iter().map(part).collect(),
        }
    }
}

impl SpanBatch for Memory {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn column(&self, field: &Field, selection: Selection<'_>) -> Result<Column, FetchError> {
        let status = |row: &Row| {
            Status::ALL
                .into_iter()
                .find(|status| status.name() == row.span.status)
        };
        let kind = |row: &Row| Kind::ALL.into_iter().find(|kind| kind.name() == row.span.kind);
        Ok(match field {
            Field::Start => self.dense(selection, |row| row.start_ns, Values::Int),
            Field::Duration => self.dense(selection, |row| nanos(row.span.duration_ms), Values::Duration),
            Field::Name => self.dense(selection, |row| row.span.name.clone(), strings),
            Field::Status => self.dense(
                selection,
                |row| status(row).map_or(0, |status| status as u8),
                Values::Status,
            ),
            Field::StatusMessage => self.sparse(
                selection,
                |row| {
                    Some(row.span.status_message.clone())
                        .into_iter()
                        .filter(|text| !text.is_empty())
                        .collect()
                },
                strings,
            ),
            Field::Kind => self.dense(
                selection,
                |row| kind(row).map_or(0, |kind| kind as u8),
                Values::Kind,
            ),
            Field::SpanId => self.dense(selection, |row| id(&row.span.id), Values::SpanId),
            Field::ParentId => self.sparse(
                selection,
                |row| row.span.parent_id.iter().map(|parent| id(parent)).collect(),
                Values::SpanId,
            ),
            Field::EventName => self.sparse(
                selection,
                |row| row.span.events.iter().map(|event| event.name.clone()).collect(),
                strings,
            ),
            Field::EventTimeSinceStart => self.sparse(
                selection,
                |row| {
                    row.span
                        .events
                        .iter()
                        .map(|event| nanos(event.offset_ms))
                        .collect()
                },
                Values::Duration,
            ),
            Field::LinkTraceId => self.sparse(
                selection,
                |row| row.span.links.iter().map(|link| id(&link.trace_id)).collect(),
                Values::TraceId,
            ),
            Field::LinkSpanId => self.sparse(
                selection,
                |row| row.span.links.iter().map(|link| id(&link.span_id)).collect(),
                Values::SpanId,
            ),
            Field::InstrumentationName => self.dense(selection, |row| row.scope.name.clone(), strings),
            Field::InstrumentationVersion => self.dense(selection, |row| row.scope.version.clone(), strings),
            Field::Attribute(scope, key) => self.attributes(*scope, key, selection),
        })
    }

    fn attribute_keys(&self, scope: Scope) -> Result<Vec<String>, FetchError> {
        let keys: BTreeSet<String> = self
            .rows
            .iter()
            .flat_map(|row| row.attribute_sets(scope))
            .flat_map(|attributes| attributes.keys().cloned())
            .collect();
        Ok(keys.into_iter().collect())
    }

    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError> {
        Ok(self.ordinals.as_slice().into())
    }

    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError> {
        Ok(self.traces.as_slice().into())
    }

    fn parents(&self) -> Result<Arc<[u32]>, FetchError> {
        Ok(self.parents.as_slice().into())
    }
}

/// A batch that knows exactly which conditions some span of it satisfies.
pub(crate) struct Pruned(pub(crate) Memory);

impl SpanBatch for Pruned {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn column(&self, field: &Field, selection: Selection<'_>) -> Result<Column, FetchError> {
        self.0.column(field, selection)
    }

    fn attribute_keys(&self, scope: Scope) -> Result<Vec<String>, FetchError> {
        self.0.attribute_keys(scope)
    }

    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError> {
        self.0.trace_ordinals()
    }

    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError> {
        self.0.traces()
    }

    fn parents(&self) -> Result<Arc<[u32]>, FetchError> {
        self.0.parents()
    }

    fn may_match(&self, condition: &Condition) -> bool {
        let filter = SpansetExpression::Filter(Expression::Binary {
            operator: condition.operator,
            left: Expression::Attribute(condition.attribute.clone()).into(),
            right: Expression::Static(condition.operand.clone()).into(),
        });
        let query = Query {
            root: Root::Search(Pipeline {
                stages: vec![Stage::Spanset(filter)],
            }),
            hints: Vec::new(),
        };
        let search = Search::new(&query, SearchOptions::default()).expect("prepare a condition");
        !search.run(&self.0).expect("run a condition").is_empty()
    }
}
