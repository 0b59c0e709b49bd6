//! A trace as rows: parents before their children, each with its place in time. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use tempo_model::proto::common::{AnyValue, KeyValue, any_value};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::tempopb::Trace;
use tempo_model::proto::trace::span::SpanKind;
use tempo_model::proto::trace::{Span, StatusCode};
use tempo_traceql::ast::go_duration;

/// More rows than a browser shows with ease are left out.
const MAX_ROWS: usize = 2000;
/// How deep rows are indented.
const MAX_INDENT: usize = 24;
/// How many colours services are told apart by.
const COLOURS: usize = 8;
const SERVICE_NAME: &str = "service.name";

/// A trace as rows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Waterfall {
    pub(super) title: String,
    pub(super) start: String,
    pub(super) duration: String,
    pub(super) spans: usize,
    pub(super) errors: usize,
    /// Services, with the number of their colour and of their spans.
    pub(super) services: Vec<(String, usize, usize)>,
    pub(super) rows: Vec<Row>,
    /// Marks on the time axis.
    pub(super) marks: Vec<String>,
    /// How many rows were left out.
    pub(super) left_out: usize,
}

/// Keys and values of attributes.
type Pairs = Vec<(String, String)>;

/// A span.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) indent: usize,
    pub(super) service: String,
    pub(super) colour: usize,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) is_error: bool,
    pub(super) status_message: String,
    pub(super) duration: String,
    /// Where its bar starts, in percent of the trace.
    pub(super) left: f64,
    /// How wide its bar is, in percent of the trace.
    pub(super) width: f64,
    pub(super) span_id: String,
    pub(super) attributes: Pairs,
    pub(super) resource: Pairs,
    /// When, since the span's start, what, and with which attributes.
    pub(super) events: Vec<(String, String, Pairs)>,
    /// Trace and span.
    pub(super) links: Vec<(String, String)>,
}

/// A span and whose it is.
struct Known<'a> {
    span: &'a Span,
    resource: Option<&'a Resource>,
    service: &'a str,
}

impl Waterfall {
    /// The rows of a trace. A span whose parent is not there stands at the left like a root; circles are cut.
    pub(super) fn of(trace: &Trace) -> Self {
        let spans = spans(trace);
        let start = spans
            .iter()
            .map(|known| known.span.start_time_unix_nano)
            .min()
            .unwrap_or_default();
        let end = spans
            .iter()
            .map(|known| known.span.end_time_unix_nano)
            .max()
            .unwrap_or_default();
        let length = end.saturating_sub(start).max(1);
        let colours = colours(&spans);
        let order = order(&spans);
        let is_error = |known: &&Known<'_>| is_error(known.span);
        let title = order.first().and_then(|(index, _)| spans.get(*index));
        let rows = order.iter().take(MAX_ROWS).filter_map(|(index, depth)| {
            let known = spans.get(*index)?;
            let colour = colours.get(known.service).map_or(0, |(colour, _)| *colour);
            Some(row(known, *depth, colour, start, length))
        });
        Self {
            title: title
                .map(|known| format!("{}: {}", named(known.service), known.span.name))
                .unwrap_or_default(),
            start: super::time(start),
            duration: short(length),
            spans: spans.len(),
            errors: spans.iter().filter(is_error).count(),
            rows: rows.collect(),
            marks: (0..4).map(|quarter| short(length / 4 * quarter)).collect(),
            left_out: spans.len().saturating_sub(MAX_ROWS),
            services: colours
                .into_iter()
                .map(|(name, (colour, count))| (named(name).to_owned(), colour, count))
                .collect(),
        }
    }
}

fn spans(trace: &Trace) -> Vec<Known<'_>> {
    let mut spans = Vec::new();
    for batch in &trace.resource_spans {
        let resource = batch.resource.as_ref();
        let service = resource.map_or("", service_of);
        let of_batch = batch.scope_spans.iter().flat_map(|scope| &scope.spans);
        spans.extend(of_batch.map(|span| Known {
            span,
            resource,
            service,
        }));
    }
    spans
}

