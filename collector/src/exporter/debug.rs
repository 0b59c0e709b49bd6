//! The `debug` exporter: writes what passes to the log.

use std::fmt::Write as _;

use async_trait::async_trait;
use prost::Message;
use serde::Deserialize;
use tempo_model::proto::common::KeyValue;
use tempo_model::proto::trace::{ExportTraceServiceRequest, Span};
use tempo_receiver::{ConsumeError, ErrorKind, Taken, TraceBatch, TraceConsumer};

/// Settings of `debug`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DebugSettings {
    /// How much is written; `basic` by default.
    pub verbosity: Verbosity,
}

/// How much is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// How many spans a request has.
    #[default]
    Basic,
    /// A line for each span.
    Normal,
    /// Everything.
    Detailed,
}

/// Writes what passes to the log.
#[derive(Debug)]
pub struct Debug {
    /// The exporter's id.
    pub id: String,
    /// How much is written.
    pub verbosity: Verbosity,
}

#[async_trait]
impl TraceConsumer for Debug {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        let (exporter, spans, bytes) = (self.id.as_str(), batch.contents.spans, batch.payload.len());
        tracing::info!(exporter, spans, bytes, "traces");
        if self.verbosity != Verbosity::Basic {
            let request = ExportTraceServiceRequest::decode(batch.payload)
                .map_err(|error| ConsumeError::new(ErrorKind::InvalidArgument, error.to_string()))?;
            for line in describe(&request, self.verbosity).lines() {
                tracing::info!(exporter, "{line}");
            }
        }
        Ok(Taken::default())
    }
}

/// A text with one line for each span and, when `Detailed`, everything about it.
fn describe(request: &ExportTraceServiceRequest, verbosity: Verbosity) -> String {
    let mut text = String::new();
    let is_detailed = verbosity == Verbosity::Detailed;
    for resource_spans in &request.resource_spans {
        if let (true, Some(resource)) = (is_detailed, &resource_spans.resource) {
            attributes(&mut text, "resource", &resource.attributes);
        }
        for scope_spans in &resource_spans.scope_spans {
            if let (true, Some(scope)) = (is_detailed, &scope_spans.scope) {
                line(&mut text, &format!("scope {} {}", scope.name, scope.version));
                attributes(&mut text, "scope", &scope.attributes);
            }
            for span in &scope_spans.spans {
                describe_span(&mut text, span, is_detailed);
            }
        }
    }
    text
}

fn describe_span(text: &mut String, span: &Span, is_detailed: bool) {
    let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    let summary = format!(
        "span {} trace={} id={} parent={} start={} duration_ns={duration}",
        span.name,
        hex(&span.trace_id),
        hex(&span.span_id),
        hex(&span.parent_span_id),
        span.start_time_unix_nano,
    );
    line(text, &summary);
    if !is_detailed {
        return;
    }
    line(text, &format!("  kind={} status={:?}", span.kind, span.status));
    attributes(text, "  span", &span.attributes);
    for event in &span.events {
        line(
            text,
            &format!("  event {} time={}", event.name, event.time_unix_nano),
        );
        attributes(text, "    event", &event.attributes);
    }
    for link in &span.links {
        line(
            text,
            &format!("  link trace={} id={}", hex(&link.trace_id), hex(&link.span_id)),
        );
        attributes(text, "    link", &link.attributes);
    }
}

fn attributes(text: &mut String, owner: &str, attributes: &[KeyValue]) {
    for attribute in attributes {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        line(text, &format!("{owner} attribute {} = {value:?}", attribute.key));
    }
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
