//! A simulated world: one clock, one store, one disk, processes that can be killed, and a record of what was
//! acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prost::Message;
use tempo_block::log::{CommitLog, StreamLog};
use tempo_block::read::{ReadStatistics, Reader};
use tempo_block::scan::Source;
use tempo_block::store::Store;
use tempo_config::{Config, Limits};
use tempo_core::answer;
use tempo_core::compactor::{self, Compactor};
use tempo_core::ingester::{self, Ingester};
use tempo_core::limits::TenantLimits;
use tempo_core::rpc::messages::{Partial, PushRequest, Query, Question, RecentRequest, SearchQuestion};
use tempo_core::rpc::{CallError, IngesterApi};
use tempo_model::TenantId;
use tempo_model::proto::common::{AnyValue, KeyValue, any_value::Value};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_runtime::membership::{Member, Members};
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::{BoxFuture, CpuWork, Environment, FileSystem, MemoryFiles, Spawn};
use tokio_util::sync::CancellationToken;

use super::store::Script;

const START_NS: u64 = 1_700_000_000_000_000_000;

/// What a span is known by: trace and span id in hex.
pub(super) type SpanName = (String, String);

/// One world.
pub(super) struct World {
    /// What tests themselves run by; nobody kills it.
    pub(super) environment: Environment,
    pub(super) store: Store,
    pub(super) script: Arc<Script>,
    pub(super) disk: MemoryFiles,
    pub(super) settings: ingester::Settings,
    /// What new ingesters hold tenants to.
    pub(super) limits: TenantLimits,
    pub(super) reader: Reader,
    sent: Mutex<Sent>,
}

/// What was sent.
#[derive(Default)]
struct Sent {
    spans: u64,
    by_tenant: BTreeMap<TenantId, BTreeMap<SpanName, bool>>,
}

/// A process with an ingester.
pub(super) struct Node {
    pub(super) ingester: Ingester,
    life: CancellationToken,
    disk: MemoryFiles,
}

impl Node {
    /// Ends the process as a power cut does: what was not synced is gone.
    pub(super) async fn kill(self, world: &World) {
        self.life.cancel();
        drop(self.ingester);
        world.pass(Duration::from_millis(1)).await;
        self.disk.crash();
    }
}

/// Tasks that end all at once, wherever they are.
#[derive(Debug)]
struct Life(CancellationToken);

impl Spawn for Life {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        let life = self.0.clone();
        tokio::spawn(async move { life.run_until_cancelled(task).await });
    }

    fn spawn_cpu(&self, _name: &'static str, work: CpuWork) {
        let life = self.0.clone();
        tokio::spawn(async move {
            if !life.is_cancelled() {
                work();
            }
        });
    }
}

impl World {
    /// A world that goes the same way for the same seed.
    pub(super) fn new(seed: u64) -> Self {
        let disk = MemoryFiles::default();
        let environment = Environment::simulated(seed, START_NS).with_files(Arc::new(disk.clone()));
        let (script, store) = Script::store(environment.clone());
        let settings = ingester::Settings {
            wal_folder: "/wal".into(),
            check_period: Duration::from_secs(1),
            linger: Duration::from_secs(5),
            ..ingester::Settings::from(&Config::default())
        };
        Self {
            reader: Reader::new(environment.clone(), Arc::clone(&store)),
            environment,
            store,
            script,
            disk,
            settings,
            limits: TenantLimits::default(),
            sent: Mutex::default(),
        }
    }

    /// Lets time pass.
    pub(super) async fn pass(&self, time: Duration) {
        self.environment.clock.sleep(time).await;
    }

    /// A number below `limit`.
    pub(super) fn roll(&self, limit: u64) -> u64 {
        self.environment.random.next_u64() % limit
    }

    /// The environment of a new process on a disk.
    fn born(&self, disk: &MemoryFiles) -> (Environment, CancellationToken) {
        let life = CancellationToken::new();
        let mut environment = self.environment.clone().with_files(Arc::new(disk.clone()));
        environment.tasks = Arc::new(Life(life.clone()));
        (environment, life)
    }

    /// Starts an ingester on the world's disk.
    pub(super) async fn start(&self) -> Node {
        self.start_on(&self.disk).await
    }

    /// Starts an ingester on another disk.
    pub(super) async fn start_on(&self, disk: &MemoryFiles) -> Node {
        let (environment, life) = self.born(disk);
        let ingester = self.ingester(environment).await;
        Node {
            ingester,
            life,
            disk: disk.clone(),
        }
    }