fn service_of(resource: &Resource) -> &str {
    let mut named = resource
        .attributes
        .iter()
        .filter(|attribute| attribute.key == SERVICE_NAME);
    match named
        .next()
        .and_then(|attribute| attribute.value.as_ref()?.value.as_ref())
    {
        Some(any_value::Value::StringValue(name)) => name,
        _ => "",
    }
}

fn named(service: &str) -> &str {
    if service.is_empty() {
        "no service name"
    } else {
        service
    }
}

/// The colour and the number of spans of each service.
fn colours<'a>(spans: &[Known<'a>]) -> BTreeMap<&'a str, (usize, usize)> {
    let mut services: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for known in spans {
        services.entry(known.service).or_default().1 += 1;
    }
    for (number, (colour, _)) in services.values_mut().enumerate() {
        *colour = number % COLOURS;
    }
    services
}

/// The places of all spans, depth first and siblings by start, with their depths.
fn order(spans: &[Known<'_>]) -> Vec<(usize, usize)> {
    let places: HashMap<&[u8], usize> = (0..)
        .zip(spans)
        .map(|(place, known)| (known.span.span_id.as_slice(), place))
        .collect();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (place, known) in (0..).zip(spans) {
        match places.get(known.span.parent_span_id.as_slice()) {
            Some(parent) if *parent != place => children.entry(*parent).or_default().push(place),
            _ => roots.push(place),
        }
    }
    let start = |place: &usize| spans.get(*place).map(|known| known.span.start_time_unix_nano);
    // The last of the stack comes first. Spans in a circle hang from no root: they begin where they are met.
    let mut stack: Vec<(usize, usize)> = (0..spans.len()).rev().map(|place| (place, 0)).collect();
    roots.sort_by_key(|place| Reverse((start(place), *place)));
    stack.extend(roots.into_iter().map(|place| (place, 0)));
    let mut order = Vec::with_capacity(spans.len());
    let mut done = HashSet::new();
    while let Some((place, depth)) = stack.pop() {
        if !done.insert(place) {
            continue;
        }
        order.push((place, depth));
        let mut below = children.remove(&place).unwrap_or_default();
        below.sort_by_key(|place| Reverse((start(place), *place)));
        stack.extend(below.into_iter().map(|place| (place, depth + 1)));
    }
    order
}

fn row(known: &Known<'_>, depth: usize, colour: usize, start: u64, length: u64) -> Row {
    let span = known.span;
    let percent = |nanos: u64| nanos as f64 / length as f64 * 100.0;
    let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    Row {
        indent: depth.min(MAX_INDENT),
        service: named(known.service).to_owned(),
        colour,
        name: span.name.clone(),
        kind: kind(span.kind),
        is_error: is_error(span),
        status_message: span
            .status
            .as_ref()
            .map(|status| status.message.clone())
            .unwrap_or_default(),
        duration: short(duration),
        left: percent(span.start_time_unix_nano.saturating_sub(start)).min(100.0),
        width: percent(duration).min(100.0),
        span_id: hex::encode(&span.span_id),
        attributes: pairs(&span.attributes),
        resource: known
            .resource
            .map(|resource| pairs(&resource.attributes))
            .unwrap_or_default(),
        events: span
            .events
            .iter()
            .map(|event| {
                let after = event.time_unix_nano.saturating_sub(span.start_time_unix_nano);
                (short(after), event.name.clone(), pairs(&event.attributes))
            })
            .collect(),
        links: span
            .links
            .iter()
            .map(|link| (hex::encode(&link.trace_id), hex::encode(&link.span_id)))
            .collect(),
    }
}

fn is_error(span: &Span) -> bool {
    span.status
        .as_ref()
        .is_some_and(|status| status.code == StatusCode::Error as i32)
}

fn kind(number: i32) -> &'static str {
    match SpanKind::try_from(number) {
        Ok(SpanKind::Internal) => "internal",
        Ok(SpanKind::Server) => "server",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Consumer) => "consumer",
        Ok(SpanKind::Unspecified) | Err(_) => "",
    }
}

