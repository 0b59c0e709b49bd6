//! Bodies as upstream writes them, compared with what was recorded of it, where that lies beside the repository.

use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::{Value, json};
use tempo_config::Config;
use tempo_model::proto::tempopb;

use super::stack::Stack;

const SHOP_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_009_243 * SECOND;

/// The recorded bodies; `None`, with a note, when they are not there.
fn recorded() -> Option<String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder = std::env::var_os("TEMPO_CONFORMANCE_DIR").map_or_else(beside, PathBuf::from);
    let text = std::fs::read_to_string(folder.join("http-shapes.md")).ok();
    if text.is_none() {
        println!("skipped: http-shapes.md is not there; TEMPO_CONFORMANCE_DIR names its folder");
    }
    text
}

/// The JSON that stands after `title`.
fn body_after(text: &str, title: &str) -> Value {
    let (_, after) = text.split_once(title).unwrap_or_else(|| panic!("no {title}"));
    let (_, json) = after.split_once("```json\n").unwrap();
    serde_json::from_str(json.split_once("```").unwrap().0).unwrap()
}

fn attribute(key: &str, value: Value) -> Value {
    json!({"key": key, "value": value})
}

fn text(key: &str, value: &str) -> Value {
    attribute(key, json!({"stringValue": value}))
}

fn batch(resource: &[Value], scope: Value, span: Value) -> Value {
    json!({"resource": {"attributes": resource}, "scopeSpans": [{"scope": scope, "spans": [span]}]})
}