    /// Starts an ingester and kills it when a request hangs.
    pub(super) async fn start_and_kill(&self) {
        let (environment, life) = self.born(&self.disk);
        tokio::select! {
            biased;
            () = self.script.hung() => {}
            _ = self.ingester(environment) => panic!("it started"),
        }
        life.cancel();
        self.pass(Duration::from_millis(1)).await;
        self.disk.crash();
    }

    async fn ingester(&self, environment: Environment) -> Ingester {
        let (store, settings) = (Arc::clone(&self.store), self.settings.clone());
        let registry = MetricsRegistry::default();
        Ingester::start(environment, store, self.limits.clone(), settings, &registry)
            .await
            .unwrap()
    }

    /// A compactor among others.
    pub(super) fn compactor(&self, id: &str, all: &[&str], settings: compactor::Settings) -> Compactor {
        self.measured_compactor(id, all, settings, Limits::default(), &MetricsRegistry::default())
    }

    /// A compactor whose tenants have these limits, and whose metrics can be read.
    pub(super) fn measured_compactor(
        &self,
        id: &str,
        all: &[&str],
        settings: compactor::Settings,
        limits: Limits,
        registry: &MetricsRegistry,
    ) -> Compactor {
        let member = |id: &&str| Member {
            id: (*id).to_owned(),
            role: "compactor".to_owned(),
            grpc_address: String::new(),
        };
        let (environment, _) = self.born(&self.disk);
        Compactor::new(
            Reader::new(environment, Arc::clone(&self.store)),
            TenantLimits::new(limits),
            Members::fixed(all.iter().map(member).collect()),
            id.to_owned(),
            settings,
            registry,
        )
    }

    /// New spans, each of a trace of its own unless `per_trace` says otherwise.
    pub(super) fn payload(&self, tenant: &TenantId, spans: u64, per_trace: u64) -> Vec<u8> {
        let mut sent = self.sent.lock();
        let now = self.environment.clock.unix_nanos();
        let mut made = Vec::new();
        for _ in 0..spans {
            let number = sent.spans;
            sent.spans += 1;
            let span = span(number, number / per_trace.max(1), now);
            let name = (hex::encode(&span.trace_id), hex::encode(&span.span_id));
            let of_tenant = sent.by_tenant.entry(tenant.clone()).or_default();
            of_tenant.insert(name, false);
            made.push(span);
        }
        request(made).encode_to_vec()
    }

    /// Pushes a payload; what is acknowledged must be found from here on.
    pub(super) async fn push_payload(
        &self,
        ingester: &Ingester,
        tenant: &TenantId,
        payload: Vec<u8>,
    ) -> Result<(), CallError> {
        let spans = names_in(&payload);
        let request = PushRequest {
            tenant: tenant.to_string(),
            payload: payload.into(),
            spans: spans.len() as u32,
            maybe_duplicate: false,
        };
        ingester.push(request).await?;
        self.was_acknowledged(tenant, spans);
        Ok(())
    }

    /// Says that spans must be found from here on.
    pub(super) fn was_acknowledged(&self, tenant: &TenantId, spans: Vec<SpanName>) {
        let mut sent = self.sent.lock();
        let of_tenant = sent.by_tenant.entry(tenant.clone()).or_default();
        of_tenant.extend(spans.into_iter().map(|name| (name, true)));
    }

    /// Pushes new spans.
    pub(super) async fn push(&self, node: &Node, tenant: &TenantId, spans: u64) -> Result<(), CallError> {
        let payload = self.payload(tenant, spans, 3);
        self.push_payload(&node.ingester, tenant, payload).await
    }

