//! The engine under measurement: a process of its own on free ports with its data in a folder, and what its store holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempo_block::compact::policy;
use tempo_block::layout;
use tempo_block::log::CommitLog;
use tempo_block::meta::BlockMeta;
use tempo_block::store::{self, Settings, Store};
use tempo_config::Config;
use tempo_model::TenantId;
use tempo_runtime::Environment;

use crate::compactor;
use crate::load::engine::{Engine, Ports};
use crate::load::usage::Usage;

/// Limits that a benchmark must not meet.
const LIMITS: &str = "overrides: {defaults: {ingestion: {rate_limit_bytes: 2000000000, burst_size_bytes: 2000000000, \
                      max_traces_per_user: 0}, global: {max_bytes_per_trace: 0}}}\n";
/// Compaction is looked for at the start and then not any more.
pub(super) const NO_COMPACTION: &str = "compactor: {compaction: {compaction_cycle: 24h}}\n";

/// How long making blocks of everything, and compacting them, may take.
const PATIENCE: Duration = Duration::from_mins(20);
const PAUSE: Duration = Duration::from_millis(500);
/// A process that uses less than this within a pause is at rest.
const REST_CPU_SECONDS: f64 = 0.02;

/// An engine and its folder.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) engine: Engine,
    folder: PathBuf,
    /// From the start of the process until it was ready.
    pub(super) ready_after: Duration,
}

impl Subject {
    /// Starts `binary` in `folder` with `more` configuration, and waits until it is ready.
    pub(super) async fn start(binary: &Path, folder: &Path, more: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let ports = Ports::free()?;
        let configuration = Engine::configuration(folder, ports) + LIMITS + more;
        let mut engine = Engine::spawn(binary, &["-target=all"], folder, &configuration, ports).await?;
        let ready_after = engine.wait_until_ready().await?;
        Ok(Self {
            engine,
            folder: folder.to_owned(),
            ready_after,
        })
    }

    /// Where it takes OTLP/gRPC.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.engine.ports().otlp_grpc)
    }

    /// What it has used so far.
    pub(super) fn usage(&self) -> Result<Usage> {
        self.engine
            .process_id()
            .and_then(Usage::of)
            .with_context(|| format!("the engine has ended:\n{}", self.engine.log()))
    }

    /// Makes blocks of everything.
    pub(super) async fn flush(&self) -> Result<()> {
        let flushing = tokio::time::timeout(PATIENCE, self.engine.get("/flush", &[])).await;
        let (status, text) = flushing.context("flushing took too long")??;
        ensure!(
            status == 204,
            "/flush answered {status}: {text}\n{}",
            self.engine.log()
        );
        Ok(())
    }

    /// Waits until no compaction is due and the process is at rest.
    pub(super) async fn settle(&self) -> Result<()> {
        let settling = async {
            while Stored::in_folder(&self.folder).await?.is_compaction_due {
                tokio::time::sleep(PAUSE).await;
            }
            self.rest().await
        };
        tokio::time::timeout(PATIENCE, settling)
            .await
            .context("compaction took too long")?
    }

    /// Waits until the process is at rest.
    pub(super) async fn rest(&self) -> Result<()> {
        let mut before = self.usage()?.cpu_seconds;
        loop {
            tokio::time::sleep(PAUSE).await;
            let now = self.usage()?.cpu_seconds;
            if now - before <= REST_CPU_SECONDS {
                return Ok(());
            }
            before = now;
        }
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<()> {
        let status = self.engine.stop().await?;
        ensure!(
            status.success(),
            "the engine ended with {status}:\n{}",
            self.engine.log()
        );
        Ok(())
    }
}

/// What the store in an engine's folder holds.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) environment: Environment,
    pub(super) store: Store,
    pub(super) tenant: TenantId,
    /// The live blocks.
    pub(super) blocks: Vec<Arc<BlockMeta>>,
    pub(super) is_compaction_due: bool,
    /// Bytes of all files of live blocks and of the commit log.
    pub(super) bytes: u64,
}

impl Stored {
    /// Looks at the commit log.
    pub(super) async fn in_folder(folder: &Path) -> Result<Self> {
        let folder = folder.join("traces");
        let settings = Settings::Local {
            folder: folder.clone(),
        };
        let (environment, store, tenant) =
            (Environment::system(), store::open(&settings)?, TenantId::single());
        let log = CommitLog::open(&environment, &store, &tenant).await?;
        let blocks: Vec<Arc<BlockMeta>> = log.snapshot().state.live().cloned().collect();
        let policy = compactor::Settings::from(&Config::default()).policy;
        let jobs = policy::plan(&blocks, &policy, environment.clock.unix_nanos());
        let tenant_folder = folder.join(layout::tenant_folder(&tenant).as_ref());
        let of_blocks = blocks
            .iter()
            .map(|meta| bytes_below(&folder.join(layout::block_folder(&tenant, meta.id).as_ref())));
        Ok(Self {
            is_compaction_due: !jobs.is_empty(),
            bytes: of_blocks.sum::<u64>() + bytes_below(&tenant_folder.join("log")),
            environment,
            store,
            tenant,
            blocks,
        })
    }

    pub(super) fn spans(&self) -> u64 {
        self.blocks.iter().map(|meta| meta.spans).sum()
    }
}

/// The bytes of all files in a folder and those below.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
