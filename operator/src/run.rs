//! `tempo-operator run`: the operator in a cluster.
//!
//! [`server`] answers at once; then [`definitions`] waits for the custom resource definitions, [`lease`] for
//! our turn, and [`controllers`] reconciles one kind each until the process is told to stop.

pub mod controllers;
pub mod definitions;
pub mod lease;
pub mod requests;
pub mod server;
pub mod states;

use std::{net::SocketAddr, sync::Arc};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource, client::ClientBuilder};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::{
    lease::{LeaderLease, LeaseError},
    requests::CountRequests,
    server::Readiness,
};
use crate::{
    crd::{Collector, TempoMonolithic, TempoStack},
    environment::Environment,
    metrics::Metrics,
    reconcile::Context,
};

/// How the operator runs in a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address of /metrics, /healthz and /readyz.
    #[arg(long, env = "LISTEN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Only namespace whose resources are reconciled; all of them when it is left out.
    #[arg(long, env = "WATCH_NAMESPACE")]
    pub namespace: Option<String>,
    /// Whether to wait for the leader lease; only a single instance may do without.
    #[arg(long, env = "LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_election: bool,
    /// Namespace of the leader lease; that of the operator's pod when it is left out.
    #[arg(long, env = "LEADER_ELECTION_NAMESPACE")]
    pub leader_election_namespace: Option<String>,
    /// Name of the operator's pod, for Events and the leader lease.
    #[arg(long, env = "POD_NAME", default_value = "tempo-operator")]
    pub pod_name: String,
}

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no cluster to be found.
    #[error("cannot find a cluster; set KUBECONFIG, or run inside of one")]
    NoCluster(#[source] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("cannot make a client for the API server")]
    Client(#[source] Box<kube::Error>),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}; choose another one with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
    /// Another instance may reconcile from now on.
    #[error("not the leader any longer")]
    Lease(#[from] LeaseError),
    /// The server of metrics and health ended.
    #[error("the server of metrics and health ended")]
    Server(#[source] std::io::Error),
    /// A controller ended without being told to.
    #[error("a controller ended unexpectedly")]
    ControllerEnded,
}

/// Runs the operator in the cluster that the environment tells of, until SIGTERM or Ctrl-C.
pub async fn run(options: Options, environment: Environment) -> Result<(), RunError> {
    let config = kube::Config::infer().await.map_err(RunError::NoCluster)?;
    let operator = Operator::bind(config, options, environment).await?;
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let signalled = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = operator.run(stop.clone()) => result,
        () = signalled => Ok(()),
    }
}

/// An operator that has its address and its client.
pub struct Operator {
    options: Options,
    environment: Environment,
    client: Client,
    listener: TcpListener,
    address: SocketAddr,
    metrics: Metrics,
    readiness: Readiness,
}

impl Operator {
    /// Prepares an operator for a cluster.
    pub async fn bind(
        config: kube::Config,
        options: Options,
        environment: Environment,
    ) -> Result<Self, RunError> {
        let metrics = Metrics::new();
        let client = ClientBuilder::try_from(config)
            .map_err(|error| RunError::Client(Box::new(error)))?
            .with_layer(&CountRequests::new(metrics.clone()))
            .build();
        let listen_error = |source| RunError::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        Ok(Self {
            options,
            environment,
            client,
            listener,
            address,
            metrics,
            readiness: Readiness::starting(),
        })
    }

    /// Where metrics and health are.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until it is told to stop, or cannot go on.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let Self {
            options,
            environment,
            client,
            listener,
            address,
            metrics,
            readiness,
        } = self;
        info!(%address, version = environment.version, "serving metrics and health");
        let serving = CancellationToken::new();
        let server = server::serve(listener, metrics.clone(), readiness.clone(), serving.clone());
        let server = async { server.await.map_err(RunError::Server) };
        let work = async {
            let result = stop
                .run_until_cancelled(await_definitions(&client, &options, &readiness))
                .await;
            let result = match result {
                Some(()) => Box::pin(lead(client, options, environment, metrics, &stop)).await,
                None => Ok(()),
            };
            serving.cancel();
            result
        };
        tokio::try_join!(server, work)?;
        Ok(())
    }
}

async fn await_definitions(client: &Client, options: &Options, readiness: &Readiness) {
    definitions::wait(client, options.namespace.as_deref(), |obstacle| {
        readiness.hinder(obstacle);
    })
    .await;
    readiness.set_ready();
}

/// Reconciles while the lease is ours.
async fn lead(
    client: Client,
    options: Options,
    environment: Environment,
    metrics: Metrics,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let Options {
        listen: _,
        namespace,
        leader_election,
        leader_election_namespace,
        pod_name,
    } = options;
    let context = Arc::new(Context::new(
        client.clone(),
        environment,
        metrics.clone(),
        pod_name.clone(),
    ));
    let controllers = reconcile_all(client.clone(), namespace, context, stop);
    if !leader_election {
        metrics.leads(true);
        return controllers.await;
    }
    let lease_namespace = leader_election_namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let identity = format!("{pod_name}_{:016x}", rand::random::<u64>());
    let mut lease = LeaderLease::new(client, &lease_namespace, identity);
    if stop.run_until_cancelled(lease.acquire()).await.is_none() {
        return Ok(());
    }
    metrics.leads(true);
    let result = tokio::select! {
        result = controllers => result,
        error = lease.keep() => Err(error.into()),
    };
    metrics.leads(false);
    if result.is_ok() {
        lease.release().await;
    }
    result
}

/// Runs the controllers of all kinds.
async fn reconcile_all(
    client: Client,
    namespace: Option<String>,
    context: Arc<Context>,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let (client, namespace) = (&client, namespace.as_deref());
    tokio::try_join!(
        until_told(
            controllers::run::<TempoStack>(client, namespace, context.clone(), stop),
            stop
        ),
        until_told(
            controllers::run::<TempoMonolithic>(client, namespace, context.clone(), stop),
            stop
        ),
        until_told(
            controllers::run::<Collector>(client, namespace, context, stop),
            stop
        ),
    )?;
    Ok(())
}

/// A controller that ends without being told to is a defect, which must not go unnoticed.
async fn until_told(controller: impl Future<Output = ()>, stop: &CancellationToken) -> Result<(), RunError> {
    controller.await;
    if stop.is_cancelled() {
        Ok(())
    } else {
        Err(RunError::ControllerEnded)
    }
}

/// The objects of a kind in one namespace or in all.
fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
