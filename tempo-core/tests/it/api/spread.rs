//! Traces whose spans are spread over blocks, row groups and a head are found, told and counted as if they were whole.

use serde::Deserialize;
use serde_json::{Value, json};
use serde_yaml::Value as Yaml;
use tempo_config::Config;
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_runtime::{Random, SeededRandom};

use super::stack::Stack;
use crate::conformance;
use crate::dataset::Dataset;
use crate::otlp;

/// The same spans, once in one head and otherwise spread.
struct Stacks {
    whole: Stack,
    /// Over two blocks and a head; over two row groups of a block and a head.
    spread: [Stack; 2],
}

impl Stacks {
    async fn of(requests: &[ExportTraceServiceRequest]) -> Self {
        let config = Config::default();
        let stacks = Self {
            whole: Stack::start(&config).await,
            spread: [Stack::start(&config).await, Stack::start(&config).await],
        };
        for request in requests {
            stacks.whole.push_request(None, request).await.unwrap();
        }
        for (stack, is_one_block) in stacks.spread.iter().zip([false, true]) {
            for part in 0..3 {
                for request in requests {
                    stack
                        .push_request(None, &spans_of_part(request, part))
                        .await
                        .unwrap();
                }
                if part < 2 {
                    stack.ingester.flush().await;
                }
            }
            if is_one_block {
                stack.put_together().await;
            }
        }
        stacks
    }

    /// Asserts that all answer alike, and says what.
    async fn agree(&self, uri: &str, query: &str) -> Value {
        let expected = ask(&self.whole, uri, query).await;
        for (stack, name) in self.spread.iter().zip(["blocks", "row groups"]) {
            let found = ask(stack, uri, query).await;
            assert!(
                found == expected,
                "{query} {uri} over {name}: {found:#}\nwhole: {expected:#}"
            );
        }
        expected
    }
}

/// A third of the spans, by their ids.
fn spans_of_part(request: &ExportTraceServiceRequest, part: u8) -> ExportTraceServiceRequest {
    let mut request = request.clone();
    for batch in &mut request.resource_spans {
        for scope in &mut batch.scope_spans {
            scope.spans.retain(|span| {
                span.span_id
                    .iter()
                    .fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
                    % 3
                    == part
            });
        }
        batch.scope_spans.retain(|scope| !scope.spans.is_empty());
    }
    request
        .resource_spans
        .retain(|batch| !batch.scope_spans.is_empty());
    request
}

async fn ask(stack: &Stack, uri: &str, query: &str) -> Value {
    let escaped: Vec<String> = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let query = escaped.concat();
    let answer = stack.get(&format!("/api/search?q={query}&{uri}")).await;
    if !answer.status.is_success() {
        return json!(answer.text());
    }
    let mut traces = answer.json()["traces"].take();
    for trace in traces.as_array_mut().unwrap() {
        trace.as_object_mut().unwrap().remove("spanSet");
        let sets = trace["spanSets"].as_array_mut().unwrap();
        for set in sets.iter_mut() {
            // The order of spans is that of rows, and no promise.
            let spans = set["spans"].as_array_mut().unwrap();
            spans.sort_by_key(|span| span["spanID"].to_string());
        }
        sets.sort_by_key(Value::to_string);
    }
    traces
}

/// Traces of up to 12 spans, a second apart; some spans lack their parent.
fn traces(random: &dyn Random, count: u64) -> Vec<ExportTraceServiceRequest> {
    let below = |limit: u64| random.next_u64() % limit;
    let mut id = 0;
    let mut requests = Vec::new();
    for trace in 1..=count {
        let first = id + 1;
        for _ in 0..=below(12) {
            id += 1;
            let parent = match below(10) {
                0 => Some(1_000_000 + id),
                _ if id == first => None,
                _ => Some(first + below(id - first)),
            };
            let start = 1_700_000_000_000 + trace * 1000 + below(2000);
            let span = json!({"resourceSpans": [{
                "resource": {"attributes": [
                    {"key": "service.name", "value": {"stringValue": (["cart", "shop", "web"][below(3) as usize])}},
                ]},
                "scopeSpans": [{"spans": [{
                    "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"),
                    "parentSpanId": parent.map(|parent| format!("{parent:016x}")).unwrap_or_default(),
                    "name": (["a", "b", "c"][below(3) as usize]), "kind": 2,
                    "startTimeUnixNano": format!("{start}000000"),
                    "endTimeUnixNano": format!("{}000000", start + below(4000)),
                    "status": {"code": ([0, 0, 2][below(3) as usize])},
                    "attributes": [{"key": "n", "value": {"intValue": below(5).to_string()}}],
                }]}],
            }]});
            requests.push(tempo_model::json::otlp::request(span.to_string().as_bytes()).unwrap());
        }
    }
    requests
}

