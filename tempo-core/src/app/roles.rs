//! Which roles a target plays, and who calls whom: plain calls within one process, gRPC between processes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tempo_block::read::Reader;
use tempo_config::Config;
use tempo_receiver::TraceConsumer;
use tempo_runtime::membership::{Member, Members};
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::{Environment, Shutdown};

use super::gossip::{Gossip, GrpcSocket, Joined};
use super::{Readiness, StartError, control, members};
use crate::api;
use crate::commit_logs::CommitLogs;
use crate::compactor::{self, Compactor};
use crate::distributor::{self, Distributor};
use crate::frontend::{self, Frontend};
use crate::ingester::{self, Ingester};
use crate::limits::TenantLimits;
use crate::querier::{self, Querier};
use crate::rpc::peers::{self, Peer, Peers};
use crate::rpc::{IngesterApi, QuerierApi};
use crate::target::Target;
use crate::tenancy::Tenancy;

/// How long a push to an ingester may take.
const PUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// The name of a role that is called within its own process.
const OWN: &str = "own";

/// The roles of this process that run by themselves.
#[derive(Debug)]
pub(super) struct Roles {
    ingester: Option<Ingester>,
    /// Ends the compactor's task.
    compacting: Shutdown,
}

/// Roles that have started, and what leads to them.
pub(super) struct Started {
    pub(super) roles: Roles,
    /// Where spans go in, in a distributor.
    pub(super) consumer: Option<Arc<dyn TraceConsumer>>,
    /// What is answered over HTTP.
    pub(super) routes: Router,
    /// The other processes, when there are some.
    pub(super) joined: Option<Joined>,
}

/// What roles are made from.
pub(super) struct Parts<'a> {
    pub(super) environment: &'a Environment,
    pub(super) config: &'a Config,
    pub(super) target: Target,
    /// How blocks are read: one cache and one memory budget for all roles.
    pub(super) reader: Reader,
    pub(super) limits: &'a TenantLimits,
    pub(super) metrics: &'a MetricsRegistry,
    pub(super) readiness: &'a Readiness,
}

impl Roles {
    /// Starts the roles that the target plays, those that are called before those that call.
    pub(super) async fn start(parts: Parts<'_>, end: Shutdown) -> Result<Started, StartError> {
        let socket = match parts.target {
            Target::All => None,
            _ => Some(GrpcSocket::bind(parts.config).await?),
        };
        let ingester = parts.ingester(socket.as_ref()).await?;
        let gossip = match socket {
            None => None,
            Some(socket) => Some(Gossip::join(parts.environment, parts.config, parts.target, socket).await?),
        };
        let surroundings = match &gossip {
            None => Surroundings::Alone,
            Some(gossip) => Surroundings::Stack(gossip),
        };
        let ingester_api = ingester
            .clone()
            .map(|ingester| Arc::new(ingester) as Arc<dyn IngesterApi>);
        let querier = parts.querier(&surroundings, ingester_api.as_ref());
        let querier = querier.map(|querier| querier as Arc<dyn QuerierApi>);
        let consumer = parts.distributor(&surroundings, ingester_api.as_ref());
        let query_api = parts.query_api(&surroundings, querier.as_ref(), ingester.as_ref());
        let control = ingester.clone().map(|ingester| control::routes(ingester, end));
        let members = surroundings.members(parts.target);
        members::count(parts.environment, members.clone(), parts.metrics);
        let compacting = Shutdown::new();
        if let Some(compactor) = parts.compactor(&surroundings) {
            let shutdown = compacting.clone();
            parts
                .environment
                .spawn("compactor", async move { compactor.run(shutdown).await });
        }
        Ok(Started {
            roles: Self { ingester, compacting },
            consumer: consumer.map(|distributor| distributor as Arc<dyn TraceConsumer>),
            routes: query_api
                .unwrap_or_default()
                .merge(control.unwrap_or_default())
                .merge(members::routes(members)),
            joined: gossip.map(|gossip| gossip.serve(parts.config, ingester_api, querier)),
        })
    }

    /// Stops them; the ingester makes blocks of what it has.
    pub(super) async fn stop(&self) {
        self.compacting.trigger();
        self.compacting.finished().await;
        if let Some(ingester) = &self.ingester
            && let Err(error) = ingester.shutdown().await
        {
            tracing::error!(%error, "the ingester could not close its stream; the next start does");
        }
    }
}

/// The other processes, or that there are none.
enum Surroundings<'a> {
    /// Everything is in this process.
    Alone,
    /// The processes that gossip knows.
    Stack(&'a Gossip),
}

impl Surroundings<'_> {
    /// The name of this process among them.
    fn id(&self) -> String {
        match self {
            Self::Stack(gossip) => gossip.id.clone(),
            Self::Alone => OWN.to_owned(),
        }
    }

    /// The live processes.
    fn members(&self, target: Target) -> Members {
        match self {
            Self::Stack(gossip) => gossip.members.clone(),
            Self::Alone => Members::fixed(vec![Member {
                id: OWN.to_owned(),
                role: target.name().to_owned(),
                grpc_address: String::new(),
            }]),
        }
    }
}

