//! Messages → JSON as Tempo's API writes it.
//!
//! Source: the JSON mapping of protobuf as gogo's jsonpb does it: lowerCamelCase names, zero values left out, 64-bit
//! integers as strings, bytes as base64, enums by name, NaN and infinities as strings.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::proto::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use crate::proto::resource::Resource;
use crate::proto::tempopb;
use crate::proto::trace::{ResourceSpans, ScopeSpans, Span, Status, StatusCode, span};

/// An object under construction that leaves zero values out.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    fn text(self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            self
        } else {
            self.put(name, value.into())
        }
    }

    fn bytes(self, name: &str, value: &[u8]) -> Self {
        if value.is_empty() {
            self
        } else {
            self.put(name, BASE64_STANDARD.encode(value).into())
        }
    }

    fn number(self, name: &str, value: u32) -> Self {
        if value == 0 {
            self
        } else {
            self.put(name, value.into())
        }
    }

    fn long(self, name: &str, value: u64) -> Self {
        if value == 0 {
            self
        } else {
            self.put(name, value.to_string().into())
        }
    }

    fn list(self, name: &str, values: Vec<Value>) -> Self {
        if values.is_empty() {
            self
        } else {
            self.put(name, values.into())
        }
    }

    fn optional(self, name: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// `{"batches": [...]}`: the answer of `/api/traces/{id}`.
pub fn trace_v1(trace: &tempopb::Trace) -> Value {
    json!({"batches": resource_spans(&trace.resource_spans)})
}

/// `{"trace": {"resourceSpans": [...]}, ...}`: the answer of `/api/v2/traces/{id}`.
pub fn trace_v2(response: &tempopb::TraceByIdResponse) -> Value {
    let trace = response.trace.as_ref().map(|trace| {
        Object::default()
            .list("resourceSpans", resource_spans(&trace.resource_spans))
            .done()
    });
    let partial = response.status == tempopb::PartialStatus::Partial as i32;
    Object::default()
        .put("trace", trace.unwrap_or_else(|| json!({})))
        .put(
            "metrics",
            response.metrics.as_ref().map_or_else(|| json!({}), trace_metrics),
        )
        .optional("status", partial.then(|| "PARTIAL".into()))
        .text("message", &response.message)
        .done()
}

fn trace_metrics(metrics: &tempopb::TraceByIdMetrics) -> Value {
    Object::default()
        .long("inspectedBytes", metrics.inspected_bytes)
        .done()
}

/// The answer of `/api/search/tags`.
pub fn tags_v1(response: &tempopb::SearchTagsResponse) -> Value {
    json!({"tagNames": response.tag_names, "metrics": metadata_metrics(response.metrics.as_ref())})
}

/// The answer of `/api/v2/search/tags`.
pub fn tags_v2(response: &tempopb::SearchTagsV2Response) -> Value {
    let scopes: Vec<Value> = response
        .scopes
        .iter()
        .map(|scope| json!({"name": scope.name, "tags": scope.tags}))
        .collect();
    json!({"scopes": scopes, "metrics": metadata_metrics(response.metrics.as_ref())})
}

/// The answer of `/api/search/tag/{tag}/values`.
pub fn tag_values_v1(response: &tempopb::SearchTagValuesResponse) -> Value {
    json!({"tagValues": response.tag_values, "metrics": metadata_metrics(response.metrics.as_ref())})
}

/// The answer of `/api/v2/search/tag/{tag}/values`.
pub fn tag_values_v2(response: &tempopb::SearchTagValuesV2Response) -> Value {
    let values: Vec<Value> = response
        .tag_values
        .iter()
        .map(|value| {
            Object::default()
                .text("type", &value.r#type)
                .text("value", &value.value)
                .done()
        })
        .collect();
    json!({"tagValues": values, "metrics": metadata_metrics(response.metrics.as_ref())})
}

fn metadata_metrics(metrics: Option<&tempopb::MetadataMetrics>) -> Value {
    let Some(metrics) = metrics else {
        return json!({});
    };
    Object::default()
        .long("inspectedBytes", metrics.inspected_bytes)
        .number("totalJobs", metrics.total_jobs)
        .number("completedJobs", metrics.completed_jobs)
        .number("totalBlocks", metrics.total_blocks)
        .long("totalBlockBytes", metrics.total_block_bytes)
        .done()
}

/// The answer of `/api/search`.
pub fn search(response: &tempopb::SearchResponse) -> Value {
    let traces: Vec<Value> = response.traces.iter().map(trace_metadata).collect();
    let metrics = response
        .metrics
        .as_ref()
        .map_or_else(|| json!({}), search_metrics);
    json!({"traces": traces, "metrics": metrics})
}

fn search_metrics(metrics: &tempopb::SearchMetrics) -> Value {
    Object::default()
        .number("inspectedTraces", metrics.inspected_traces)
        .long("inspectedBytes", metrics.inspected_bytes)
        .number("totalBlocks", metrics.total_blocks)
        .number("completedJobs", metrics.completed_jobs)
        .number("totalJobs", metrics.total_jobs)
        .long("totalBlockBytes", metrics.total_block_bytes)
        .long("inspectedSpans", metrics.inspected_spans)
        .long("backendReads", metrics.backend_reads)
        .long("backendBytes", metrics.backend_bytes)
        .done()
}

fn trace_metadata(trace: &tempopb::TraceSearchMetadata) -> Value {
    let mut services: Vec<_> = trace.service_stats.iter().collect();
    services.sort_by_key(|(name, _)| name.as_str());
    let services: Map<String, Value> = services
        .into_iter()
        .map(|(name, stats)| {
            let counts = Object::default()
                .number("spanCount", stats.span_count)
                .number("errorCount", stats.error_count);
            (name.clone(), counts.done())
        })
        .collect();
    Object::default()
        .text("traceID", &trace.trace_id)
        .text("rootServiceName", &trace.root_service_name)
        .text("rootTraceName", &trace.root_trace_name)
        .long("startTimeUnixNano", trace.start_time_unix_nano)
        .number("durationMs", trace.duration_ms)
        .optional("spanSet", trace.span_set.as_ref().map(span_set))
        .list("spanSets", trace.span_sets.iter().map(span_set).collect())
        .optional("serviceStats", (!services.is_empty()).then(|| services.into()))
        .done()
}

fn span_set(set: &tempopb::SpanSet) -> Value {
    Object::default()
        .list("spans", set.spans.iter().map(matched_span).collect())
        .number("matched", set.matched)
        .list("attributes", attributes(&set.attributes))
        .done()
}

fn matched_span(span: &tempopb::Span) -> Value {
    Object::default()
        .text("spanID", &span.span_id)
        .text("name", &span.name)
        .long("startTimeUnixNano", span.start_time_unix_nano)
        .long("durationNanos", span.duration_nanos)
        .list("attributes", attributes(&span.attributes))
        .done()
}

fn resource_spans(batches: &[ResourceSpans]) -> Vec<Value> {
    batches
        .iter()
        .map(|batch| {
            Object::default()
                .optional("resource", batch.resource.as_ref().map(resource))
                .list("scopeSpans", batch.scope_spans.iter().map(scope_spans).collect())
                .text("schemaUrl", &batch.schema_url)
                .done()
        })
        .collect()
}

fn resource(resource: &Resource) -> Value {
    Object::default()
        .list("attributes", attributes(&resource.attributes))
        .number("droppedAttributesCount", resource.dropped_attributes_count)
        .done()
}

fn scope_spans(scope_spans: &ScopeSpans) -> Value {
    Object::default()
        .optional("scope", scope_spans.scope.as_ref().map(scope))
        .list("spans", scope_spans.spans.iter().map(whole_span).collect())
        .text("schemaUrl", &scope_spans.schema_url)
        .done()
}

fn scope(scope: &InstrumentationScope) -> Value {
    Object::default()
        .text("name", &scope.name)
        .text("version", &scope.version)
        .list("attributes", attributes(&scope.attributes))
        .number("droppedAttributesCount", scope.dropped_attributes_count)
        .done()
}

fn whole_span(span: &Span) -> Value {
    Object::default()
        .bytes("traceId", &span.trace_id)
        .bytes("spanId", &span.span_id)
        .text("traceState", &span.trace_state)
        .bytes("parentSpanId", &span.parent_span_id)
        .text("name", &span.name)
        .optional(
            "kind",
            enumeration(span.kind, |kind| {
                Some(kind_name(span::SpanKind::try_from(kind).ok()?))
            }),
        )
        .long("startTimeUnixNano", span.start_time_unix_nano)
        .long("endTimeUnixNano", span.end_time_unix_nano)
        .list("attributes", attributes(&span.attributes))
        .number("droppedAttributesCount", span.dropped_attributes_count)
        .list("events", span.events.iter().map(event).collect())
        .number("droppedEventsCount", span.dropped_events_count)
        .list("links", span.links.iter().map(link).collect())
        .number("droppedLinksCount", span.dropped_links_count)
        .optional("status", span.status.as_ref().map(status))
        .number("flags", span.flags)
        .done()
}

fn status(status: &Status) -> Value {
    let name = |code| match StatusCode::try_from(code).ok()? {
        StatusCode::Unset => Some("STATUS_CODE_UNSET"),
        StatusCode::Ok => Some("STATUS_CODE_OK"),
        StatusCode::Error => Some("STATUS_CODE_ERROR"),
    };
    Object::default()
        .text("message", &status.message)
        .optional("code", enumeration(status.code, name))
        .done()
}

fn kind_name(kind: span::SpanKind) -> &'static str {
    match kind {
        span::SpanKind::Unspecified => "SPAN_KIND_UNSPECIFIED",
        span::SpanKind::Internal => "SPAN_KIND_INTERNAL",
        span::SpanKind::Server => "SPAN_KIND_SERVER",
        span::SpanKind::Client => "SPAN_KIND_CLIENT",
        span::SpanKind::Producer => "SPAN_KIND_PRODUCER",
        span::SpanKind::Consumer => "SPAN_KIND_CONSUMER",
    }
}

/// An enum by name; its number where the name is not known; nothing when zero.
fn enumeration(number: i32, name: impl Fn(i32) -> Option<&'static str>) -> Option<Value> {
    (number != 0).then(|| name(number).map_or_else(|| number.into(), Value::from))
}

fn event(event: &span::Event) -> Value {
    Object::default()
        .long("timeUnixNano", event.time_unix_nano)
        .text("name", &event.name)
        .list("attributes", attributes(&event.attributes))
        .number("droppedAttributesCount", event.dropped_attributes_count)
        .done()
}

fn link(link: &span::Link) -> Value {
    Object::default()
        .bytes("traceId", &link.trace_id)
        .bytes("spanId", &link.span_id)
        .text("traceState", &link.trace_state)
        .list("attributes", attributes(&link.attributes))
        .number("droppedAttributesCount", link.dropped_attributes_count)
        .number("flags", link.flags)
        .done()
}

fn attributes(attributes: &[KeyValue]) -> Vec<Value> {
    attributes
        .iter()
        .map(|pair| {
            Object::default()
                .text("key", &pair.key)
                .optional("value", pair.value.as_ref().map(any_value))
                .done()
        })
        .collect()
}

/// A value: a set one is written even when it is zero, as it is one of several.
fn any_value(value: &AnyValue) -> Value {
    match &value.value {
        None => json!({}),
        Some(any_value::Value::StringValue(text)) => json!({"stringValue": text}),
        Some(any_value::Value::BoolValue(boolean)) => json!({"boolValue": boolean}),
        Some(any_value::Value::IntValue(number)) => json!({"intValue": number.to_string()}),
        Some(any_value::Value::DoubleValue(number)) => json!({"doubleValue": double(*number)}),
        Some(any_value::Value::ArrayValue(array)) => {
            json!({"arrayValue": Object::default().list("values", array.values.iter().map(any_value).collect()).done()})
        }
        Some(any_value::Value::KvlistValue(list)) => {
            json!({"kvlistValue": Object::default().list("values", attributes(&list.values)).done()})
        }
        Some(any_value::Value::BytesValue(bytes)) => json!({"bytesValue": BASE64_STANDARD.encode(bytes)}),
    }
}

fn double(number: f64) -> Value {
    let name = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    serde_json::Number::from_f64(number).map_or_else(|| name.into(), Value::Number)
}
