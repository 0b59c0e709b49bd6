//! Every role of the engine: two ingesters on a disk each, a distributor, a querier, a query-frontend and a compactor,
//! with a network between them that takes its time and loses calls.
//!
//! A client pushes and asks all the time while ingesters are killed and started again. What it was told is stored must be
//! in every answer; where something cannot be asked, the answer must be an error.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tempo_block::log::Grace;
use tempo_config::Config;
use tempo_core::commit_logs::CommitLogs;
use tempo_core::compactor;
use tempo_core::distributor::{self, Distributor};
use tempo_core::frontend::{self, Frontend, QueryError, QueryErrorKind, SearchRequest};
use tempo_core::ingester::Ingester;
use tempo_core::limits::TenantLimits;
use tempo_core::querier::{self, Querier};
use tempo_core::rpc::messages::{PushRequest, PushResponse, RecentRequest, RecentResponse};
use tempo_core::rpc::peers::{Peer, Peers};
use tempo_core::rpc::{CallError, IngesterApi, QuerierApi};
use tempo_core::tenancy::{TENANT_HEADER, Tenancy};
use tempo_model::{TenantId, TraceId};
use tempo_receiver::{TraceBatch, TraceConsumer};
use tempo_runtime::membership::Members;
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::{Environment, MemoryFiles};

use super::store::Script;
use super::world::{Node, SpanName, World, assert_same, names_in, seeds, tenant};

/// The longest that a call or its answer is on its way.
const LATENCY_MICROS: u64 = 20_000;

/// The way to an ingester, which may be down.
struct Wire {
    id: &'static str,
    environment: Environment,
    script: Arc<Script>,
    ingester: Mutex<Option<Ingester>>,
    /// One of so many calls is lost on its way there; 0 loses none.
    loses_one_of: u64,
}

impl Wire {
    async fn travel(&self) {
        let took = self.environment.random.next_u64() % LATENCY_MICROS;
        self.environment.clock.sleep(Duration::from_micros(took)).await;
    }

    async fn reach(&self, call: &str) -> Result<Ingester, CallError> {
        self.travel().await;
        self.script.note(format!("{call} {}", self.id));
        let is_lost = self.loses_one_of > 0
            && self
                .environment
                .random
                .next_u64()
                .is_multiple_of(self.loses_one_of);
        let ingester = self.ingester.lock().clone();
        ingester
            .filter(|_| !is_lost)
            .ok_or_else(|| CallError::unavailable(&"connection refused"))
    }
}

#[async_trait]
impl IngesterApi for Wire {
    async fn push(&self, request: PushRequest) -> Result<PushResponse, CallError> {
        let answer = self.reach("push").await?.push(request).await;
        self.travel().await;
        answer
    }

    async fn recent(&self, request: RecentRequest) -> Result<RecentResponse, CallError> {
        let answer = self.reach("recent").await?.recent(request).await;
        self.travel().await;
        answer
    }
}

/// The roles that are not killed, and the ways to those that are.
struct Engine<'a> {
    world: &'a World,
    tenants: [TenantId; 2],
    over: AtomicBool,
    disks: [MemoryFiles; 2],
    wires: [Arc<Wire>; 2],
    distributor: Distributor,
    frontend: Frontend,
}

