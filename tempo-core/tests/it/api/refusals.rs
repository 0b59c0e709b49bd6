//! What cannot be answered, and in which words.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tempo_block::log::{Replica, StreamChange, StreamLog};
use tempo_config::Config;
use tempo_core::rpc::messages::{PushRequest, PushResponse, RecentRequest, RecentResponse};
use tempo_core::rpc::peers::Peer;
use tempo_core::rpc::{CallError, IngesterApi};
use tempo_receiver::ErrorKind;
use ulid::Ulid;

use super::several_parts::span;
use super::stack::Stack;

#[tokio::test]
async fn wrong_requests_are_refused_in_known_words() {
    let stack = Stack::start(&Config::default()).await;
    for (uri, status, words) in [
        (
            "/api/traces/xyz",
            400,
            "trace IDs can only contain hex characters: invalid character 'x' at position 1",
        ),
        (
            "/api/traces/123456789012345678901234567890123",
            400,
            "trace IDs can't be larger than 128 bits",
        ),
        (
            "/api/v2/traces/1?start=5&end=4",
            400,
            "http parameter start must be before end. received start=5 end=4",
        ),
        ("/api/search?q={ a }", 400, "invalid TraceQL query: "),
        (
            "/api/search?q={ span.a > }",
            400,
            "invalid TraceQL query: parse error at line 1, col ",
        ),
        ("/api/search?q={ name > 5 }", 400, "invalid TraceQL query: "),
        (
            "/api/search?q={ parent.span.a = 1 }",
            400,
            "invalid TraceQL query: ",
        ),
        (
            "/api/search?q={}&tags=a=b",
            400,
            "invalid request: can't specify tags and q in the same query",
        ),
        (
            "/api/search?q={}&limit=0",
            400,
            "invalid limit: must be a positive number",
        ),
        ("/api/search?q={}&limit=-3", 400, "invalid limit: "),
        ("/api/search?q={}&limit=many", 400, "invalid limit: "),
        (
            "/api/search?q={}&limit=300000",
            400,
            "limit 300000 exceeds max limit 262144",
        ),
        (
            "/api/search?q={}&spss=101",
            400,
            "spans per span set exceeds 100. received 101",
        ),
        ("/api/search?q={}&start=1", 400, "invalid request: start and end"),
        (
            "/api/search?q={}&start=1&end=700000",
            400,
            "range specified by start and end exceeds 168h0m0s.",
        ),
        ("/api/search?tags=a", 400, "invalid tags: "),
        ("/api/search?minDuration=long", 400, "invalid minDuration: "),
        ("/api/search/tags?scope=bogus", 400, "invalid scope: bogus"),
        (
            "/api/v2/search/tag/service.name/values",
            400,
            "please provide a valid tagName:",
        ),
        (
            "/api/v2/search/tag/parent.a/values",
            400,
            "not supported: values of parent.a",
        ),
        (
            "/api/metrics/query_range?q={} | rate()",
            400,
            "TraceQL metrics are not built yet",
        ),
    ] {
        let answer = stack.get(uri).await;
        assert_eq!(answer.status.as_u16(), status, "{uri}: {}", answer.text());
        assert!(answer.text().starts_with(words), "{uri}: {}", answer.text());
        assert_eq!(
            answer.headers["content-type"], "text/plain; charset=utf-8",
            "{uri}"
        );
    }
}

