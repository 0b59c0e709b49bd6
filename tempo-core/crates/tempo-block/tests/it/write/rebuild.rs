//! Spans of a block as they were sent, read by nothing but the Parquet library and docs/format.md.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray, ListArray, RecordBatch, StructArray,
    UInt32Array,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempo_block::schema::value::from_text;
use tempo_block::schema::{FileMetadata, ValueKind, spans as names};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, InstrumentationScope, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status, span};
use tempo_traceql::ast::Scope;

/// All spans of a file.
pub(super) fn spans(file: &Bytes) -> ExportTraceServiceRequest {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let row_groups = builder.metadata().num_row_groups();
    let pairs = builder.metadata().file_metadata().key_value_metadata();
    let metadata = FileMetadata::from_key_values(pairs).unwrap();
    assert_eq!(metadata.row_groups.len(), row_groups);
    let mut resource_spans = Vec::new();
    for number in 0..row_groups {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
        let reader = builder
            .with_row_groups(vec![number])
            .with_batch_size(usize::MAX >> 1)
            .build()
            .unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        let row_group = RowGroup {
            batch,
            metadata: &metadata,
        };
        resource_spans.extend(row_group.spans());
    }
    ExportTraceServiceRequest { resource_spans }
}

struct RowGroup<'a> {
    batch: RecordBatch,
    metadata: &'a FileMetadata,
}

impl RowGroup<'_> {
    fn column(&self, name: &str) -> &ArrayRef {
        self.batch.column_by_name(name).unwrap()
    }

    fn number(&self, name: &str, row: usize) -> u32 {
        self.column(name).as_primitive::<UInt32Type>().value(row)
    }

    fn text(&self, name: &str, row: usize) -> String {
        text(self.column(name), row)
    }

    fn spans(&self) -> Vec<ResourceSpans> {
        let parents = self.parents();
        (0..self.batch.num_rows())
            .map(|row| self.span(row, &parents))
            .collect()
    }

    /// The parent id of every row.
    fn parents(&self) -> Vec<Vec<u8>> {
        let mut by_place = HashMap::new();
        for row in 0..self.batch.num_rows() {
            by_place.insert(
                (self.number(names::TRACE_ORD, row), self.number(names::POS, row)),
                row,
            );
        }
        let ids: &FixedSizeBinaryArray = self.column(names::SPAN_ID).as_fixed_size_binary();
        let raw: &BinaryArray = self.column(names::PARENT_SPAN_ID).as_binary();
        let parent = |row: usize| {
            let (trace, depth) = (self.number(names::TRACE_ORD, row), self.number(names::DEPTH, row));
            if depth == 0 {
                return if raw.is_null(row) {
                    Vec::new()
                } else {
                    raw.value(row).to_vec()
                };
            }
            assert!(raw.is_null(row));
            let before = (0..self.number(names::POS, row))
                .rev()
                .map(|pos| by_place[&(trace, pos)]);
            let mut ancestors = before.filter(|other| self.number(names::DEPTH, *other) < depth);
            let parent = ancestors.next().unwrap();
            assert_eq!(self.number(names::DEPTH, parent) + 1, depth);
            ids.value(parent).to_vec()
        };
        (0..self.batch.num_rows()).map(parent).collect()
    }

    fn span(&self, row: usize, parents: &[Vec<u8>]) -> ResourceSpans {
        let start = self.column(names::START).as_primitive::<UInt64Type>().value(row);
        let duration = self
            .column(names::DURATION)
            .as_primitive::<Int64Type>()
            .value(row);
        let status = self.column(names::STATUS_CODE).as_primitive::<Int32Type>();
        let span = Span {
            trace_id: self
                .column(names::TRACE_ID)
                .as_fixed_size_binary()
                .value(row)
                .to_vec(),
            span_id: self
                .column(names::SPAN_ID)
                .as_fixed_size_binary()
                .value(row)
                .to_vec(),
            parent_span_id: parents[row].clone(),
            name: self.text(names::NAME, row),
            kind: self.column(names::KIND).as_primitive::<Int32Type>().value(row),
            trace_state: self.text(names::TRACE_STATE, row),
            start_time_unix_nano: start,
            end_time_unix_nano: start.wrapping_add(duration as u64),
            flags: self.number(names::FLAGS, row),
            status: (!status.is_null(row)).then(|| Status {
                code: status.value(row),
                message: self.text(names::STATUS_MESSAGE, row),
            }),
            attributes: self.attributes(Scope::Span, names::SPAN_ATTRIBUTES, row),
            events: self.events(row, start),
            links: self.links(row),
            dropped_attributes_count: self.number(names::DROPPED_ATTRIBUTES, row),
            dropped_events_count: self.number(names::DROPPED_EVENTS, row),
            dropped_links_count: self.number(names::DROPPED_LINKS, row),
        };
        let scope = InstrumentationScope {
            name: self.text(names::SCOPE_NAME, row),
            version: self.text(names::SCOPE_VERSION, row),
            attributes: self.attributes(Scope::Instrumentation, names::SCOPE_ATTRIBUTES, row),
            dropped_attributes_count: self.number(names::SCOPE_DROPPED_ATTRIBUTES, row),
        };
        let resource = Resource {
            attributes: self.attributes(Scope::Resource, names::RESOURCE_ATTRIBUTES, row),
            dropped_attributes_count: self.number(names::RESOURCE_DROPPED_ATTRIBUTES, row),
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: vec![span],
            schema_url: self.text(names::SCOPE_SCHEMA_URL, row),
        };
        ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            schema_url: self.text(names::RESOURCE_SCHEMA_URL, row),
        }
    }

    fn attributes(&self, scope: Scope, list: &str, row: usize) -> Vec<KeyValue> {
        let mut found = list_attributes(self.column(list).as_list(), row);
        for column in self
            .metadata
            .columns
            .iter()
            .filter(|column| column.scope == scope)
        {
            let values = self.column(&column.name());
            if !values.is_null(row) {
                let in_list = found
                    .iter()
                    .any(|other| other.key == column.key && is_kind(other, column.kind));
                assert!(!in_list, "{} is in the column and in the list", column.name());
                found.push(KeyValue {
                    key: column.key.clone(),
                    value: Some(cell(values, row)),
                });
            }
        }
        found
    }

    fn events(&self, row: usize, start: u64) -> Vec<span::Event> {
        let events = elements(self.column(names::EVENTS).as_list(), row);
        let event = |entry: usize| span::Event {
            time_unix_nano: start.wrapping_add(
                field(&events, names::TIME)
                    .as_primitive::<Int64Type>()
                    .value(entry) as u64,
            ),
            name: text(field(&events, names::NAME), entry),
            attributes: list_attributes(field(&events, names::ATTRIBUTES).as_list(), entry),
            dropped_attributes_count: number(&events, names::DROPPED_ATTRIBUTES, entry),
        };
        (0..events.len()).map(event).collect()
    }

    fn links(&self, row: usize) -> Vec<span::Link> {
        let links = elements(self.column(names::LINKS).as_list(), row);
        let bytes = |name, entry| field(&links, name).as_binary::<i32>().value(entry).to_vec();
        let link = |entry: usize| span::Link {
            trace_id: bytes(names::TRACE_ID, entry),
            span_id: bytes(names::SPAN_ID, entry),
            trace_state: text(field(&links, names::TRACE_STATE), entry),
            attributes: list_attributes(field(&links, names::ATTRIBUTES).as_list(), entry),
            dropped_attributes_count: number(&links, names::DROPPED_ATTRIBUTES, entry),
            flags: number(&links, names::FLAGS, entry),
        };
        (0..links.len()).map(link).collect()
    }
}

