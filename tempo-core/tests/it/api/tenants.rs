//! Whose spans are found.

use serde_json::json;
use tempo_config::Config;
use tempo_receiver::ErrorKind;

use super::several_parts::span;
use super::stack::Stack;

fn several_tenants() -> Config {
    let mut config = Config::default();
    config.multitenancy_enabled = true;
    config
}

#[tokio::test]
async fn tenants_see_their_own_and_two_that_ask_together_see_both() {
    let stack = Stack::start(&several_tenants()).await;
    stack.push(Some("a"), &span("shop", 7, 1, None, 0)).await.unwrap();
    stack
        .push(Some("b"), &span("cart", 7, 2, Some(1), 5))
        .await
        .unwrap();
    for (tenant, spans) in [("a", 1), ("b", 1), ("a|b", 2), ("b|a|b", 2)] {
        let trace = stack.get_as(tenant, "/api/traces/7").await.json();
        assert_eq!(trace["batches"].as_array().unwrap().len(), spans, "{tenant}");
    }
    let found = stack.get_as("a|b", "/api/search?q={}").await.json();
    assert_eq!(found["traces"].as_array().unwrap().len(), 1);
    assert_eq!(
        found["traces"][0]["serviceStats"],
        json!({"cart": {"spanCount": 1}, "shop": {"spanCount": 1}})
    );
    let values = stack
        .get_as("a|b", "/api/search/tag/service.name/values")
        .await
        .json();
    assert_eq!(values["tagValues"], json!(["cart", "shop"]));
    assert_eq!(stack.get_as("nobody", "/api/traces/7").await.status.as_u16(), 404);
}

#[tokio::test]
async fn who_does_not_say_whose_spans_hears_it() {
    let stack = Stack::start(&several_tenants()).await;
    let missing = stack.get("/api/search?q={}").await;
    assert_eq!(
        (missing.status.as_u16(), missing.text().as_str()),
        (401, "no org id")
    );
    let invalid = stack.get_as("a/b", "/api/search?q={}").await;
    assert_eq!(invalid.status.as_u16(), 400);
    assert_eq!(
        invalid.text(),
        "tenant ID 'a/b' contains unsupported character '/'"
    );
    assert_eq!(stack.get("/api/echo").await.status.as_u16(), 200);
    let page = stack.get("/").await;
    assert_eq!(page.status.as_u16(), 401);
    assert!(page.text().contains("no org id"));

    let spans = span("shop", 7, 1, None, 0);
    let push = async |tenant: Option<&str>| stack.push(tenant, &spans).await.unwrap_err();
    let missing = push(None).await;
    assert_eq!(
        (missing.kind, missing.message.as_str()),
        (ErrorKind::Unauthenticated, "no org id")
    );
    let several = push(Some("a|b")).await;
    assert_eq!(
        (several.kind, several.message.as_str()),
        (ErrorKind::InvalidArgument, "multiple org IDs present")
    );
    assert_eq!(push(Some("a/b")).await.kind, ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn the_prefix_comes_before_the_api_alone() {
    let mut config = Config::default();
    "/tempo/".clone_into(&mut config.http_api_prefix);
    let stack = Stack::start(&config).await;
    assert_eq!(stack.get("/tempo/api/echo").await.text(), "echo");
    assert_eq!(stack.get("/api/echo").await.status.as_u16(), 404);
    assert_eq!(stack.get("/").await.status.as_u16(), 200);
}

#[tokio::test]
async fn the_page_shows_what_there_is() {
    let stack = Stack::start(&Config::default()).await;
    stack
        .push(None, &span("<b>shop</b>", 7, 1, None, 0))
        .await
        .unwrap();
    let list = stack.get("/").await.text();
    assert!(
        list.contains("&#60;b&#62;shop") && list.contains("trace/7"),
        "{list}"
    );
    let trace = stack.get("/trace/7").await.text();
    assert!(
        trace.contains("operation-1") && !trace.contains("<b>shop"),
        "{trace}"
    );
    for (uri, status, words) in [
        ("/trace/8", 404, "nobody knows a trace"),
        ("/trace/xyz", 400, "hex characters"),
        ("/?q={ a }", 400, "invalid TraceQL query"),
    ] {
        let answer = stack.get(uri).await;
        assert_eq!(answer.status.as_u16(), status, "{uri}");
        assert!(answer.text().contains(words), "{uri}: {}", answer.text());
        assert!(answer.headers.contains_key("content-security-policy"));
    }
}
