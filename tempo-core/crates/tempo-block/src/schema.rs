//! The block format, version [`VERSION`]: names and types of the columns of `spans.parquet` and `traces.parquet`, what
//! their file metadata says, and the text form of values. Writer and readers agree here;
//! `docs/format.md` tells the same to strangers.
//!
//! Not here: how rows are ordered and encoded (`write`), and how they are read (`read`).

pub mod attribute;
pub mod metadata;
pub mod value;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

pub use attribute::{AttributeColumn, MAX_ATTRIBUTE_COLUMNS};
pub use metadata::{FileMetadata, MetadataError, RowGroupMetadata};
pub use value::{ValueError, ValueKind};

/// The version of the format that [`crate::meta::BLOCK_FORMAT`] and the file metadata carry.
pub const VERSION: u16 = crate::meta::BLOCK_FORMAT;

/// The most rows of a row group that holds more than one trace; a longer trace has a row group of its own.
pub const MAX_ROW_GROUP_ROWS: usize = 50_000;

/// Columns of `spans.parquet` that every file has, in this order; the attribute columns follow, ordered by name, then
/// [`spans::SPAN_ATTRIBUTES`] and the other lists.
pub mod spans {
    /// 16 bytes.
    pub const TRACE_ID: &str = "trace_id";
    /// 8 bytes.
    pub const SPAN_ID: &str = "span_id";
    /// The parent's id as it was received, only where `pos` and `depth` do not tell it; see `docs/format.md`.
    pub const PARENT_SPAN_ID: &str = "parent_span_id";
    /// Nanoseconds since the Unix epoch.
    pub const START: &str = "start_unix_nano";
    /// End minus start in nanoseconds, modulo 2^64: negative where the end lies before the start.
    pub const DURATION: &str = "duration_nano";
    /// Text.
    pub const NAME: &str = "name";
    /// `SpanKind` of OTLP, also values that it does not know.
    pub const KIND: &str = "kind";
    /// `StatusCode` of OTLP; null where the span has no status at all.
    pub const STATUS_CODE: &str = "status_code";
    /// Text; empty where there is none.
    pub const STATUS_MESSAGE: &str = "status_message";
    /// W3C trace state; empty where there is none.
    pub const TRACE_STATE: &str = "trace_state";
    /// Flags of OTLP.
    pub const FLAGS: &str = "flags";
    /// Attributes that the client dropped.
    pub const DROPPED_ATTRIBUTES: &str = "dropped_attributes_count";
    /// Events that the client dropped.
    pub const DROPPED_EVENTS: &str = "dropped_events_count";
    /// Links that the client dropped.
    pub const DROPPED_LINKS: &str = "dropped_links_count";
    /// The trace's place in the row group's trace table.
    pub const TRACE_ORD: &str = "trace_ord";
    /// The span's place in its trace in pre-order, within the row group.
    pub const POS: &str = "pos";
    /// How many ancestors the span has within the row group, where they are known by `pos`.
    pub const DEPTH: &str = "depth";
    /// Rows of a row group with the same number have the same resource (attributes, dropped count, schema).
    pub const RESOURCE_ORD: &str = "resource_ord";
    /// Schema of the resource; empty where there is none.
    pub const RESOURCE_SCHEMA_URL: &str = "resource_schema_url";
    /// Attributes of the resource that the client dropped.
    pub const RESOURCE_DROPPED_ATTRIBUTES: &str = "resource_dropped_attributes_count";
    /// Rows of a row group with the same number have the same scope (all `scope_*` and `instrumentation.*`).
    pub const SCOPE_ORD: &str = "scope_ord";
    /// Name of the instrumentation scope.
    pub const SCOPE_NAME: &str = "scope_name";
    /// Version of the instrumentation scope.
    pub const SCOPE_VERSION: &str = "scope_version";
    /// Schema of the scope; empty where there is none.
    pub const SCOPE_SCHEMA_URL: &str = "scope_schema_url";
    /// Attributes of the scope that the client dropped.
    pub const SCOPE_DROPPED_ATTRIBUTES: &str = "scope_dropped_attributes_count";

    /// Attributes of the span without a column of their own: [`super::attribute_list`].
    pub const SPAN_ATTRIBUTES: &str = "span_attributes";
    /// Attributes of the resource without a column of their own.
    pub const RESOURCE_ATTRIBUTES: &str = "resource_attributes";
    /// Attributes of the instrumentation scope without a column of their own.
    pub const SCOPE_ATTRIBUTES: &str = "scope_attributes";
    /// Events: [`super::event_list`].
    pub const EVENTS: &str = "events";
    /// Links: [`super::link_list`].
    pub const LINKS: &str = "links";

    /// Field of an attribute: its key.
    pub const KEY: &str = "key";
    /// Field of an attribute: the name of its [`super::ValueKind`].
    pub const TYPE: &str = "type";
    /// Field of an attribute: its text form, see [`super::value`].
    pub const VALUE: &str = "value";
    /// Field of events and links: their attributes, all of them.
    pub const ATTRIBUTES: &str = "attributes";
    /// Field of events: nanoseconds from the span's start, modulo 2^64.
    pub const TIME: &str = "time_offset_nano";
}

