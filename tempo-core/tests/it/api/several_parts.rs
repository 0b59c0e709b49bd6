//! Traces that lie in several blocks and in a head.

use serde_json::{Value, json};
use tempo_config::Config;

use super::stack::Stack;

/// A span as OTLP/JSON: of a service, in trace `trace`, `second` seconds into a day, one second long.
pub(crate) fn span(service: &str, trace: u32, id: u32, parent: Option<u32>, second: u64) -> Value {
    let at = |second: u64| ((1_700_000_000 + second) * 1_000_000_000).to_string();
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [{"spans": [{
            "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"),
            "parentSpanId": parent.map(|parent| format!("{parent:016x}")).unwrap_or_default(),
            "name": format!("operation-{id}"), "kind": 2,
            "startTimeUnixNano": at(second), "endTimeUnixNano": at(second + 1), "status": {},
        }]}],
    }]})
}

async fn push_and_flush(stack: &Stack, span: &Value) {
    stack.push(None, span).await.unwrap();
    stack.ingester.flush().await;
}

#[tokio::test]
async fn a_search_tells_of_a_trace_what_all_its_parts_know() {
    let stack = Stack::start(&Config::default()).await;
    push_and_flush(&stack, &span("gateway", 7, 1, None, 0)).await;
    push_and_flush(&stack, &span("shop", 7, 2, Some(1), 10)).await;
    stack
        .push(None, &span("database", 7, 3, Some(2), 20))
        .await
        .unwrap();
    // Only the part in the head, in the second block, in the first one matches.
    for service in ["database", "shop", "gateway"] {
        let found = stack
            .get(&format!(
                "/api/search?q={{ resource.service.name = \"{service}\" }}"
            ))
            .await
            .json();
        let trace = &found["traces"][0];
        assert_eq!(trace["rootServiceName"], "gateway", "{service}: {found:#}");
        assert_eq!(trace["rootTraceName"], "operation-1");
        assert_eq!(trace["durationMs"], 21_000);
        assert_eq!(trace["serviceStats"].as_object().unwrap().len(), 3);
        assert_eq!(trace["spanSets"][0]["matched"], 1);
    }
    let whole = stack.get("/api/traces/7").await.json();
    assert_eq!(whole["batches"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_trace_without_its_root_says_so() {
    let stack = Stack::start(&Config::default()).await;
    stack.push(None, &span("shop", 7, 2, Some(1), 10)).await.unwrap();
    let found = stack.get("/api/search?q={}").await.json();
    assert_eq!(
        found["traces"][0]["rootServiceName"],
        "<root span not yet received>"
    );
    assert!(found["traces"][0].get("rootTraceName").is_none());
}

#[tokio::test]
async fn the_newest_traces_come_first_whatever_they_lie_in() {
    let stack = Stack::start(&Config::default()).await;
    for trace in [3, 1, 5, 2, 4] {
        let second = u64::from(trace) * 100;
        let span = span("shop", trace, 1, None, second);
        if trace == 4 {
            stack.push(None, &span).await.unwrap();
        } else {
            push_and_flush(&stack, &span).await;
        }
    }
    let ids = |found: &Value| -> Vec<String> {
        let traces = found["traces"].as_array().unwrap().iter();
        traces
            .map(|trace| trace["traceID"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = stack.get("/api/search?q={}&limit=3").await.json();
    assert_eq!(ids(&found), ["5", "4", "3"]);
    let found = stack.get("/api/search?q={}").await.json();
    assert_eq!(ids(&found), ["5", "4", "3", "2", "1"]);
    let found = stack
        .get("/api/search?q={}&start=1700000150&end=1700000350")
        .await
        .json();
    assert_eq!(ids(&found), ["3", "2"]);
}

#[tokio::test]
async fn nothing_is_missed_or_counted_twice_while_heads_become_blocks() {
    let stack = Stack::start(&Config::default()).await;
    for round in 1..=20_u32 {
        stack
            .push(None, &span("shop", round, 1, None, round.into()))
            .await
            .unwrap();
        let (found, ()) = tokio::join!(stack.get("/api/search?q={}&limit=100"), stack.ingester.flush());
        let found = found.json();
        let traces = found["traces"].as_array().unwrap();
        assert_eq!(traces.len(), round as usize, "{found:#}");
        for trace in traces {
            assert_eq!(trace["serviceStats"]["shop"]["spanCount"], 1, "{trace:#}");
            assert_eq!(trace["spanSets"][0]["matched"], 1, "{trace:#}");
        }
    }
}
