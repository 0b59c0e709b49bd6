//! Builds the running whole from a configuration, and stops it in the order in which nothing is lost.
//!
//! ```text
//! start: exporters → processors → receivers → ready        stop: not ready → receivers → processors → exporters
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tempo_receiver::TraceConsumer;
use tempo_runtime::Shutdown;
use tempo_runtime::server;
use tempo_runtime::tls::ServerTls;
use tokio::net::TcpListener;

use crate::config::{ComponentId, Config, Kind, Pipeline};
use crate::exporter::debug::Debug;
use crate::exporter::{self, ExporterError, ExporterSettings, Queue};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::pipeline::FanOut;
use crate::processor::ProcessorSettings;
use crate::processor::batch::Batch;
use crate::processor::memory::Memory;
use crate::receiver::{self, Counted, ReceiverError};

/// Clients get a third of the time that stopping may take.
const CLIENTS_PART_OF_DEADLINE: u32 = 3;

/// How long what was started may take to stop when the rest cannot start.
const UNDOING: Duration = Duration::from_secs(3);

/// A service that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A receiver, an extension or the metrics' server.
    #[error("start {component}: {source}")]
    Receiver {
        /// Its id.
        component: String,
        /// Why.
        source: ReceiverError,
    },
    /// An exporter.
    #[error("start {component}: {source}")]
    Exporter {
        /// Its id.
        component: String,
        /// Why.
        source: ExporterError,
    },
}

/// Pipelines that run.
#[derive(Debug)]
pub struct Service {
    health: Health,
    metrics: Metrics,
    receivers: Shutdown,
    /// Processors of every pipeline from the first to the last, then exporters: the order of stopping.
    stages: Vec<Shutdown>,
    extensions: Shutdown,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Service {
    /// Starts everything that the configuration names. Must be called within a Tokio runtime.
    pub async fn start(config: &Config) -> Result<Self, ServiceError> {
        let mut builder = Builder::new(config);
        let built = builder.build().await;
        let service = builder.finish();
        match built {
            Ok(()) => {
                service.health.set(true);
                Ok(service)
            }
            Err(error) => {
                service.release(UNDOING).await;
                service.drain(UNDOING).await;
                Err(error)
            }
        }
    }

    /// Where things listen, by name: `receivers::otlp::OTLP/gRPC`, `extensions::health_check`, `metrics`.
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes no more spans in and sends on what is there. After `deadline` what is still there is lost: `false`.
    ///
    /// Clients that do not let go are cut off after a part of the deadline, so that queues have the rest of it.
    pub async fn stop(self, deadline: Duration) -> bool {
        self.close(deadline).await;
        self.drain(deadline).await
    }

    /// Closes every door for another service that is to listen there; [`Service::drain`] sends on what is there.
    pub async fn release(&self, deadline: Duration) {
        self.extensions.trigger();
        self.close(deadline).await;
        let patience = deadline / CLIENTS_PART_OF_DEADLINE;
        // Who reads an answer for longer is not waited for: the socket is free anyway.
        let _ = tokio::time::timeout(patience, self.extensions.finished()).await;
    }

    async fn close(&self, deadline: Duration) {
        self.health.set(false);
        self.receivers.trigger();
        let patience = deadline / CLIENTS_PART_OF_DEADLINE;
        if tokio::time::timeout(patience, self.receivers.finished())
            .await
            .is_err()
        {
            tracing::warn!(
                "clients hold on to their connections; what was taken is sent without waiting for them"
            );
        }
    }

    /// Sends on what is there, in a service whose doors are closed. After most of `deadline` what is still there is
    /// lost: `false`.
    pub async fn drain(self, deadline: Duration) -> bool {
        let patience = deadline / CLIENTS_PART_OF_DEADLINE;
        let drained = tokio::time::timeout(deadline.saturating_sub(patience), async {
            for stage in &self.stages {
                stage.trigger();
                stage.finished().await;
            }
        })
        .await;
        self.extensions.trigger();
        drained.is_ok()
    }
}

struct Builder<'a> {
    config: &'a Config,
    health: Health,
    metrics: Metrics,
    built_exporters: BTreeMap<ComponentId, Arc<dyn TraceConsumer>>,
    receivers: Shutdown,
    processors: Vec<Shutdown>,
    exporters_shutdown: Shutdown,
    extensions_shutdown: Shutdown,
    addresses: BTreeMap<String, SocketAddr>,
}