/// Columns of `traces.parquet`. Its row group *i* is the trace table of row group *i* of `spans.parquet`, in the order
/// of [`traces::TRACE_ORD`].
pub mod traces {
    /// 16 bytes.
    pub const TRACE_ID: &str = "trace_id";
    /// The row group of `spans.parquet`.
    pub const ROW_GROUP: &str = "row_group";
    /// Counts from zero in every row group.
    pub const TRACE_ORD: &str = "trace_ord";
    /// The earliest start of a span, nanoseconds since the Unix epoch.
    pub const START: &str = "start_unix_nano";
    /// From there to the latest end of a span, in nanoseconds.
    pub const DURATION: &str = "duration_nano";
    /// `service.name` of the root span's resource; empty when it has none, null without a root span.
    pub const ROOT_SERVICE: &str = "root_service_name";
    /// Name of the root span (of several, the last received); null without a root span.
    pub const ROOT_NAME: &str = "root_span_name";
    /// Number of spans.
    pub const SPANS: &str = "spans";
    /// Number of spans whose status is an error.
    pub const ERRORS: &str = "errors";
    /// Whether more of the trace may follow in other blocks.
    pub const CONTINUED: &str = "continued";
}

/// Strings, dictionary-encoded in the file and in memory.
pub fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn list_of(fields: Vec<Field>) -> DataType {
    let element = required("element", DataType::Struct(Fields::from(fields)));
    DataType::List(Arc::new(element))
}

/// Attributes as key, type and text form of the value.
pub fn attribute_list() -> DataType {
    list_of(vec![
        required(spans::KEY, text_type()),
        required(spans::TYPE, text_type()),
        required(spans::VALUE, text_type()),
    ])
}

/// Events of a span.
pub fn event_list() -> DataType {
    list_of(vec![
        required(spans::TIME, DataType::Int64),
        required(spans::NAME, text_type()),
        required(spans::DROPPED_ATTRIBUTES, DataType::UInt32),
        required(spans::ATTRIBUTES, attribute_list()),
    ])
}

/// Links of a span. Ids are as they were received, of any length.
pub fn link_list() -> DataType {
    list_of(vec![
        required(spans::TRACE_ID, DataType::Binary),
        required(spans::SPAN_ID, DataType::Binary),
        required(spans::TRACE_STATE, text_type()),
        required(spans::FLAGS, DataType::UInt32),
        required(spans::DROPPED_ATTRIBUTES, DataType::UInt32),
        required(spans::ATTRIBUTES, attribute_list()),
    ])
}

/// The columns of `spans.parquet` before the attribute columns.
fn intrinsic_fields() -> Vec<Field> {
    use DataType::{Binary, FixedSizeBinary, Int32, Int64, UInt32, UInt64};
    let text = text_type;
    vec![
        required(spans::TRACE_ID, FixedSizeBinary(16)),
        required(spans::SPAN_ID, FixedSizeBinary(8)),
        Field::new(spans::PARENT_SPAN_ID, Binary, true),
        required(spans::START, UInt64),
        required(spans::DURATION, Int64),
        required(spans::NAME, text()),
        required(spans::KIND, Int32),
        Field::new(spans::STATUS_CODE, Int32, true),
        required(spans::STATUS_MESSAGE, text()),
        required(spans::TRACE_STATE, text()),
        required(spans::FLAGS, UInt32),
        required(spans::DROPPED_ATTRIBUTES, UInt32),
        required(spans::DROPPED_EVENTS, UInt32),
        required(spans::DROPPED_LINKS, UInt32),
        required(spans::TRACE_ORD, UInt32),
        required(spans::POS, UInt32),
        required(spans::DEPTH, UInt32),
        required(spans::RESOURCE_ORD, UInt32),
        required(spans::RESOURCE_SCHEMA_URL, text()),
        required(spans::RESOURCE_DROPPED_ATTRIBUTES, UInt32),
        required(spans::SCOPE_ORD, UInt32),
        required(spans::SCOPE_NAME, text()),
        required(spans::SCOPE_VERSION, text()),
        required(spans::SCOPE_SCHEMA_URL, text()),
        required(spans::SCOPE_DROPPED_ATTRIBUTES, UInt32),
    ]
}

/// How many columns lie before the attribute columns; each is one leaf.
pub fn intrinsic_columns() -> usize {
    intrinsic_fields().len()
}

/// The schema of `spans.parquet` with these attribute columns, which must be ordered by name. Nullability never
/// depends on the data, so that row groups of one file can be copied into another.
pub fn spans_schema(columns: &[AttributeColumn]) -> SchemaRef {
    let mut fields = intrinsic_fields();
    fields.extend(
        columns
            .iter()
            .map(|column| Field::new(column.name(), column.kind.column_type(), true)),
    );
    fields.extend([
        required(spans::SPAN_ATTRIBUTES, attribute_list()),
        required(spans::RESOURCE_ATTRIBUTES, attribute_list()),
        required(spans::SCOPE_ATTRIBUTES, attribute_list()),
        required(spans::EVENTS, event_list()),
        required(spans::LINKS, link_list()),
    ]);
    Arc::new(Schema::new(fields))
}

/// The schema of `traces.parquet`.
pub fn traces_schema() -> SchemaRef {
    use DataType::{Boolean, FixedSizeBinary, UInt32, UInt64};
    Arc::new(Schema::new(vec![
        required(traces::TRACE_ID, FixedSizeBinary(16)),
        required(traces::ROW_GROUP, UInt32),
        required(traces::TRACE_ORD, UInt32),
        required(traces::START, UInt64),
        required(traces::DURATION, UInt64),
        Field::new(traces::ROOT_SERVICE, text_type(), true),
        Field::new(traces::ROOT_NAME, text_type(), true),
        required(traces::SPANS, UInt32),
        required(traces::ERRORS, UInt32),
        required(traces::CONTINUED, Boolean),
    ]))
}
