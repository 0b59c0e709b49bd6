//! The compactor: keeps the number of blocks small, removes what is too old, and cleans up after both.
//!
//! ```text
//! each cycle, tenant by tenant:   log ─► expired blocks ─► commit: remove
//!                                     ─► plan ─► own jobs, one after the other ─► commit: add output, remove inputs
//! each while:                     files of removed blocks, old log entries ─► deleted
//! ```
//! Any number of compactors may run. Who takes which job is decided by a hash over the live ones, which only saves
//! double work: safety comes from the commit log, which refuses a job whose inputs are gone.
//!
//! Not here: which blocks are put together and how (`tempo_block::compact`).

mod metrics;
mod settings;
mod troubled;

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tempo_block::compact::{self, CompactError, Job, Options, Pace, Retention, policy};
use tempo_block::log::{BlocksRefusal, CommitError, CommitLog, LogError, StreamLog, Transaction};
use tempo_block::meta::BlockMeta;
use tempo_block::read::Reader;
use tempo_block::store::{self, StoreError};
use tempo_model::TenantId;
use tempo_runtime::membership::Members;
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::{Environment, Shutdown, ring};

use self::metrics::Metrics;
use self::troubled::Troubled;
use crate::commit_logs::CommitLogs;
use crate::limits::TenantLimits;
use crate::target::Target;

pub use settings::Settings;