impl<'a> Builder<'a> {
    fn new(config: &'a Config) -> Self {
        Self {
            config,
            health: Health::default(),
            metrics: Metrics::new(),
            built_exporters: BTreeMap::new(),
            receivers: Shutdown::new(),
            processors: Vec::new(),
            exporters_shutdown: Shutdown::new(),
            extensions_shutdown: Shutdown::new(),
            addresses: BTreeMap::new(),
        }
    }

    async fn build(&mut self) -> Result<(), ServiceError> {
        self.extensions().await?;
        self.exporters()?;
        let entries = self.pipelines();
        self.receivers(entries).await
    }

    /// What was built so far.
    fn finish(self) -> Service {
        // A pipeline was built from its end.
        let mut stages: Vec<_> = self.processors.into_iter().rev().collect();
        stages.push(self.exporters_shutdown);
        Service {
            health: self.health,
            metrics: self.metrics,
            receivers: self.receivers,
            stages,
            extensions: self.extensions_shutdown,
            addresses: self.addresses,
        }
    }

    async fn extensions(&mut self) -> Result<(), ServiceError> {
        for id in &self.config.service.extensions {
            let Some(settings) = self.config.extensions.get(id) else {
                continue;
            };
            let name = format!("{}::{id}", Kind::Extension.section());
            let listener = self.listen(&name, "health check", &settings.endpoint).await?;
            let router = self.health.router(&settings.path);
            serve(
                "health check",
                listener,
                None,
                router,
                &self.extensions_shutdown,
                &name,
            )?;
        }
        self.telemetry().await
    }

    async fn telemetry(&mut self) -> Result<(), ServiceError> {
        let telemetry = &self.config.service.telemetry;
        let Some(address) = &telemetry.metrics_address else {
            return Ok(());
        };
        match self.listen("metrics", "metrics", address).await {
            Ok(listener) => {
                let router = self.metrics.router();
                serve(
                    "metrics",
                    listener,
                    None,
                    router,
                    &self.extensions_shutdown,
                    "metrics",
                )
            }
            Err(error) if telemetry.metrics_address_is_explicit => Err(error),
            Err(error) => {
                tracing::warn!(%error, "no metrics are served; set service::telemetry::metrics to another address");
                Ok(())
            }
        }
    }

    async fn listen(
        &mut self,
        name: &str,
        purpose: &'static str,
        endpoint: &str,
    ) -> Result<TcpListener, ServiceError> {
        let listener = receiver::listen(purpose, endpoint)
            .await
            .map_err(|source| failed(name, source))?;
        self.note(name, &listener);
        Ok(listener)
    }