    /// The spans of a tenant that were acknowledged so far.
    pub(super) fn acknowledged(&self, tenant: &TenantId) -> BTreeSet<SpanName> {
        let sent = self.sent.lock();
        let all = sent.by_tenant.get(tenant).into_iter().flatten();
        all.filter(|(_, acknowledged)| **acknowledged)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Asserts that everything acknowledged is found, each span once, and nothing that was never sent.
    pub(super) async fn check(&self, node: &Node, tenant: &TenantId) {
        let must = self.acknowledged(tenant);
        let found = self.find(&node.ingester, tenant).await;
        self.compare(tenant, &must, &found);
    }

    /// Asserts that `found` has all of `must`, each span once, and nothing that was never sent.
    pub(super) fn compare(&self, tenant: &TenantId, must: &BTreeSet<SpanName>, found: &[SpanName]) {
        let distinct: BTreeSet<SpanName> = found.iter().cloned().collect();
        let missed: Vec<_> = must.difference(&distinct).collect();
        assert!(
            missed.is_empty(),
            "{} of {} acknowledged spans of {tenant} were not found",
            missed.len(),
            must.len()
        );
        assert_eq!(
            found.len(),
            distinct.len(),
            "spans of {tenant} were found more than once"
        );
        let sent = self.sent.lock();
        let of_tenant = sent.by_tenant.get(tenant);
        for name in &distinct {
            assert!(
                of_tenant.is_some_and(|sent| sent.contains_key(name)),
                "{name:?} is not {tenant}'s"
            );
        }
    }

    /// Every span that a query finds, as often as it is found: the blocks at a log position, and what the ingester has
    /// beside them.
    pub(super) async fn find(&self, ingester: &Ingester, tenant: &TenantId) -> Vec<SpanName> {
        let log = CommitLog::open(&self.environment, &self.store, tenant)
            .await
            .unwrap();
        let mut position = log.position();
        loop {
            let snapshot = log.at_least(position).await.unwrap();
            let asked = snapshot.position;
            let request = RecentRequest {
                tenant: tenant.to_string(),
                position: asked,
                query: Some(everything()),
            };
            let answer = ingester.recent(request).await.unwrap();
            let Some(partial) = answer.partial else {
                assert!(answer.moved_to > asked, "moved back");
                position = answer.moved_to;
                continue;
            };
            let mut found = names_of(&partial);
            for meta in snapshot.state.live() {
                let block = self
                    .reader
                    .block(tenant, Arc::clone(meta), Arc::new(ReadStatistics::default()));
                let source = Source::Block(block.unwrap());
                match answer::answer(&self.environment, &source, &everything()).await {
                    Ok(partial) => found.extend(names_of(&partial)),
                    Err(error) if error.is_gone() => {
                        position = log.follow().await.unwrap();
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            if position <= asked {
                return found;
            }
        }
    }

    /// The log of a tenant, read to its end.
    pub(super) async fn log(&self, tenant: &TenantId) -> CommitLog {
        CommitLog::open(&self.environment, &self.store, tenant)
            .await
            .unwrap()
    }

    /// How many streams the log of streams knows.
    pub(super) async fn streams(&self) -> usize {
        let streams = StreamLog::open(&self.environment, &self.store).await.unwrap();
        streams.snapshot().state.iter().count()
    }

    /// The files of the WAL but for the name of the disk.
    pub(super) fn wal_files(&self) -> Vec<String> {
        let listed = self.disk.list(&self.settings.wal_folder).unwrap();
        let names = listed
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        names.filter(|name| name != "replica").collect()
    }
}

/// A tenant by its name.
pub(super) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// How many lives are lived: `TEMPO_ENGINE_SEEDS` for a long run.
pub(super) fn seeds() -> u64 {
    std::env::var("TEMPO_ENGINE_SEEDS").map_or(3, |text| text.parse().unwrap())
}

/// Asserts that two journals are the same, and says where they part.
pub(super) fn assert_same(one: &[String], other: &[String]) {
    for (place, (one, other)) in one.iter().zip(other).enumerate() {
        assert_eq!(one, other, "event {place}");
    }
    assert_eq!(one.len(), other.len());
    assert!(one.len() > 500, "only {} events", one.len());
}

/// A search for every span.
pub(super) fn everything() -> Query {
    Query {
        question: Some(Question::Search(SearchQuestion {
            query: "{}".to_owned(),
            limit: 0,
            spans_per_span_set: 0,
            floor_unix_nanos: 0,
        })),
        range: None,
    }
}

fn names_of(partial: &Partial) -> Vec<SpanName> {
    let mut names = Vec::new();
    for trace in &partial.found {
        let spans = trace.span_sets.iter().flat_map(|set| &set.spans);
        names.extend(spans.map(|span| (hex::encode(&trace.trace_id), span.span_id.clone())));
        let matched: u32 = trace.span_sets.iter().map(|set| set.matched).sum();
        let counted: u32 = trace.service_stats.values().map(|stats| stats.span_count).sum();
        assert_eq!(matched, counted, "joined parts hide spans that are there twice");
    }
    names
}

/// The spans in a payload.
pub(super) fn names_in(payload: &[u8]) -> Vec<SpanName> {
    let request = ExportTraceServiceRequest::decode(payload).unwrap();
    let spans = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans);
    spans
        .map(|span| (hex::encode(&span.trace_id), hex::encode(&span.span_id)))
        .collect()
}

fn span(number: u64, trace: u64, now: u64) -> Span {
    let mut trace_id = vec![7; 8];
    trace_id.extend_from_slice(&trace.to_be_bytes());
    Span {
        trace_id,
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("operation-{}", number % 7),
        start_time_unix_nano: now,
        end_time_unix_nano: now + 1_000_000 * (number % 100 + 1),
        attributes: vec![attribute("number", number as i64)],
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let service = KeyValue {
        key: "service.name".to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue("shop".to_owned())),
        }),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![service],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn attribute(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(value)),
        }),
    }
}
