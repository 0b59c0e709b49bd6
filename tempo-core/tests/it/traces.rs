//! Spans in, answers out: one process with all roles.

use std::collections::BTreeSet;

use tempo_core::load::client::OtlpClient;
use tempo_core::load::shop::Shop;

use crate::support::{client, engine, json, search, spans_of, traces};

#[tokio::test]
async fn what_was_acknowledged_is_found_by_id_and_by_search_before_and_after_a_flush() {
    let (_folder, mut engine) = engine().await;
    let mut shop = Shop::new(1);
    let (request, by_grpc) = traces(&mut shop, 20);
    client(&engine).await.export(request).await.unwrap();
    let (request, by_http) = traces(&mut shop, 20);
    let http = OtlpClient::http(&format!("127.0.0.1:{}", engine.ports().otlp_http)).unwrap();
    http.export(request).await.unwrap();
    let sent: BTreeSet<String> = by_grpc.into_iter().chain(by_http).collect();
    let mut spans = Vec::new();
    for flushed in [false, true] {
        if flushed {
            assert_eq!(
                engine.get("/flush", &[]).await.unwrap().0,
                204,
                "{}",
                engine.log()
            );
        }
        let mut counts = Vec::new();
        for id in &sent {
            counts.push(spans_of(&engine, id).await);
        }
        assert!(
            counts.iter().all(|count| *count > 0),
            "flushed: {flushed}, spans: {counts:?}"
        );
        if flushed {
            assert_eq!(counts, spans, "a flush changes no answer");
        }
        spans = counts;
        let all = search(&engine, r#"{ resource.service.name = "frontend" }"#).await;
        assert_eq!(all, sent, "flushed: {flushed}");
        let none = search(&engine, "{ span.http.status_code = 999 }").await;
        assert_eq!(none, BTreeSet::new());
    }
    let tags = json(&engine, "/api/v2/search/tag/resource.service.name/values", &[]).await;
    assert!(tags.to_string().contains("catalogue"), "{tags}");
    assert!(engine.stop().await.unwrap().success());
}
