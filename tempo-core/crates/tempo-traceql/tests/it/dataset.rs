//! The traces of the conformance data, as they are written there.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Value;

#[derive(Deserialize, Clone)]
pub(crate) struct Dataset {
    pub(crate) base_unix_seconds: u64,
    pub(crate) traces: Vec<Trace>,
}

/// A span of the metrics cases: absolute times, and attributes by TraceQL's names (`span.foo`).
#[derive(Deserialize)]
pub(crate) struct FlatSpan {
    pub(crate) start_ns: u64,
    pub(crate) duration_ns: u64,
    #[serde(default)]
    pub(crate) attributes: Attributes,
}

impl Dataset {
    /// A trace of root spans.
    pub(crate) fn flat(spans: Vec<FlatSpan>) -> Self {
        let key = |(key, value): (String, Value)| (key.trim_start_matches("span.").to_owned(), value);
        let span = |(flat, number): (FlatSpan, u64)| Span {
            id: format!("{number:016x}"),
            parent_id: None,
            name: String::new(),
            kind: String::new(),
            status: String::new(),
            status_message: String::new(),
            start_ms: flat.start_ns as f64 / 1e6,
            duration_ms: flat.duration_ns as f64 / 1e6,
            attributes: flat.attributes.into_iter().map(key).collect(),
            events: Vec::new(),
            links: Vec::new(),
        };
        let batch = Batch {
            resource: Attributes::new(),
            scope: ScopeOf::default(),
            spans: spans.into_iter().zip(1..).map(span).collect(),
        };
        Self {
            base_unix_seconds: 0,
            traces: vec![Trace {
                trace_id: format!("{:032x}", 1),
                batches: vec![batch],
            }],
        }
    }

    /// A dataset for each trace.
    pub(crate) fn by_trace(self) -> Vec<Self> {
        let single = |trace| Self {
            traces: vec![trace],
            base_unix_seconds: self.base_unix_seconds,
        };
        self.traces.into_iter().map(single).collect()
    }
}

#[derive(Deserialize, Clone)]
pub(crate) struct Trace {
    pub(crate) trace_id: String,
    pub(crate) batches: Vec<Batch>,
}

pub(crate) type Attributes = BTreeMap<String, Value>;

#[derive(Deserialize, Clone)]
pub(crate) struct Batch {
    #[serde(default)]
    pub(crate) resource: Attributes,
    #[serde(default)]
    pub(crate) scope: ScopeOf,
    pub(crate) spans: Vec<Span>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct ScopeOf {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) attributes: Attributes,
}

#[derive(Deserialize, Clone)]
pub(crate) struct Span {
    #[serde(rename = "span_id")]
    pub(crate) id: String,
    #[serde(rename = "parent_span_id")]
    pub(crate) parent_id: Option<String>,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) status_message: String,
    pub(crate) start_ms: f64,
    pub(crate) duration_ms: f64,
    #[serde(default)]
    pub(crate) attributes: Attributes,
    #[serde(default)]
    pub(crate) events: Vec<Event>,
    #[serde(default)]
    pub(crate) links: Vec<Link>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) offset_ms: f64,
    #[serde(default)]
    pub(crate) attributes: Attributes,
}

#[derive(Deserialize, Clone)]
pub(crate) struct Link {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    #[serde(default)]
    pub(crate) attributes: Attributes,
}