fn pairs(attributes: &[KeyValue]) -> Pairs {
    let text = |value: &Option<AnyValue>| value.as_ref().map(text).unwrap_or_default();
    attributes
        .iter()
        .map(|pair| (pair.key.clone(), text(&pair.value)))
        .collect()
}

fn text(value: &AnyValue) -> String {
    use any_value::Value;
    match &value.value {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BytesValue(bytes)) => format!("0x{}", hex::encode(bytes)),
        Some(Value::ArrayValue(array)) => {
            let elements: Vec<String> = array.values.iter().map(text).collect();
            format!("[{}]", elements.join(", "))
        }
        Some(Value::KvlistValue(list)) => {
            let pairs: Vec<String> = pairs(&list.values)
                .into_iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// A duration in about three digits.
pub(super) fn short(nanos: u64) -> String {
    let digits = nanos.checked_ilog10().unwrap_or_default();
    let unit = 10_u64.pow(digits.saturating_sub(2));
    go_duration((nanos.saturating_add(unit / 2) / unit * unit) as i64)
}

#[cfg(test)]
mod tests {
    use tempo_model::proto::trace::{ResourceSpans, ScopeSpans};

    use super::*;

    fn trace(spans: &[(u8, u8, u64, u64)]) -> Trace {
        let span = |(id, parent, start, end): &(u8, u8, u64, u64)| Span {
            span_id: vec![*id; 8],
            parent_span_id: if *parent == 0 {
                Vec::new()
            } else {
                vec![*parent; 8]
            },
            name: id.to_string(),
            start_time_unix_nano: *start,
            end_time_unix_nano: *end,
            ..Span::default()
        };
        Trace {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: spans.iter().map(span).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    fn names(waterfall: &Waterfall) -> Vec<(&str, usize)> {
        waterfall
            .rows
            .iter()
            .map(|row| (row.name.as_str(), row.indent))
            .collect()
    }

    #[test]
    fn children_follow_their_parents_by_start() {
        let waterfall = Waterfall::of(&trace(&[
            (3, 1, 150, 160),
            (1, 0, 100, 200),
            (2, 1, 110, 190),
            (4, 2, 120, 130),
        ]));
        assert_eq!(names(&waterfall), [("1", 0), ("2", 1), ("4", 2), ("3", 1)]);
        let child = &waterfall.rows[1];
        assert!((child.left - 10.0).abs() < 1e-9 && (child.width - 80.0).abs() < 1e-9);
        assert_eq!(waterfall.title, "no service name: 1");
    }

    #[test]
    fn orphans_circles_and_strange_times_are_shown_too() {
        let waterfall = Waterfall::of(&trace(&[
            (1, 2, 10, 20),
            (2, 1, 30, 5),
            (3, 3, 0, 0),
            (4, 9, 1, 2),
        ]));
        let mut names: Vec<&str> = names(&waterfall).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["1", "2", "3", "4"]);
        assert!(
            waterfall
                .rows
                .iter()
                .all(|row| row.left <= 100.0 && row.width <= 100.0)
        );
        assert_eq!(Waterfall::of(&Trace::default()).rows, []);
    }

    #[test]
    fn a_very_long_chain_is_shown_in_part() {
        let spans: Vec<(u8, u8, u64, u64)> = (0..5000)
            .map(|number| ((number % 250) as u8 + 1, 0, number, number))
            .collect();
        let waterfall = Waterfall::of(&trace(&spans));
        assert_eq!((waterfall.rows.len(), waterfall.left_out), (MAX_ROWS, 3000));
    }

    #[test]
    fn durations_are_short() {
        for (nanos, text) in [
            (0, "0s"),
            (999, "999ns"),
            (12_345, "12.3µs"),
            (1_234_567, "1.23ms"),
            (61_500_000_000, "1m1.5s"),
        ] {
            assert_eq!(short(nanos), text);
        }
    }
}