/// What was sent when the bodies were recorded.
fn spans() -> Value {
    let at = |milliseconds: u64| (START + milliseconds * 1_000_000).to_string();
    let order = json!({
        "traceId": SHOP_TRACE, "spanId": "00f067aa0ba902b7", "name": "POST /orders", "kind": 2,
        "startTimeUnixNano": at(0), "endTimeUnixNano": at(240), "status": {"code": 2, "message": "boom"},
        "attributes": [
            text("http.method", "POST"),
            attribute("http.status_code", json!({"intValue": "500"})),
            attribute("retry", json!({"boolValue": false})),
            attribute("ratio", json!({"doubleValue": 0.5})),
            attribute("tags", json!({"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}})),
        ],
        "events": [{"timeUnixNano": at(5), "name": "exception", "attributes": [text("exception.type", "IOError")]}],
    });
    let insert = json!({
        "traceId": SHOP_TRACE, "spanId": "b7ad6b7169203331", "parentSpanId": "00f067aa0ba902b7",
        "name": "INSERT orders", "kind": 3, "startTimeUnixNano": at(20), "endTimeUnixNano": at(120), "status": {},
        "attributes": [text("db.system", "postgresql"), attribute("db.rows", json!({"intValue": "3"}))],
        "links": [{
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b9c7c989f97918e1",
            "attributes": [text("kind", "retry")],
        }],
    });
    let nightly = json!({
        "traceId": "000000000000000012345678abcdef01", "spanId": "1122334455667788", "name": "nightly", "kind": 1,
        "startTimeUnixNano": at(1000), "endTimeUnixNano": at(4000), "status": {"code": 1},
        "attributes": [text("job", "reindex")],
    });
    let zip = json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b9c7c989f97918e1", "name": "zip", "kind": 3,
        "startTimeUnixNano": at(0), "endTimeUnixNano": at(5), "status": {}, "attributes": [text("a", "b")],
    });
    json!({"resourceSpans": [
        batch(
            &[text("deployment.environment", "prod"), text("service.name", "storefront")],
            json!({"name": "acme-http", "version": "1.4.0"}),
            order,
        ),
        batch(&[text("service.name", "orders-db")], json!({"name": "acme-db"}), insert),
        batch(&[text("service.name", "cron")], json!({"name": "acme-cron"}), nightly),
        batch(&[text("service.name", "zippy")], json!({}), zip),
    ]})
}

/// Without what may differ: figures of effort, the order of lists that have none, and names of spans in searches.
fn comparable(mut value: Value) -> Value {
    strip(&mut value);
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("metrics");
            fields
                .remove("scopes")
                .map(|scopes| fields.insert("scopes".to_owned(), sorted(scopes)));
            let is_found_span = fields.contains_key("spanID");
            fields.retain(|name, _| !(is_found_span && name == "name"));
            fields.values_mut().for_each(strip);
            for (_, list) in fields
                .iter_mut()
                .filter(|(name, _)| ["attributes", "tagValues"].contains(&name.as_str()))
            {
                *list = sorted(list.take());
            }
            fields.sort_keys();
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

fn sorted(mut list: Value) -> Value {
    if let Some(values) = list.as_array_mut() {
        values.sort_by_key(ToString::to_string);
    }
    list
}

#[tokio::test]
async fn bodies_are_those_that_upstream_writes() {
    let stack = Stack::start(&Config::default()).await;
    stack.push(None, &spans()).await.unwrap();
    for flushed in [false, true] {
        if flushed {
            stack.ingester.flush().await;
        }
        let Some(recorded) = recorded() else { return };
        let trace = format!("/api/traces/{SHOP_TRACE}");
        let range = "start=1700009000&end=1700010000";
        for (title, uri) in [
            ("## 1. Trace by id", trace.clone()),
            (
                "## 2. Search",
                format!("/api/search?q={{ status = error }}&{range}"),
            ),
            (
                "legacy `tags=",
                format!("/api/search?tags=service.name=orders-db&{range}"),
            ),
            ("## 3. Tag names", "/api/search/tags".to_owned()),
            (
                "`GET /api/search/tags?scope=intrinsic`",
                "/api/search/tags?scope=intrinsic".to_owned(),
            ),
            ("`GET /api/v2/search/tags`", "/api/v2/search/tags".to_owned()),
            (
                "`GET /api/search/tag/service.name/values`",
                "/api/search/tag/service.name/values".to_owned(),
            ),
            (
                "`GET /api/v2/search/tag/resource.service.name/values`",
                "/api/v2/search/tag/resource.service.name/values".to_owned(),
            ),
            (
                "`.../span.http.status_code/values`",
                "/api/v2/search/tag/span.http.status_code/values".to_owned(),
            ),
            (
                "`.../span.retry/values`",
                "/api/v2/search/tag/span.retry/values".to_owned(),
            ),
            (
                "`.../span.ratio/values`",
                "/api/v2/search/tag/span.ratio/values".to_owned(),
            ),
            (
                "`.../span.tags/values`",
                "/api/v2/search/tag/span.tags/values".to_owned(),
            ),
            (
                "`.../status/values`",
                "/api/v2/search/tag/status/values".to_owned(),
            ),
            ("`.../kind/values`", "/api/v2/search/tag/kind/values".to_owned()),
        ] {
            let (ours, theirs) = (stack.get(&uri).await.json(), body_after(&recorded, title));
            assert!(
                ours.get("batches").is_some() || ours.get("metrics").is_some(),
                "{uri}: {ours:#}"
            );
            let (ours, theirs) = (comparable(ours), comparable(theirs));
            assert!(
                ours == theirs,
                "{uri}, flushed {flushed}: ours {ours:#}\ntheirs {theirs:#}"
            );
        }
        let v2 = stack.get(&format!("/api/v2/traces/{SHOP_TRACE}")).await.json();
        let v1 = body_after(&recorded, "## 1. Trace by id");
        assert_eq!(
            comparable(v2["trace"]["resourceSpans"].clone()),
            comparable(v1["batches"].clone())
        );
    }
}

#[tokio::test]
async fn bodies_are_protobuf_for_who_asks_for_it() {
    let stack = Stack::start(&Config::default()).await;
    stack.push(None, &spans()).await.unwrap();
    let protobuf =
        || http::HeaderMap::from_iter([(http::header::ACCEPT, "application/protobuf".parse().unwrap())]);
    let asked = stack.ask(&format!("/api/traces/{SHOP_TRACE}"), protobuf()).await;
    assert_eq!(asked.headers["content-type"], "application/protobuf");
    let v1 = tempopb::Trace::decode(asked.body).unwrap();
    assert_eq!(v1.resource_spans.len(), 2);
    let asked = stack
        .ask(&format!("/api/v2/traces/{SHOP_TRACE}"), protobuf())
        .await;
    let v2 = tempopb::TraceByIdResponse::decode(asked.body).unwrap();
    assert_eq!(v2.trace, Some(v1));
    let asked = stack.ask("/api/search?q={ status = error }", protobuf()).await;
    let found = tempopb::SearchResponse::decode(asked.body).unwrap();
    assert_eq!(found.traces[0].root_service_name, "storefront");
    let asked = stack.ask("/api/v2/search/tags?scope=resource", protobuf()).await;
    let tags = tempopb::SearchTagsV2Response::decode(asked.body).unwrap();
    assert_eq!(tags.scopes[0].tags, ["deployment.environment", "service.name"]);
}

#[tokio::test]
async fn what_is_not_there_is_told_as_upstream_does() {
    let stack = Stack::start(&Config::default()).await;
    let v1 = stack.get("/api/traces/1").await;
    assert_eq!((v1.status.as_u16(), v1.body.len()), (404, 0));
    assert!(!v1.headers.contains_key("content-type"));
    let v2 = stack.get("/api/v2/traces/1").await;
    assert_eq!(v2.json(), json!({"trace": {}, "metrics": {}}));
    assert_eq!(stack.get("/api/search?q={}").await.json()["traces"], json!([]));
    assert_eq!(
        stack.get("/api/v2/search/tag/span.a/values").await.json()["tagValues"],
        json!([])
    );
    assert_eq!(stack.get("/api/echo").await.text(), "echo");
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_takes_it() {
    let stack = Stack::start(&Config::default()).await;
    stack.push(None, &spans()).await.unwrap();
    let gzip = http::HeaderMap::from_iter([(http::header::ACCEPT_ENCODING, "gzip".parse().unwrap())]);
    let large = stack
        .ask(&format!("/api/traces/{SHOP_TRACE}"), gzip.clone())
        .await;
    assert_eq!(large.headers["content-encoding"], "gzip");
    let small = stack.ask("/api/echo", gzip).await;
    assert!(!small.headers.contains_key("content-encoding"));
}
