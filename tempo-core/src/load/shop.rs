//! A web shop's traces: eight services that call each other, with the attributes, errors and slow tails that real
//! ones have. The same seed gives the same traces. Not here: sending them.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};
use tempo_model::proto::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status, span};

/// How deep a call tree may get.
const MAX_DEPTH: usize = 5;
/// How many pods each service has.
const PODS: usize = 3;

/// A service of the shop: what it does, and whom it calls while doing it.
struct Service {
    name: &'static str,
    operations: &'static [&'static str],
    calls: &'static [usize],
    database: Option<&'static str>,
}

const SERVICES: [Service; 8] = [
    Service {
        name: "frontend",
        operations: &["GET /", "GET /product/{id}", "POST /cart", "POST /checkout"],
        calls: &[1, 2, 3, 4],
        database: None,
    },
    Service {
        name: "cart",
        operations: &["AddItem", "GetCart", "EmptyCart"],
        calls: &[2],
        database: Some("redis"),
    },
    Service {
        name: "catalogue",
        operations: &["GetProduct", "ListProducts", "SearchProducts"],
        calls: &[],
        database: Some("postgresql"),
    },
    Service {
        name: "recommendation",
        operations: &["ListRecommendations"],
        calls: &[2],
        database: None,
    },
    Service {
        name: "checkout",
        operations: &["PlaceOrder"],
        calls: &[1, 5, 6, 7],
        database: None,
    },
    Service {
        name: "payment",
        operations: &["Charge", "Refund"],
        calls: &[],
        database: Some("postgresql"),
    },
    Service {
        name: "shipping",
        operations: &["GetQuote", "ShipOrder"],
        calls: &[],
        database: None,
    },
    Service {
        name: "email",
        operations: &["SendOrderConfirmation"],
        calls: &[],
        database: None,
    },
];

/// Makes traces, one call at a time.
#[derive(Debug)]
pub struct Shop {
    random: StdRng,
}

/// A trace that was made.
#[derive(Debug)]
pub struct ShopTrace {
    /// Its id.
    pub id: [u8; 16],
    /// Its spans, grouped by the pod that made them.
    pub batches: Vec<ResourceSpans>,
}

impl ShopTrace {
    /// The number of spans.
    pub fn spans(&self) -> usize {
        self.batches
            .iter()
            .flat_map(|batch| &batch.scope_spans)
            .map(|scope| scope.spans.len())
            .sum()
    }
}

impl Shop {
    /// A shop whose traces follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// One trace whose root ends at about `end_unix_nanos`.
    pub fn trace(&mut self, end_unix_nanos: u64) -> ShopTrace {
        let mut id = [0; 16];
        self.random.fill_bytes(&mut id);
        let duration = self.duration(400_000_000.0);
        let mut spans = Vec::new();
        let call = Call {
            trace: id,
            parent: Vec::new(),
            depth: 0,
            start: end_unix_nanos - duration,
            duration,
        };
        self.call(0, &call, &mut spans);
        ShopTrace {
            id,
            batches: group_by_pod(spans),
        }
    }

    /// A request of several traces, as a collector forwards them.
    pub fn request(
        &mut self,
        traces: usize,
        end_unix_nanos: u64,
    ) -> (ExportTraceServiceRequest, Vec<[u8; 16]>) {
        let traces: Vec<ShopTrace> = (0..traces).map(|_| self.trace(end_unix_nanos)).collect();
        let ids = traces.iter().map(|trace| trace.id).collect();
        let resource_spans = traces.into_iter().flat_map(|trace| trace.batches).collect();
        (ExportTraceServiceRequest { resource_spans }, ids)
    }

    /// A server span of a service, the spans of what it calls, and its database's.
    fn call(&mut self, service: usize, call: &Call, spans: &mut Vec<PodSpan>) {
        let Some(about) = SERVICES.get(service) else {
            return;
        };
        let pod = self.random.random_range(0..PODS);
        let server = self.server_span(about, call);
        let own = server.span_id.clone();
        spans.push(PodSpan {
            service,
            pod,
            span: server,
        });
        let mut start = call.start + call.duration / 20;
        if about.database.is_some() {
            let inner = call.child(&own, start, call.duration / 4);
            spans.push(PodSpan {
                service,
                pod,
                span: self.database_span(about, &inner),
            });
        }
        if call.depth >= MAX_DEPTH {
            return;
        }
        for &callee in about.calls {
            if self.random.random_bool(0.4) {
                continue;
            }
            let duration = (call.duration as f64 * self.random.random_range(0.1..0.4)) as u64;
            let outgoing = call.child(&own, start, duration);
            let client = self.client_span(callee, &outgoing);
            let inner = call.child(&client.span_id, start + duration / 50, duration - duration / 25);
            spans.push(PodSpan {
                service,
                pod,
                span: client,
            });
            self.call(callee, &inner, spans);
            start += duration / 2;
        }
    }