/// Work of a compactor that failed. It is tried again in a later cycle.
#[derive(Debug, thiserror::Error)]
pub enum CompactorError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The commit log did not take an entry.
    #[error(transparent)]
    Commit(#[from] CommitError<BlocksRefusal>),
    /// Blocks could not be put together.
    #[error(transparent)]
    Compact(#[from] CompactError),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Jobs that were committed.
    pub jobs: usize,
    /// Blocks that were removed because of their age or of how much there was.
    pub expired: usize,
    /// Tenants whose work failed.
    pub failed: usize,
}

/// The role.
#[derive(Debug)]
pub struct Compactor {
    environment: Environment,
    reader: Reader,
    logs: CommitLogs,
    limits: TenantLimits,
    members: Members,
    id: String,
    settings: Settings,
    metrics: Metrics,
    troubled: Mutex<Troubled>,
}

impl Compactor {
    /// A compactor that reads and writes through `reader`. `id` is its own name among `members`.
    pub fn new(
        reader: Reader,
        limits: TenantLimits,
        members: Members,
        id: String,
        settings: Settings,
        registry: &MetricsRegistry,
    ) -> Self {
        Self {
            environment: reader.environment.clone(),
            logs: CommitLogs::new(reader.environment.clone(), Arc::clone(&reader.store)),
            reader,
            limits,
            members,
            id,
            settings,
            metrics: Metrics::new(registry),
            troubled: Mutex::default(),
        }
    }

    /// Works until shutdown, which may interrupt a job: nothing lives of it then.
    pub async fn run(&self, shutdown: Shutdown) {
        let _guard = shutdown.guard();
        let work = async {
            let mut cleaned_at = None;
            loop {
                self.cycle(Pace::Half).await;
                let now = self.environment.clock.since_boot();
                if cleaned_at.is_none_or(|at| now.saturating_sub(at) >= self.settings.clean_period) {
                    self.clean().await;
                    cleaned_at = Some(now);
                }
                self.environment.clock.sleep(self.settings.cycle).await;
            }
        };
        tokio::select! {
            biased;
            () = shutdown.triggered() => {}
            () = work => {}
        }
    }

    /// Does all that is due now, without rest.
    pub async fn run_once(&self) -> Done {
        self.cycle(Pace::Full).await
    }

    /// Removes expired blocks and executes own jobs until none is due.
    async fn cycle(&self, pace: Pace) -> Done {
        let mut done = Done::default();
        let mut tenants = match store::tenants(&self.reader.store).await {
            Ok(tenants) => tenants,
            Err(error) => {
                self.failed(None, &error.into());
                done.failed += 1;
                return done;
            }
        };
        tenants.sort();
        for tenant in &tenants {
            match self.expire(tenant).await {
                Ok(expired) => done.expired += expired,
                Err(error) => {
                    done.failed += 1;
                    self.failed(Some(tenant), &error);
                }
            }
        }
        // One job of each tenant in turn: no tenant waits for all of another's.
        while !tenants.is_empty() {
            let mut busy = Vec::new();
            for tenant in tenants {
                match self.next_job(&tenant, pace).await {
                    Ok(false) => {}
                    Ok(true) => {
                        done.jobs += 1;
                        busy.push(tenant);
                    }
                    Err(error) => {
                        done.failed += 1;
                        self.failed(Some(&tenant), &error);
                    }
                }
            }
            tenants = busy;
        }
        done
    }

    /// Removes what a tenant keeps no longer; returns how many blocks.
    async fn expire(&self, tenant: &TenantId) -> Result<usize, CompactorError> {
        let log = self.logs.get(tenant).await?;
        log.follow().await?;
        let snapshot = log.snapshot();
        self.metrics.blocks(tenant, snapshot.state.live().len());
        if !self.owns(&[tenant.as_str().as_bytes()]) {
            return Ok(0);
        }
        let retention = self.retention(tenant);
        let remove = retention.expired(snapshot.state.live(), self.environment.clock.unix_nanos());
        let count = remove.len();
        if count > 0 {
            let transaction = Transaction {
                remove,
                ..Transaction::default()
            };
            commit(&log, transaction).await?;
            self.metrics.expired(count);
        }
        Ok(count)
    }

    /// What a tenant keeps: its own limits, or else the compactor's.
    fn retention(&self, tenant: &TenantId) -> Retention {
        let own = self.limits.of(tenant).compaction.clone();
        let age = [own.block_retention.0, self.settings.retention];
        let bytes = [own.block_retention_bytes, self.settings.retention_bytes];
        Retention {
            age: age.into_iter().find(|age| !age.is_zero()),
            bytes: bytes.into_iter().find(|bytes| *bytes > 0),
        }
    }

    /// Executes the next job of a tenant that is this compactor's; `false` when there is none.
    async fn next_job(&self, tenant: &TenantId, pace: Pace) -> Result<bool, CompactorError> {
        let log = self.logs.get(tenant).await?;
        log.follow().await?;
        let snapshot = log.snapshot();
        let due = self.own_jobs(tenant, snapshot.state.live());
        self.metrics.outstanding(tenant, policy::outstanding_blocks(&due));
        let jobs = self.own_jobs(
            tenant,
            snapshot.state.live().filter(|meta| !self.is_troubled(meta)),
        );
        let Some(job) = jobs.first() else {
            return Ok(false);
        };
        match self.execute(tenant, &log, job, pace).await {
            Ok(()) => Ok(true),
            Err(error) => {
                let now = self.environment.clock.since_boot();
                self.troubled.lock().add(job, now);
                Err(error)
            }
        }
    }

    /// Whether a job with the block failed a little while ago.
    fn is_troubled(&self, meta: &BlockMeta) -> bool {
        let now = self.environment.clock.since_boot();
        let mut troubled = self.troubled.lock();
        troubled.forget_old(now);
        troubled.contains(meta.id)
    }

    /// The jobs among these blocks that are this compactor's.
    fn own_jobs<'a>(&self, tenant: &TenantId, live: impl Iterator<Item = &'a Arc<BlockMeta>>) -> Vec<Job> {
        let now = self.environment.clock.unix_nanos();
        let jobs = policy::plan(live, &self.settings.policy, now);
        let window_ns = (self.settings.policy.window.as_nanos() as u64).max(1);
        let is_own = |job: &Job| {
            let window = job
                .inputs
                .first()
                .map_or(0, |meta| meta.last_arrival_ns / window_ns);
            self.owns(&[tenant.as_str().as_bytes(), &window.to_le_bytes()])
        };
        jobs.into_iter().filter(is_own).collect()
    }

    /// Whether work is this compactor's, as far as it knows who else there is.
    fn owns(&self, work: &[&[u8]]) -> bool {
        let compacts = |role: &str| {
            role.parse()
                .is_ok_and(|target: Target| target.plays(Target::Compactor))
        };
        let live = self.members.all();
        let mut ids: BTreeSet<&str> = live
            .iter()
            .filter(|member| compacts(&member.role))
            .map(|member| member.id.as_str())
            .collect();
        ids.insert(&self.id);
        let ids: Vec<&str> = ids.into_iter().collect();
        let owner = ring::owner(ring::key_of(work), &ids).and_then(|index| ids.get(index));
        owner == Some(&self.id.as_str())
    }

    async fn execute(
        &self,
        tenant: &TenantId,
        log: &CommitLog,
        job: &Job,
        pace: Pace,
    ) -> Result<(), CompactorError> {
        let began = self.environment.clock.since_boot();
        let output = self.environment.new_ulid();
        let options = Options {
            pace,
            ..Options::default()
        };
        let made = match compact::run(&self.reader, tenant, job, output, &options).await {
            Err(error) => return self.not_executed(log, job, error).await,
            Ok(made) => made,
        };
        let transaction = Transaction {
            add: made.iter().cloned().collect(),
            remove: job.inputs.iter().map(|meta| meta.id).collect(),
            uploaded_since: Some(began),
            ..Transaction::default()
        };
        if commit(log, transaction).await? {
            self.metrics.compacted(job, made.as_deref());
            tracing::info!(%tenant, block = %output, inputs = job.inputs.len(), level = job.level(), "compacted");
        }
        Ok(())
    }

    /// An input that is gone because somebody else has compacted it is no failure.
    async fn not_executed(
        &self,
        log: &CommitLog,
        job: &Job,
        error: CompactError,
    ) -> Result<(), CompactorError> {
        log.follow().await?;
        let log = log.snapshot();
        let all_live = job.inputs.iter().all(|meta| log.state.block(meta.id).is_some());
        if all_live { Err(error.into()) } else { Ok(()) }
    }

    /// Deletes the files of blocks that were removed a grace ago, and log entries that checkpoints hold.
    pub async fn clean(&self) {
        let Ok(tenants) = store::tenants(&self.reader.store).await else {
            return;
        };
        for tenant in tenants
            .iter()
            .filter(|tenant| self.owns(&[tenant.as_str().as_bytes()]))
        {
            if let Err(error) = self.clean_tenant(tenant).await {
                self.metrics.clean_failed();
                tracing::warn!(%tenant, %error, "clean-up failed; it is tried again later");
            }
        }
        if self.owns(&[b"_streams"])
            && let Err(error) = self.clean_streams().await
        {
            tracing::warn!(%error, "clean-up of the log of streams failed; it is tried again later");
        }
    }

    async fn clean_tenant(&self, tenant: &TenantId) -> Result<(), CompactorError> {
        let started = self.environment.clock.since_boot();
        let log = self.logs.get(tenant).await?;
        let cleaned = log.clean(self.settings.grace).await?;
        log.sweep().await?;
        let took = self.environment.clock.since_boot().saturating_sub(started);
        self.metrics.cleaned(took.as_secs_f64(), cleaned.deleted);
        Ok(())
    }

    async fn clean_streams(&self) -> Result<(), LogError> {
        let streams = StreamLog::open(&self.environment, &self.reader.store).await?;
        streams.sweep().await?;
        Ok(())
    }

    fn failed(&self, tenant: Option<&TenantId>, error: &CompactorError) {
        self.metrics.failed();
        let tenant = tenant.map(TenantId::as_str);
        tracing::warn!(tenant, %error, "compaction failed; it is tried again later");
    }
}

/// Commits; `false` when somebody else has done the work.
async fn commit(log: &CommitLog, transaction: Transaction) -> Result<bool, CompactorError> {
    match log.commit(transaction).await {
        Ok(_) => Ok(true),
        Err(CommitError::Refused(BlocksRefusal::InputGone { .. })) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
