//! A tenant with very many blocks: what queries ask of the object store, counted.

use std::sync::Arc;

use prost::Message;
use tempo_block::head::{Head, HeadSettings};
use tempo_block::log::{CommitLog, Transaction};
use tempo_block::store::metered::{Operation, StoreMetrics};
use tempo_block::write::{self, BlockOptions};
use tempo_config::Config;
use tempo_model::TenantId;
use tempo_model::json::otlp;
use tempo_model::proto::trace::ExportTraceServiceRequest;

use super::several_parts::span;
use super::stack::Stack;

const BLOCKS: u32 = 1_000;
const LARGE_ID: u32 = 0xffff_0000;

/// Puts two traces of service N into the Nth block, in the Nth second: trace N, and one whose id is so large that the log
/// alone does not tell which blocks may hold a trace.
async fn fill(stack: &Stack) {
    let tenant = TenantId::single();
    let mut add = Vec::new();
    for number in 1..=BLOCKS {
        let mut head = Head::new(HeadSettings::default());
        for trace in [number, LARGE_ID + number] {
            let json = span(&format!("service-{number}"), trace, 1, None, u64::from(number));
            let request: ExportTraceServiceRequest = otlp::request(json.to_string().as_bytes()).unwrap();
            let now = stack.environment.clock.unix_nanos();
            head.append(&request.encode_to_vec(), now).unwrap();
        }
        let (environment, snapshot) = (&stack.environment, head.snapshot());
        let options = BlockOptions::of_head(environment.new_ulid());
        let written = write::block(environment, &stack.store, &tenant, &snapshot, options).await;
        add.push(written.unwrap());
    }
    let log = CommitLog::open(&stack.environment, &stack.store, &tenant)
        .await
        .unwrap();
    let transaction = Transaction {
        add,
        ..Transaction::default()
    };
    log.commit(transaction).await.unwrap();
}

/// What an answer costs.
async fn requests<T>(metrics: &StoreMetrics, work: impl Future<Output = T>) -> (T, u64) {
    let count = || {
        let counts = Operation::ALL.map(|operation| metrics.count(operation).requests);
        counts.iter().sum::<u64>()
    };
    let before = count();
    let answer = work.await;
    (answer, count() - before)
}

/// Two requests of each query look for new entries of the tenant's log and of the log of WAL streams. All else is below.
const LOOKS: u64 = 2;
/// The first query opens both logs; at most so many requests.
const OPENING: u64 = 20;

#[tokio::test]
async fn a_trace_among_a_thousand_blocks_takes_few_requests() {
    let mut config = Config::default();
    config.storage.trace.block_cache.memory_bytes = 1 << 30;
    let stack = Stack::start(&config).await;
    fill(&stack).await;
    let metrics = Arc::clone(&stack.requests);

    // The first queries read the metadata of all blocks, each file once.
    let (answer, cold) = requests(&metrics, stack.get("/api/traces/ffffff")).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert!((1_000..=1_000 + OPENING).contains(&cold), "{cold} requests");
    let nothing = "/api/search?q={ resource.service.name = \"nobody\" }&limit=20";
    let (answer, cold) = requests(&metrics, stack.get(nothing)).await;
    assert!(answer.json()["traces"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(cold, LOOKS + u64::from(BLOCKS));

    // From then on a trace that is nowhere, and a search that finds nothing, read nothing.
    let (_, missing) = requests(&metrics, stack.get("/api/traces/eeeeee")).await;
    assert_eq!(missing, LOOKS);
    let (_, nowhere) = requests(&metrics, stack.get(nothing)).await;
    assert_eq!(nowhere, LOOKS);

    // One that is there takes its trace table and its columns.
    let (answer, found) = requests(&metrics, stack.get(&format!("/api/traces/{:x}", 500))).await;
    assert_eq!(answer.json()["batches"].as_array().unwrap().len(), 1);
    assert_eq!(found, LOOKS + 2);
    // And once the table is there as well, no more than three in all.
    let (_, again) = requests(&metrics, stack.get(&format!("/api/traces/{:x}", 500))).await;
    assert!(again <= 3, "{again} requests");

    // A search for what one block has reads from that block alone.
    let one = "/api/search?q={ resource.service.name = \"service-777\" }&limit=20";
    let (answer, found) = requests(&metrics, stack.get(one)).await;
    assert_eq!(answer.json()["traces"].as_array().unwrap().len(), 2);
    assert!(found <= LOOKS + 3, "{found} requests");
}

/// The newest twenty are in the newest blocks: the others are not looked into.
#[tokio::test]
async fn a_search_for_the_newest_does_not_look_into_all_blocks() {
    let stack = Stack::start(&Config::default()).await;
    fill(&stack).await;
    // Other blocks may have more of a trace that was found, which their filters tell: these are metadata, and cached.
    stack.get("/api/traces/ffffff").await;
    let (answer, requests) = requests(&stack.requests, stack.get("/api/search?q={}&limit=20")).await;
    let answer = answer.json();
    let traces = answer["traces"].as_array().unwrap();
    assert_eq!(traces.len(), 20);
    assert_eq!(traces[0]["rootServiceName"], "service-1000");
    // Three for each block that was looked into; a few more blocks than needed are under way at once.
    assert!(requests <= LOOKS + 3 * 40, "{requests} requests");
}