impl<'a> Engine<'a> {
    fn new(world: &'a World, loses_one_of: u64) -> Self {
        let (environment, config) = (&world.environment, Config::default());
        let (limits, registry) = (TenantLimits::default(), MetricsRegistry::default());
        let wires = ["ingester-0", "ingester-1"].map(|id| {
            Arc::new(Wire {
                id,
                script: Arc::clone(&world.script),
                environment: environment.clone(),
                ingester: Mutex::default(),
                loses_one_of,
            })
        });
        let peer = |wire: &Arc<Wire>| Peer {
            id: wire.id.to_owned(),
            api: Arc::clone(wire) as Arc<dyn IngesterApi>,
        };
        let ingesters = Peers::fixed(wires.iter().map(peer).collect());
        let querier = Peer {
            id: "querier".to_owned(),
            api: Arc::new(Querier::new(
                world.reader.clone(),
                ingesters.clone(),
                querier::Settings::from(&config),
            )) as Arc<dyn QuerierApi>,
        };
        Self {
            world,
            tenants: [tenant("a"), tenant("b")],
            over: AtomicBool::new(false),
            disks: Default::default(),
            wires,
            distributor: Distributor::new(
                environment.clone(),
                Tenancy { enabled: true },
                limits.clone(),
                ingesters,
                Members::fixed(Vec::new()),
                distributor::Settings::from(&config),
                &registry,
            ),
            frontend: Frontend::new(
                environment.clone(),
                CommitLogs::new(environment.clone(), Arc::clone(&world.store)),
                Peers::fixed(vec![querier]),
                limits,
                frontend::Settings::from(&config),
                &registry,
            ),
        }
    }

    async fn start(&self, ingester: usize) -> Node {
        let node = self.world.start_on(&self.disks[ingester]).await;
        *self.wires[ingester].ingester.lock() = Some(node.ingester.clone());
        node
    }