const QUERIES: [&str; 24] = [
    "{}",
    "{ name = `a` && status = error }",
    "{ span.n = 4 } | by(resource.service.name)",
    "{ nestedSetParent < 0 }",
    "{ status = error } | count() > 2",
    "{} | count() = 5",
    "{} | avg(span.n) > 2",
    "{} | max(duration) > 3s | count() > 4",
    "{ name = `b` } | by(resource.service.name) | count() > 1",
    "{ resource.service.name = `web` } >> { name = `b` }",
    "{ resource.service.name = `web` } > { status = error }",
    "{ name = `a` } << { name = `c` }",
    "{ name = `a` } < { name = `c` }",
    "{ name = `a` } ~ { name = `b` }",
    "{ name = `a` } !>> { name = `b` }",
    "{ name = `a` } &> { name = `b` }",
    "{ span.n = 1 } && { span.n = 2 }",
    "{ span.n = 1 && status = error } || { span.n = 2 && name = `c` }",
    "({ name = `a` } | count() > 1) && { resource.service.name = `cart` }",
    "{ rootServiceName = `cart` && name = `a` }",
    "{ traceDuration > 5s }",
    "{ span:childCount > 2 }",
    "{ nestedSetParent = 1 }",
    "{ name = `a` } >> { name = `b` } >> { name = `c` } | select(span.n)",
];

#[tokio::test]
async fn spread_traces_answer_as_whole_ones() {
    let mut found = [false; QUERIES.len()];
    for seed in 1..=3 {
        let stacks = Stacks::of(&traces(&SeededRandom::new(seed), 40)).await;
        for (query, found) in QUERIES.iter().zip(&mut found) {
            let all = stacks.agree("limit=1000&spss=0", query).await;
            let newest = stacks.agree("limit=3&spss=0", query).await;
            let all = all.as_array().unwrap();
            *found |= !all.is_empty();
            assert_eq!(newest.as_array().unwrap(), &all[..all.len().min(3)], "{query}");
        }
    }
    assert_eq!(found, [true; QUERIES.len()], "each query matches something");
}

#[derive(Deserialize)]
struct Data {
    datasets: std::collections::BTreeMap<String, Dataset>,
    cases: Vec<Yaml>,
}

#[derive(Deserialize)]
struct Case {
    dataset: String,
    query: String,
    spss: Option<usize>,
}

/// All searches of the conformance data, but for those of a time range: there a trace is found by the parts in the range.
#[tokio::test]
async fn conformance_cases_answer_alike_of_spread_traces() {
    let Some(text) = conformance::file("traceql-eval.yaml") else {
        return;
    };
    let data: Data = serde_yaml::from_str(&text).unwrap();
    let is_search = |case: &&Yaml| {
        case.get("kind").and_then(Yaml::as_str) == Some("search") && case.get("start").is_none()
    };
    let cases = data.cases.iter().filter(is_search).cloned();
    let cases: Vec<Case> = cases.map(|case| serde_yaml::from_value(case).unwrap()).collect();
    assert!(cases.len() > 1000, "{}", cases.len());
    for (name, dataset) in &data.datasets {
        let stacks = Stacks::of(&otlp::requests(dataset)).await;
        for case in cases.iter().filter(|case| case.dataset == *name) {
            let uri = format!("limit=1000&spss={}", case.spss.unwrap_or(0));
            stacks.agree(&uri, &case.query).await;
        }
    }
}
