//! The whole story: sample resources → standalone → spans through the Collector → found by search and by id.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use e2e::{Standalone, eventually, repository, send_traces};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(5);

#[tokio::test]
async fn spans_sent_through_the_collector_come_back_unchanged() -> Result<()> {
    let standalone = Standalone::start(&repository().join("config/samples/quickstart")).await?;
    let api = standalone.api();
    for (protocol, port) in [("grpc", 4317), ("http", 4318)] {
        let endpoint = format!("http://127.0.0.1:{}", standalone.port(port));
        let Some(sent) = send_traces(protocol, &endpoint, 20).await? else {
            return Ok(());
        };
        for trace in &sent {
            let id = trace["trace_id"].as_str().context("a sent trace without id")?;
            // The Collector answers the SDK once the batch is in its queue, so the stack may have it a moment later.
            let found = eventually("the trace by id", PATIENCE, || stored_trace(&api, id)).await?;
            assert_eq!(comparable(trace), found, "trace {id} came back changed");
        }
        let ids = api
            .search(
                r#"{ resource.service.name = "orders" && span.http.status_code >= 500 }"#,
                1000,
            )
            .await?;
        for trace in &sent {
            let id = trace["trace_id"].as_str().context("a sent trace without id")?;
            assert!(
                ids.iter().any(|found| found == id),
                "search did not find {id}, sent by {protocol}"
            );
        }
    }
    let none = api
        .search(r#"{ span.db.system = "no such database" }"#, 20)
        .await?;
    assert_eq!(none, Vec::<String>::new());
    let status = standalone.stop().await?;
    ensure!(status.success(), "Ctrl-C ended standalone with {status}");
    Ok(())
}

/// The spans of a stored trace by span id, in the form of [`comparable`].
async fn stored_trace(api: &e2e::Api, id: &str) -> Result<BTreeMap<String, Value>> {
    let answer = api.json(&format!("/api/traces/{id}"), &[]).await?;
    let mut spans = BTreeMap::new();
    for batch in list(&answer["batches"]) {
        for scope in list(&batch["scopeSpans"]) {
            for span in list(&scope["spans"]) {
                let id = hex_of(&span["spanId"])?;
                spans.insert(id, stored_span(span)?);
            }
        }
    }
    ensure!(spans.len() == 2, "trace {id} has {} spans so far", spans.len());
    Ok(spans)
}

fn stored_span(span: &Value) -> Result<Value> {
    let events: Vec<Value> = list(&span["events"])
        .iter()
        .map(|event| json!({"name": event["name"], "time": event["timeUnixNano"], "attributes": attributes(event)}))
        .collect();
    let links = list(&span["links"])
        .iter()
        .map(|link| {
            Ok(json!({"trace_id": hex_of(&link["traceId"])?, "span_id": hex_of(&link["spanId"])?, "attributes": attributes(link)}))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "parent_id": hex_of(&span["parentSpanId"])?,
        "name": span["name"],
        "start": span["startTimeUnixNano"],
        "end": span["endTimeUnixNano"],
        "attributes": attributes(span),
        "events": events,
        "links": links,
    }))
}

/// What the SDK says it sent, in the form of [`stored_span`]: 64-bit integers as strings, as Tempo's JSON has them.
fn comparable(trace: &Value) -> BTreeMap<String, Value> {
    let text = |value: &Value| Value::String(value.to_string());
    list(&trace["spans"])
        .iter()
        .map(|span| {
            let events: Vec<Value> = list(&span["events"])
                .iter()
                .map(|event| json!({"name": event["name"], "time": text(&event["time"]), "attributes": typed(&event["attributes"])}))
                .collect();
            let links: Vec<Value> = list(&span["links"])
                .iter()
                .map(|link| json!({"trace_id": link["trace_id"], "span_id": link["span_id"], "attributes": typed(&link["attributes"])}))
                .collect();
            let id = span["span_id"].as_str().unwrap_or_default().to_owned();
            let span = json!({
                "parent_id": span["parent_id"],
                "name": span["name"],
                "start": text(&span["start"]),
                "end": text(&span["end"]),
                "attributes": typed(&span["attributes"]),
                "events": events,
                "links": links,
            });
            (id, span)
        })
        .collect()
}

/// Plain attribute values in the form of Tempo's JSON.
fn typed(attributes: &Value) -> BTreeMap<String, Value> {
    fn value(plain: &Value) -> Value {
        match plain {
            Value::Bool(_) => json!({"boolValue": plain}),
            Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
            Value::Number(_) => json!({"doubleValue": plain}),
            Value::Array(items) => {
                json!({"arrayValue": {"values": items.iter().map(value).collect::<Vec<_>>()}})
            }
            _ => json!({"stringValue": plain}),
        }
    }
    attributes
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, plain)| (key.clone(), value(plain)))
        .collect()
}

fn attributes(of: &Value) -> BTreeMap<String, Value> {
    list(&of["attributes"])
        .iter()
        .filter_map(|pair| Some((pair["key"].as_str()?.to_owned(), pair["value"].clone())))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Base64 bytes as hex digits; absent is empty.
fn hex_of(value: &Value) -> Result<String> {
    let text = value.as_str().unwrap_or_default();
    Ok(hex::encode(
        BASE64_STANDARD
            .decode(text)
            .with_context(|| format!("{text} is not base64"))?,
    ))
}