fn own<A: ?Sized + Send + Sync + 'static>(api: Option<&Arc<A>>) -> Peers<A> {
    let peer = api.map(|api| Peer {
        id: OWN.to_owned(),
        api: Arc::clone(api),
    });
    Peers::fixed(peer.into_iter().collect())
}

impl Parts<'_> {
    fn tenancy(&self) -> Tenancy {
        Tenancy {
            enabled: self.config.multitenancy_enabled,
        }
    }

    /// An ingester that has taken up what earlier processes left, when this process plays one.
    async fn ingester(&self, socket: Option<&GrpcSocket>) -> Result<Option<Ingester>, StartError> {
        if !self.target.plays(Target::Ingester) {
            return Ok(None);
        }
        self.readiness
            .blocked("ingester", "the write-ahead log is being replayed");
        let settings = ingester::Settings {
            address: socket.map(GrpcSocket::address).unwrap_or_default(),
            ..ingester::Settings::from(self.config)
        };
        let started = Ingester::start(
            self.environment.clone(),
            Arc::clone(&self.reader.store),
            self.limits.clone(),
            settings,
            self.metrics,
        );
        let ingester = started.await.map_err(Box::new)?;
        let checked = ingester.clone();
        self.readiness.check("ingester", move || checked.health());
        Ok(Some(ingester))
    }

    /// A distributor, when this process plays one.
    fn distributor(
        &self,
        surroundings: &Surroundings<'_>,
        ingester: Option<&Arc<dyn IngesterApi>>,
    ) -> Option<Arc<Distributor>> {
        self.target.plays(Target::Distributor).then(|| {
            Arc::new(Distributor::new(
                self.environment.clone(),
                self.tenancy(),
                self.limits.clone(),
                self.ingesters(surroundings, ingester, PUSH_TIMEOUT),
                surroundings.members(self.target),
                distributor::Settings::from(self.config),
                self.metrics,
            ))
        })
    }

    /// A querier, when this process plays one.
    fn querier(
        &self,
        surroundings: &Surroundings<'_>,
        ingester: Option<&Arc<dyn IngesterApi>>,
    ) -> Option<Arc<Querier>> {
        self.target.plays(Target::Querier).then(|| {
            let ingesters = self.ingesters(surroundings, ingester, self.query_timeout());
            Arc::new(Querier::new(
                self.reader.clone(),
                ingesters,
                querier::Settings::from(self.config),
            ))
        })
    }

    /// The routes of a query-frontend, when this process plays one.
    fn query_api(
        &self,
        surroundings: &Surroundings<'_>,
        querier: Option<&Arc<dyn QuerierApi>>,
        ingester: Option<&Ingester>,
    ) -> Option<Router> {
        self.target.plays(Target::QueryFrontend).then(|| {
            let own_logs = || CommitLogs::new(self.environment.clone(), Arc::clone(&self.reader.store));
            let frontend = Arc::new(Frontend::new(
                self.environment.clone(),
                ingester.map_or_else(own_logs, Ingester::logs),
                self.queriers(surroundings, querier),
                self.limits.clone(),
                frontend::Settings::from(self.config),
                self.metrics,
            ));
            api::router(frontend, self.tenancy(), &api::Settings::from(self.config))
        })
    }

    /// A compactor, when this process plays one.
    fn compactor(&self, surroundings: &Surroundings<'_>) -> Option<Compactor> {
        self.target.plays(Target::Compactor).then(|| {
            Compactor::new(
                self.reader.clone(),
                self.limits.clone(),
                surroundings.members(self.target),
                surroundings.id(),
                compactor::Settings::from(self.config),
                self.metrics,
            )
        })
    }

    fn query_timeout(&self) -> Duration {
        self.config.server.http_server_write_timeout.0
    }

    fn ingesters(
        &self,
        surroundings: &Surroundings<'_>,
        api: Option<&Arc<dyn IngesterApi>>,
        timeout: Duration,
    ) -> Peers<dyn IngesterApi> {
        let ingesters = match (surroundings, api) {
            (Surroundings::Stack(gossip), _) => peers::ingesters(gossip.members.clone(), timeout),
            (Surroundings::Alone, api) => own(api),
        };
        self.need(
            &ingesters,
            "ingesters",
            "no ingester is known yet; is one running with the same memberlist?",
        );
        ingesters
    }

    fn queriers(
        &self,
        surroundings: &Surroundings<'_>,
        api: Option<&Arc<dyn QuerierApi>>,
    ) -> Peers<dyn QuerierApi> {
        let queriers = match (surroundings, api) {
            (Surroundings::Stack(gossip), _) => peers::queriers(gossip.members.clone(), self.query_timeout()),
            (Surroundings::Alone, api) => own(api),
        };
        self.need(
            &queriers,
            "queriers",
            "no querier is known yet; is one running with the same memberlist?",
        );
        queriers
    }

    /// The process is not ready while there is nobody to be called.
    fn need<A: ?Sized + Send + Sync + 'static>(
        &self,
        peers: &Peers<A>,
        part: &'static str,
        nobody: &'static str,
    ) {
        let peers = peers.clone();
        self.readiness.check(part, move || {
            if peers.live().is_empty() {
                Err(nobody.to_owned())
            } else {
                Ok(())
            }
        });
    }
}