    fn server_span(&mut self, service: &Service, call: &Call) -> Span {
        let operation = self.one_of(service.operations);
        let failed = self.random.random_bool(0.02);
        let code = if failed {
            self.one_of(&[500, 502, 503])
        } else {
            self.one_of(&[200, 200, 200, 201, 204, 404])
        };
        let mut span = self.span(operation, span::SpanKind::Server, call);
        span.attributes = vec![
            text(
                "http.request.method",
                operation
                    .split(' ')
                    .next()
                    .filter(|word| word.len() <= 4)
                    .unwrap_or("POST"),
            ),
            integer("http.status_code", code),
            text(
                "http.url",
                &format!("http://{}/{}", service.name, self.random.random_range(0..5000)),
            ),
            text(
                "enduser.id",
                &format!("user-{}", self.random.random_range(0..1000)),
            ),
            text(
                "network.peer.address",
                &format!("10.0.{}.{}", call.depth, self.random.random_range(1..255)),
            ),
            integer("thread.id", self.random.random_range(1..64)),
        ];
        if failed {
            span.status = Some(Status {
                message: "internal error".to_owned(),
                code: 2,
            });
            span.events.push(exception(call.start + call.duration / 2));
        }
        span
    }

    fn client_span(&mut self, callee: usize, call: &Call) -> Span {
        let name = SERVICES.get(callee).map_or("unknown", |service| service.name);
        let mut span = self.span(&format!("call {name}"), span::SpanKind::Client, call);
        span.attributes = vec![
            text("peer.service", name),
            text("rpc.system", "grpc"),
            integer("rpc.grpc.status_code", 0),
        ];
        span
    }

    fn database_span(&mut self, service: &Service, call: &Call) -> Span {
        let table = self.one_of(&["orders", "products", "carts", "payments"]);
        let system = service.database.unwrap_or("postgresql");
        let mut span = self.span(&format!("SELECT {table}"), span::SpanKind::Client, call);
        let statement = format!(
            "SELECT * FROM {table} WHERE id = {}",
            self.random.random_range(0..100_000)
        );
        span.attributes = vec![
            text("db.system", system),
            text("db.statement", &statement),
            integer("db.rows", self.random.random_range(0..50)),
        ];
        span
    }

    fn span(&mut self, name: &str, kind: span::SpanKind, call: &Call) -> Span {
        Span {
            trace_id: call.trace.to_vec(),
            span_id: self.random.next_u64().max(1).to_be_bytes().to_vec(),
            parent_span_id: call.parent.clone(),
            name: name.to_owned(),
            kind: kind as i32,
            start_time_unix_nano: call.start,
            end_time_unix_nano: call.start + call.duration,
            flags: 1,
            ..Span::default()
        }
    }

    /// A duration with a long tail around `median` nanoseconds.
    fn duration(&mut self, median: f64) -> u64 {
        let sum: f64 = (0..6).map(|_| self.random.random_range(-1.0..1.0)).sum();
        (median * (sum * 0.6).exp()) as u64
    }

    fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        choices.choose(&mut self.random).copied().unwrap_or_default()
    }
}

/// Where a span stands in its trace.
struct Call {
    trace: [u8; 16],
    parent: Vec<u8>,
    depth: usize,
    start: u64,
    duration: u64,
}

impl Call {
    fn child(&self, parent: &[u8], start: u64, duration: u64) -> Self {
        Self {
            trace: self.trace,
            parent: parent.to_vec(),
            depth: self.depth + 1,
            start,
            duration,
        }
    }
}

struct PodSpan {
    service: usize,
    pod: usize,
    span: Span,
}

fn group_by_pod(mut spans: Vec<PodSpan>) -> Vec<ResourceSpans> {
    spans.sort_by_key(|span| (span.service, span.pod));
    let same_pod = |left: &PodSpan, right: &PodSpan| (left.service, left.pod) == (right.service, right.pod);
    spans
        .chunk_by(same_pod)
        .filter_map(|chunk| {
            let first = chunk.first()?;
            let spans = chunk.iter().map(|span| span.span.clone()).collect();
            let scope = InstrumentationScope {
                name: "shop".to_owned(),
                version: "1.4.0".to_owned(),
                ..InstrumentationScope::default()
            };
            let scope_spans = ScopeSpans {
                scope: Some(scope),
                spans,
                ..ScopeSpans::default()
            };
            Some(ResourceSpans {
                resource: Some(resource(first.service, first.pod)),
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            })
        })
        .collect()
}

fn resource(service: usize, pod: usize) -> Resource {
    let name = SERVICES.get(service).map_or("unknown", |service| service.name);
    Resource {
        attributes: vec![
            text("service.name", name),
            text("service.version", "2.1.0"),
            text("deployment.environment", "demo"),
            text("k8s.namespace.name", "shop"),
            text("k8s.pod.name", &format!("{name}-{pod}")),
            text("telemetry.sdk.language", "rust"),
        ],
        ..Resource::default()
    }
}

fn exception(time: u64) -> span::Event {
    span::Event {
        time_unix_nano: time,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", "Timeout"),
            text("exception.message", "upstream did not answer"),
        ],
        ..span::Event::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn integer(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    #[test]
    fn the_same_seed_gives_the_same_traces() {
        let (one, two) = (Shop::new(7).request(20, NOW), Shop::new(7).request(20, NOW));
        assert_eq!(one, two);
    }

    #[test]
    fn every_span_but_the_root_has_its_parent_in_the_trace() {
        let trace = Shop::new(1).trace(NOW);
        let spans: Vec<&Span> = trace
            .batches
            .iter()
            .flat_map(|batch| &batch.scope_spans)
            .flat_map(|scope| &scope.spans)
            .collect();
        let roots = spans.iter().filter(|span| span.parent_span_id.is_empty()).count();
        assert_eq!(roots, 1);
        for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
            assert!(spans.iter().any(|other| other.span_id == span.parent_span_id));
        }
    }
}