#[tokio::test]
async fn a_query_that_is_too_long_is_refused() {
    let stack = Stack::start(&Config::default()).await;
    let long = format!("/api/search?q={{ name = `{}` }}", "x".repeat(10_000));
    assert_eq!(stack.get(&long).await.status.as_u16(), 200);
    let mut config = Config::default();
    config.query_frontend.max_query_expression_size_bytes = 100;
    let stack = Stack::start(&config).await;
    let answer = stack.get(&long).await;
    assert_eq!(answer.status.as_u16(), 400);
    assert!(
        answer.text().contains("max_query_expression_size_bytes=100"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_trace_that_is_too_large_is_refused_whole_or_given_in_part() {
    let mut config = Config::default();
    config.overrides.defaults.global.max_bytes_per_trace = 100;
    let stack = Stack::start(&config).await;
    for number in 1..=20 {
        stack
            .push(None, &span("shop", 7, number, None, number.into()))
            .await
            .unwrap();
    }
    let v1 = stack.get("/api/traces/7").await;
    let v2 = stack.get("/api/v2/traces/7").await;
    // Whoever enforces the limit first, the ingester or the query: no answer is larger, none pretends to be whole.
    if v1.status.as_u16() == 422 {
        assert_eq!(v1.text(), "trace exceeds max size (max bytes: 100)");
        assert_eq!(v2.json()["status"], json!("PARTIAL"));
    }
    assert!(!v2.json()["trace"]["resourceSpans"].as_array().unwrap().is_empty());
}

/// An ingester that nobody can reach.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl IngesterApi for Silent {
    async fn push(&self, _: PushRequest) -> Result<PushResponse, CallError> {
        Err(CallError::unavailable(&"connection refused"))
    }

    async fn recent(&self, _: RecentRequest) -> Result<RecentResponse, CallError> {
        Err(CallError::unavailable(&"connection refused"))
    }
}

#[tokio::test]
async fn an_answer_that_may_lack_something_says_so() {
    let silent = Peer {
        id: "ingester-1".to_owned(),
        api: Arc::new(Silent) as Arc<dyn IngesterApi>,
    };
    let stack = Stack::with_ingesters(&Config::default(), vec![silent]).await;
    stack.push(None, &span("shop", 7, 1, None, 1)).await.unwrap();
    // It is missed as long as a stream is open that nobody answers for.
    let log = StreamLog::open(&stack.environment, &stack.store).await.unwrap();
    let open = StreamChange::Open {
        epoch: Ulid(42),
        replicas: Vec::new(),
    };
    log.commit(open).await.unwrap();
    let v2 = stack.get("/api/v2/traces/7").await.json();
    assert_eq!(v2["status"], json!("PARTIAL"));
    assert!(
        v2["message"]
            .as_str()
            .unwrap()
            .contains("ingester-1: connection refused"),
        "{v2}"
    );
    assert_eq!(v2["trace"]["resourceSpans"].as_array().unwrap().len(), 1);
    for uri in [
        "/api/traces/7",
        "/api/search?q={}",
        "/api/search/tags",
        "/api/v2/search/tag/span.a/values",
    ] {
        let answer = stack.get(uri).await;
        assert_eq!(answer.status.as_u16(), 503, "{uri}: {}", answer.text());
        assert!(
            answer.text().contains("ingester-1: connection refused"),
            "{uri}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_dead_ingester_is_missed_until_it_is_given_up() {
    let stack = Stack::start(&Config::default()).await;
    stack.push(None, &span("shop", 7, 1, None, 1)).await.unwrap();
    let log = StreamLog::open(&stack.environment, &stack.store).await.unwrap();
    let epoch = Ulid(42);
    let replica = Replica {
        disk: Ulid(1),
        address: "10.0.0.9:9095".to_owned(),
    };
    let open = StreamChange::Open {
        epoch,
        replicas: vec![replica],
    };
    log.commit(open).await.unwrap();
    let missed = stack.get("/api/search?q={}").await;
    assert_eq!(missed.status.as_u16(), 503);
    for words in [
        "10.0.0.9:9095 does not answer",
        "`tempo forget 0000000000000000000000001A`",
    ] {
        assert!(missed.text().contains(words), "{}", missed.text());
    }
    assert_eq!(
        stack.get("/api/v2/traces/7").await.json()["status"],
        json!("PARTIAL")
    );
    log.commit(StreamChange::Lost { epoch }).await.unwrap();
    assert_eq!(stack.get("/api/search?q={}").await.status.as_u16(), 200);
    assert_eq!(stack.get("/api/traces/7").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_tenant_over_its_rate_is_told_when_to_come_again() {
    let mut config = Config::default();
    config.overrides.defaults.ingestion.rate_limit_bytes = 1;
    config.overrides.defaults.ingestion.burst_size_bytes = 150;
    let stack = Stack::start(&config).await;
    let large = span(&"x".repeat(400), 7, 1, None, 1);
    let error = stack.push(None, &large).await.unwrap_err();
    assert!(error.message.starts_with("RATE_LIMITED: batch size ("), "{error}");
    assert_eq!(error.kind, ErrorKind::TooLarge, "it never passes");
    let small = span("shop", 7, 1, None, 1);
    stack.push(None, &small).await.unwrap();
    let error = stack.push(None, &small).await.unwrap_err();
    assert!(
        error.message.starts_with("RATE_LIMITED: ingestion rate limit ("),
        "{error}"
    );
    let ErrorKind::ResourceExhausted {
        retry_after: Some(delay),
    } = error.kind
    else {
        panic!("{error:?}")
    };
    assert_eq!(delay.as_secs(), 5);
}

#[tokio::test]
async fn ids_that_are_none_are_refused() {
    let stack = Stack::start(&Config::default()).await;
    let error = stack.push(None, &span("shop", 7, 0, None, 1)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert_eq!(
        error.message,
        "span ids must be 64 bit and not all zero, received 0 bits"
    );
}