    async fn kill(&self, ingester: usize, node: Node) {
        *self.wires[ingester].ingester.lock() = None;
        node.kill(self.world).await;
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn any_tenant(&self) -> &TenantId {
        &self.tenants[self.world.roll(2) as usize]
    }

    async fn pause(&self, most_millis: u64) {
        let millis = self.world.roll(most_millis);
        self.world.pass(Duration::from_millis(millis)).await;
    }

    /// Asks until the end; how many searches and how many questions for a trace were answered.
    async fn ask(&self) -> (usize, usize) {
        let (mut searches, mut traces) = (0, 0);
        while !self.is_over() {
            let tenant = self.any_tenant();
            searches += usize::from(self.search(tenant).await);
            traces += usize::from(self.trace(tenant).await);
            self.pause(500).await;
        }
        (searches, traces)
    }

    async fn send(&self) {
        while !self.is_over() {
            self.push(self.any_tenant(), 1 + self.world.roll(20)).await;
            self.pause(400).await;
        }
    }

    /// Compacts until the end; how many blocks were made.
    async fn compact(&self) -> usize {
        let mut made = 0;
        let compactor = self.world.compactor("one", &["one"], compaction());
        while !self.is_over() {
            made += compactor.run_once().await.jobs;
            compactor.clean().await;
            self.pause(4000).await;
        }
        made
    }

    /// Kills one ingester after the other, flushes the one that is left, and starts what was killed.
    async fn kill_again_and_again(&self) {
        let mut nodes = [Some(self.start(0).await), Some(self.start(1).await)];
        for _ in 0..6 {
            self.world.pass(Duration::from_secs(2)).await;
            self.pause(3000).await;
            let victim = self.world.roll(2) as usize;
            self.kill(victim, nodes[victim].take().unwrap()).await;
            for left in nodes.iter().flatten() {
                left.ingester.flush().await;
            }
            self.pause(1000).await;
            nodes[victim] = Some(self.start(victim).await);
        }
        self.world.pass(Duration::from_secs(2)).await;
        self.over.store(true, Ordering::Relaxed);
    }

    /// Sends spans as a client does, and sends them again when they are refused.
    async fn push(&self, tenant: &TenantId, spans: u64) {
        let payload = self.world.payload(tenant, spans, 3);
        let names = names_in(&payload);
        let mut headers = HeaderMap::new();
        headers.insert(TENANT_HEADER, HeaderValue::from_str(tenant.as_str()).unwrap());
        let batch = TraceBatch {
            contents: tempo_model::validate::contents(&payload).unwrap(),
            payload: payload.into(),
            headers,
            transport: "grpc",
        };
        for _ in 0..3 {
            if self.distributor.consume(batch.clone()).await.is_ok() {
                self.world.was_acknowledged(tenant, names);
                return;
            }
            self.world.pass(Duration::from_millis(100)).await;
        }
    }

    /// Searches for everything; `false` when the answer is that a part cannot be had now.
    async fn search(&self, tenant: &TenantId) -> bool {
        let must = self.world.acknowledged(tenant);
        let request = SearchRequest {
            query: "{}".to_owned(),
            limit: Some(100_000),
            spans_per_span_set: Some(0),
            range: None,
        };
        match self.frontend.search(slice::from_ref(tenant), &request).await {
            Ok(response) => {
                let mut found: Vec<SpanName> = Vec::new();
                for trace in &response.traces {
                    let spans = trace.span_sets.iter().flat_map(|set| &set.spans);
                    found
                        .extend(spans.map(|span| (format!("{:0>32}", trace.trace_id), span.span_id.clone())));
                }
                self.world.compare(tenant, &must, &found);
                true
            }
            Err(error) => {
                must_be_unavailable(&error);
                false
            }
        }
    }

    /// Asks for one of the traces that were acknowledged; `false` when the answer is that a part cannot be had now.
    async fn trace(&self, tenant: &TenantId) -> bool {
        let must = self.world.acknowledged(tenant);
        if must.is_empty() {
            return false;
        }
        let place = self.world.roll(must.len() as u64) as usize;
        let id = must.iter().nth(place).map(|(trace, _)| trace.clone()).unwrap();
        let of_trace = must.into_iter().filter(|(trace, _)| *trace == id).collect();
        let trace_id: TraceId = id.parse().unwrap();
        match self.frontend.trace(slice::from_ref(tenant), trace_id, None).await {
            Ok(found) if found.incomplete.is_empty() => {
                let spans = found
                    .trace
                    .resource_spans
                    .iter()
                    .flat_map(|resource| &resource.scope_spans)
                    .flat_map(|scope| &scope.spans);
                let found: Vec<SpanName> = spans
                    .map(|span| (id.clone(), hex::encode(&span.span_id)))
                    .collect();
                self.world.compare(tenant, &of_trace, &found);
                true
            }
            Ok(_) => false,
            Err(error) => {
                must_be_unavailable(&error);
                false
            }
        }
    }
}

/// The only error that may be: a part cannot be asked now.
fn must_be_unavailable(error: &QueryError) {
    assert_eq!(error.kind, QueryErrorKind::Unavailable, "{error}");
}

/// What happened in a life.
struct Lived {
    /// Every request to the store and to ingesters.
    journal: Vec<String>,
    compactions: usize,
}

/// One life of the engine.
async fn live(seed: u64, loses_one_of: u64) -> Lived {
    let mut world = World::new(seed);
    world.settings.max_block_bytes = 30_000;
    world.settings.linger = Duration::from_millis(50);
    world.script.slow_down(Duration::from_millis(20));
    let engine = Engine::new(&world, loses_one_of);
    // The order in which they are polled is fixed, unlike that of `tokio::join`.
    let ((searches, traces), (), compactions, ()) = futures::join!(
        Box::pin(engine.ask()),
        Box::pin(engine.send()),
        Box::pin(engine.compact()),
        Box::pin(engine.kill_again_and_again())
    );
    assert!(
        searches > 20 && traces > 20,
        "only {searches} searches and {traces} traces were answered"
    );
    for tenant in &engine.tenants {
        assert!(world.acknowledged(tenant).len() > 50);
    }
    Lived {
        journal: world.script.journal(),
        compactions,
    }
}

fn compaction() -> compactor::Settings {
    let mut settings = compactor::Settings::from(&Config::default());
    settings.grace = Grace {
        removed: Duration::ZERO,
        ..Grace::default()
    };
    settings
}

#[tokio::test(start_paused = true)]
async fn what_a_client_was_told_is_stored_is_in_every_answer() {
    let mut compactions = 0;
    for seed in 0..seeds() {
        compactions += live(1000 + seed, 10 * (seed % 2)).await.compactions;
    }
    assert!(compactions > 0, "nothing was compacted under the questions");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_is_the_same_life_of_all_roles() {
    let life = live(1234, 10).await.journal;
    assert_same(&life, &live(1234, 10).await.journal);
    assert_ne!(life, live(4321, 10).await.journal);
}