fn elements(list: &ListArray, row: usize) -> StructArray {
    list.value(row).as_struct().clone()
}

fn field<'a>(elements: &'a StructArray, name: &str) -> &'a ArrayRef {
    elements.column_by_name(name).unwrap()
}

fn number(elements: &StructArray, name: &str, entry: usize) -> u32 {
    let numbers: &UInt32Array = field(elements, name).as_primitive();
    numbers.value(entry)
}

fn text(column: &ArrayRef, row: usize) -> String {
    let plain = arrow::compute::cast(column, &DataType::Utf8).unwrap();
    plain.as_string::<i32>().value(row).to_owned()
}

fn list_attributes(list: &ListArray, row: usize) -> Vec<KeyValue> {
    let attributes = elements(list, row);
    let attribute = |entry: usize| {
        let kind = ValueKind::parse(&text(field(&attributes, names::TYPE), entry)).unwrap();
        let value = from_text(kind, &text(field(&attributes, names::VALUE), entry)).unwrap();
        KeyValue {
            key: text(field(&attributes, names::KEY), entry),
            value: Some(value),
        }
    };
    (0..attributes.len()).map(attribute).collect()
}

fn is_kind(attribute: &KeyValue, kind: ValueKind) -> bool {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    matches!(
        (value, kind),
        (Some(Value::StringValue(_)), ValueKind::String)
            | (Some(Value::IntValue(_)), ValueKind::Int)
            | (Some(Value::DoubleValue(_)), ValueKind::Double)
            | (Some(Value::BoolValue(_)), ValueKind::Bool)
    )
}

fn cell(column: &Arc<dyn Array>, row: usize) -> AnyValue {
    let value = match column.data_type() {
        DataType::Int64 => Value::IntValue(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::DoubleValue(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => Value::BoolValue(column.as_boolean().value(row)),
        _ => Value::StringValue(text(column, row)),
    };
    AnyValue { value: Some(value) }
}