    fn note(&mut self, name: &str, listener: &TcpListener) {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(component = name, %address, "listening");
            self.addresses.insert(name.to_owned(), address);
        }
    }

    fn exporters(&mut self) -> Result<(), ServiceError> {
        let pipelines = self.config.service.pipelines.values();
        for id in pipelines.flat_map(|pipeline| &pipeline.exporters) {
            let Some(settings) = self.config.exporters.get(id) else {
                continue;
            };
            if !self.built_exporters.contains_key(id) {
                let exporter = self.exporter(id, settings)?;
                self.built_exporters.insert(id.clone(), exporter);
            }
        }
        Ok(())
    }

    fn exporter(
        &self,
        id: &ComponentId,
        settings: &ExporterSettings,
    ) -> Result<Arc<dyn TraceConsumer>, ServiceError> {
        let (sender, otlp) = match settings {
            ExporterSettings::Grpc(otlp) => (exporter::grpc_sender(otlp), otlp),
            ExporterSettings::Http(otlp) => (exporter::http_sender(otlp), otlp),
            ExporterSettings::Debug(debug) => {
                return Ok(Arc::new(Debug {
                    id: id.to_string(),
                    verbosity: debug.verbosity,
                }));
            }
        };
        let sender = sender.map_err(|source| ServiceError::Exporter {
            component: format!("exporters::{id}"),
            source,
        })?;
        let queue = Arc::new(Queue::new(id.to_string(), sender, otlp, self.metrics.clone()));
        if otlp.sending_queue.enabled {
            let (queue, shutdown) = (Arc::clone(&queue), self.exporters_shutdown.clone());
            tokio::spawn(async move { queue.run(shutdown).await });
        }
        Ok(queue)
    }

    /// The entries of all pipelines, with the receivers that feed them.
    fn pipelines(&mut self) -> Vec<(&'a Pipeline, Arc<dyn TraceConsumer>)> {
        let config = self.config;
        let pipelines = config.service.pipelines.values();
        pipelines
            .map(|pipeline| (pipeline, self.entry(pipeline)))
            .collect()
    }

    fn entry(&mut self, pipeline: &Pipeline) -> Arc<dyn TraceConsumer> {
        let exporters = pipeline.exporters.iter();
        let ends = exporters.filter_map(|id| self.built_exporters.get(id).cloned());
        let mut next = FanOut::of(ends.collect());
        for id in pipeline.processors.iter().rev() {
            if let Some(settings) = self.config.processors.get(id) {
                next = self.processor(id, settings, next);
            }
        }
        next
    }

    fn processor(
        &mut self,
        id: &ComponentId,
        settings: &ProcessorSettings,
        next: Arc<dyn TraceConsumer>,
    ) -> Arc<dyn TraceConsumer> {
        let shutdown = Shutdown::new();
        self.processors.push(shutdown.clone());
        let (name, metrics) = (id.to_string(), self.metrics.clone());
        match settings {
            ProcessorSettings::Batch(batch) => {
                let batch = Arc::new(Batch::new(name, batch.clone(), next, metrics));
                let running = Arc::clone(&batch);
                tokio::spawn(async move { running.run(shutdown).await });
                batch
            }
            ProcessorSettings::Memory(memory) => {
                let memory = Arc::new(Memory::new(name, memory, next, metrics));
                let running = Arc::clone(&memory);
                tokio::spawn(async move { running.run(shutdown).await });
                memory
            }
        }
    }

    /// Opens the doors, each once however many pipelines it feeds.
    async fn receivers(
        &mut self,
        entries: Vec<(&'a Pipeline, Arc<dyn TraceConsumer>)>,
    ) -> Result<(), ServiceError> {
        let mut fed: BTreeMap<&ComponentId, Vec<Arc<dyn TraceConsumer>>> = BTreeMap::new();
        for (pipeline, entry) in entries {
            for id in &pipeline.receivers {
                fed.entry(id).or_default().push(Arc::clone(&entry));
            }
        }
        for (id, consumers) in fed {
            let Some(settings) = self.config.receivers.get(id) else {
                continue;
            };
            let name = format!("{}::{id}", Kind::Receiver.section());
            let consumer: Arc<dyn TraceConsumer> = Arc::new(Counted {
                receiver: id.to_string(),
                next: FanOut::of(consumers),
                metrics: self.metrics.clone(),
            });
            let served = receiver::bind(settings, &consumer)
                .await
                .map_err(|source| failed(&name, source))?;
            for door in served {
                self.note(&format!("{name}::{}", door.purpose), &door.listener);
                serve(
                    door.purpose,
                    door.listener,
                    door.tls,
                    door.router,
                    &self.receivers,
                    &name,
                )?;
            }
        }
        Ok(())
    }
}

fn failed(component: &str, source: ReceiverError) -> ServiceError {
    ServiceError::Receiver {
        component: component.to_owned(),
        source,
    }
}

fn serve(
    purpose: &'static str,
    listener: TcpListener,
    tls: Option<ServerTls>,
    router: Router,
    shutdown: &Shutdown,
    component: &str,
) -> Result<(), ServiceError> {
    let acceptor = tls
        .map(|tls| tls.acceptor())
        .transpose()
        .map_err(|error| failed(component, error.into()))?;
    let (shutdown, guard) = (shutdown.clone(), shutdown.guard());
    tokio::spawn(async move {
        if let Err(error) = server::serve_http(purpose, listener, acceptor, router, shutdown).await {
            tracing::error!(%error, "a server has ended");
        }
        drop(guard);
    });
    Ok(())
}
