//! The roles of one process without sockets, and spans to send to them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use serde_json::Value;
use tempo_block::compact::{self, Job, Method, Options};
use tempo_block::log::{CommitLog, Transaction};
use tempo_block::read::Reader;
use tempo_block::store::metered::{Metered, StoreMetrics};
use tempo_block::store::{self, Store};
use tempo_config::Config;
use tempo_core::commit_logs::CommitLogs;
use tempo_core::distributor::{self, Distributor};
use tempo_core::frontend::{self, Frontend};
use tempo_core::ingester::{self, Ingester};
use tempo_core::limits::TenantLimits;
use tempo_core::querier::{self, Querier};
use tempo_core::rpc::peers::{Peer, Peers};
use tempo_core::rpc::{IngesterApi, QuerierApi};
use tempo_core::tenancy::{TENANT_HEADER, Tenancy};
use tempo_core::{api, app};
use tempo_model::TenantId;
use tempo_model::json::otlp;
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_receiver::{ConsumeError, TraceBatch, TraceConsumer};
use tempo_runtime::membership::Members;
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::{Environment, MemoryFiles};
use tower::ServiceExt;

/// All roles.
pub(crate) struct Stack {
    pub(crate) environment: Environment,
    pub(crate) store: Store,
    /// What is asked of the store.
    pub(crate) requests: Arc<StoreMetrics>,
    pub(crate) ingester: Ingester,
    distributor: Distributor,
    router: Router,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Stack {
    pub(crate) async fn start(config: &Config) -> Self {
        Self::with_ingesters(config, Vec::new()).await
    }

    /// All roles, and other ingesters beside the real one.
    pub(crate) async fn with_ingesters(config: &Config, others: Vec<Peer<dyn IngesterApi>>) -> Self {
        let environment = Environment::system().with_files(Arc::new(MemoryFiles::default()));
        let requests = Arc::new(StoreMetrics::default());
        let memory = store::open(&store::Settings::Memory).unwrap();
        let store: Store = Arc::new(Metered::new(memory, Arc::clone(&requests)));
        let registry = MetricsRegistry::default();
        let limits = TenantLimits::new(config.overrides.defaults.clone());
        let tenancy = Tenancy {
            enabled: config.multitenancy_enabled,
        };
        let ingester = Ingester::start(
            environment.clone(),
            Arc::clone(&store),
            limits.clone(),
            ingester::Settings::from(config),
            &registry,
        );
        let ingester = ingester.await.unwrap();
        let real = Peer {
            id: "ingester-0".to_owned(),
            api: Arc::new(ingester.clone()) as Arc<dyn IngesterApi>,
        };
        let reader = Reader {
            cache: app::store::block_cache(&environment, &config.storage.trace.block_cache).await,
            ..Reader::new(environment.clone(), Arc::clone(&store))
        };
        let querier = Querier::new(
            reader,
            Peers::fixed([vec![real.clone()], others].concat()),
            querier::Settings::from(config),
        );
        let querier = Peer {
            id: "querier-0".to_owned(),
            api: Arc::new(querier) as Arc<dyn QuerierApi>,
        };
        let frontend = Frontend::new(
            environment.clone(),
            CommitLogs::new(environment.clone(), Arc::clone(&store)),
            Peers::fixed(vec![querier]),
            limits.clone(),
            frontend::Settings::from(config),
            &registry,
        );
        let distributor = Distributor::new(
            environment.clone(),
            tenancy,
            limits,
            Peers::fixed(vec![real]),
            Members::fixed(Vec::new()),
            distributor::Settings::from(config),
            &registry,
        );
        Self {
            environment,
            store,
            requests,
            ingester,
            distributor,
            router: api::router(Arc::new(frontend), tenancy, &api::Settings::from(config)),
        }
    }

    /// Sends spans, written as OTLP/JSON.
    pub(crate) async fn push(&self, tenant: Option<&str>, spans: &Value) -> Result<(), ConsumeError> {
        let request: ExportTraceServiceRequest = otlp::request(spans.to_string().as_bytes()).unwrap();
        self.push_request(tenant, &request).await
    }

    /// Sends spans.
    pub(crate) async fn push_request(
        &self,
        tenant: Option<&str>,
        request: &ExportTraceServiceRequest,
    ) -> Result<(), ConsumeError> {
        let payload = Bytes::from(request.encode_to_vec());
        let batch = TraceBatch {
            contents: tempo_model::validate::contents(&payload).unwrap(),
            payload,
            headers: headers(tenant),
            transport: "http",
        };
        self.distributor.consume(batch).await.map(drop)
    }

    /// Puts the row groups of all blocks into one block.
    pub(crate) async fn put_together(&self) {
        let tenant = TenantId::single();
        let log = CommitLog::open(&self.environment, &self.store, &tenant)
            .await
            .unwrap();
        let inputs: Vec<_> = log.snapshot().state.live().cloned().collect();
        let job = Job {
            method: Method::Copy,
            inputs: inputs.clone(),
        };
        let reader = Reader::new(self.environment.clone(), Arc::clone(&self.store));
        let id = self.environment.new_ulid();
        let made = compact::run(&reader, &tenant, &job, id, &Options::default())
            .await
            .unwrap();
        let transaction = Transaction {
            add: made.into_iter().collect(),
            remove: inputs.iter().map(|block| block.id).collect(),
            ..Transaction::default()
        };
        log.commit(transaction).await.unwrap();
    }

    /// Asks as a client without tenants.
    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.ask(uri, HeaderMap::new()).await
    }

    /// Asks for a tenant.
    pub(crate) async fn get_as(&self, tenant: &str, uri: &str) -> Answer {
        self.ask(uri, headers(Some(tenant))).await
    }

    pub(crate) async fn ask(&self, uri: &str, headers: HeaderMap) -> Answer {
        let mut request = Request::builder().uri(encoded(uri)).body(Body::empty()).unwrap();
        *request.headers_mut() = headers;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

/// A URI as a client would send it: what is not allowed in it is escaped, but for what it is made of.
fn encoded(uri: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/?&=._-:%".contains(&byte);
    let escape = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    // Within a parameter of TraceQL, '=' and '&' are not separators.
    match uri.split_once("q={") {
        None => uri.bytes().map(escape).collect(),
        Some((before, query)) => {
            let (query, after) = query.rsplit_once('}').unwrap_or((query, ""));
            let query = query
                .bytes()
                .map(|byte| format!("%{byte:02X}"))
                .collect::<Vec<_>>()
                .concat();
            format!(
                "{}q=%7B{query}%7D{}",
                before,
                after.bytes().map(escape).collect::<String>()
            )
        }
    }
}

fn headers(tenant: Option<&str>) -> HeaderMap {
    let header = |tenant: &str| {
        let name = TENANT_HEADER.parse::<http::HeaderName>().unwrap();
        (name, HeaderValue::from_str(tenant).unwrap())
    };
    tenant.map(header).into_iter().collect()
}
