//! The heads of all tenants: what the WAL hands its records to, and what decides when a head is cut.
//!
//! Not here: writing blocks (`flush`) and which head a query is answered from (`tenant`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use tempo_block::head::HeadSettings;
use tempo_block::log::{Blocks, Snapshot};
use tempo_block::wal::{Appended, Record, RecordSink};
use tempo_model::TenantId;
use tempo_model::wire::WireError;
use tempo_runtime::Environment;
use tokio::sync::{mpsc, watch};
use ulid::Ulid;

use super::Settings;
use super::metrics::Metrics;
use super::tenant::{Committed, CutHead, TenantHeads, View};
use crate::limits::TenantLimits;

/// How many records that could not be taken in are remembered until their senders hear of it.
const MOST_MALFORMED: usize = 1024;

/// A head that waits for being written.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) tenant: TenantId,
    pub(super) number: u64,
}

/// The heads of all tenants.
#[derive(Debug)]
pub(super) struct Heads {
    environment: Environment,
    settings: Settings,
    limits: TenantLimits,
    metrics: Metrics,
    tenants: RwLock<BTreeMap<TenantId, Arc<Mutex<TenantHeads>>>>,
    malformed: Mutex<BTreeMap<(Ulid, TenantId, u64), WireError>>,
    bytes: AtomicU64,
    next_number: AtomicU64,
    /// As many wait here as there are uncommitted heads, whose memory is bounded.
    jobs: mpsc::UnboundedSender<Job>,
    /// Tells of commits and of heads that were let go.
    progress: watch::Sender<()>,
}

impl Heads {
    /// No heads yet; those that are cut come out of the receiver.
    pub(super) fn new(
        environment: Environment,
        settings: Settings,
        limits: TenantLimits,
        metrics: Metrics,
    ) -> (Self, mpsc::UnboundedReceiver<Job>) {
        let (jobs, cut) = mpsc::unbounded_channel();
        let heads = Self {
            environment,
            settings,
            limits,
            metrics,
            tenants: RwLock::default(),
            malformed: Mutex::default(),
            bytes: AtomicU64::new(0),
            next_number: AtomicU64::new(0),
            jobs,
            progress: watch::Sender::new(()),
        };
        (heads, cut)
    }

    /// Memory of all heads.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What was wrong with a record that was just appended.
    pub(super) fn take_malformed(&self, tenant: &TenantId, appended: Appended) -> Option<WireError> {
        let key = (appended.epoch, tenant.clone(), appended.number);
        self.malformed.lock().remove(&key)
    }

    /// How heads of a tenant take spans in.
    pub(super) fn settings_of(&self, tenant: &TenantId) -> HeadSettings {
        let own = self.limits.of(tenant).ingestion.max_attribute_bytes;
        let limit = if own > 0 {
            own
        } else {
            self.settings.max_attribute_bytes
        };
        HeadSettings {
            max_attribute_bytes: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }

    /// What a query is answered from; an empty log without heads leaves nothing behind.
    pub(super) fn view(&self, tenant: &TenantId, position: u64, log: &Snapshot<Blocks>) -> View {
        let known = self.tenants.read().get(tenant).cloned();
        match known {
            None if log.position == 0 => View::Heads(Vec::new()),
            None => self.tenant(tenant).lock().view(position, log),
            Some(heads) => heads.lock().view(position, log),
        }
    }

    /// A cut head that is not known to be committed.
    pub(super) fn uncommitted(&self, job: &Job) -> Option<Arc<CutHead>> {
        self.tenant(&job.tenant).lock().uncommitted(job.number)
    }

    /// Says that the block of a head is committed.
    pub(super) fn committed(&self, job: &Job, committed: Committed) {
        self.tenant(&job.tenant).lock().committed(job.number, committed);
        self.progress.send_replace(());
    }

    /// Puts in the place of a head what of it is in no block up to `position`.
    pub(super) fn replace(&self, job: &Job, rest: CutHead, position: u64) {
        self.change(&job.tenant, |heads| heads.replace(job.number, rest, position));
    }

    /// Lets go of a committed head.
    pub(super) fn let_go(&self, job: &Job) {
        if self.change(&job.tenant, |heads| heads.let_go(job.number)) {
            self.metrics.block_cleared();
            self.progress.send_replace(());
        }
    }

    /// Says that a record of an earlier epoch is in a block.
    pub(super) fn mark_stored(&self, record: &Record) {
        self.tenant(&record.tenant).lock().mark_stored(record);
    }

    /// Whether records are known to be in blocks.
    pub(super) fn is_stored(&self, stream: Ulid, tenant: &TenantId, range: Range<u64>) -> bool {
        self.tenant(tenant).lock().stored().covers(stream, range)
    }

    /// How many records of a stream each tenant has, as far as they are in blocks.
    pub(super) fn ends(&self, stream: Ulid) -> Vec<(TenantId, u64)> {
        let all = self.all().into_iter();
        all.map(|(tenant, heads)| (tenant, heads.lock().stored().end(stream)))
            .filter(|(_, end)| *end > 0)
            .collect()
    }

    /// Cuts every open head; the number of the last one.
    pub(super) fn cut_all(&self) -> u64 {
        for (tenant, heads) in self.all() {
            self.cut(&tenant, &mut heads.lock());
        }
        self.next_number.load(Ordering::Relaxed)
    }

    /// Waits until every head up to a number is committed.
    pub(super) async fn wait_committed(&self, up_to: u64) {
        self.wait_until(|| !self.has_uncommitted(up_to)).await;
    }

    /// Waits until memory does not run short, or no heads are on their way into blocks.
    pub(super) async fn wait_for_room(&self) {
        self.wait_until(|| !self.runs_short() || !self.has_uncommitted(u64::MAX))
            .await;
    }

    /// Whether heads hold all the memory that they may.
    pub(super) fn are_full(&self) -> bool {
        self.bytes() >= self.settings.max_head_bytes
    }

    /// Waits until they do not.
    pub(super) async fn wait_for_memory(&self) {
        self.wait_until(|| !self.are_full()).await;
    }

    fn has_uncommitted(&self, up_to: u64) -> bool {
        self.all()
            .iter()
            .any(|(_, heads)| heads.lock().has_uncommitted(up_to))
    }

    async fn wait_until(&self, is_done: impl Fn() -> bool) {
        let mut progress = self.progress.subscribe();
        while !is_done() {
            // The sender lives as long as this does.
            let _ = progress.changed().await;
        }
    }

    /// Cuts heads that are old, and where memory runs short lets go of what lingers and cuts the largest. `wal_fills` says
    /// that the WAL runs short: then the older half of the heads is cut, since their records keep segments there.
    pub(super) fn look_around(&self, wal_fills: bool) {
        let now = self.environment.clock.since_boot();
        let all = self.all();
        let ages = all.iter().filter_map(|(_, heads)| heads.lock().opened_at());
        let oldest = ages
            .min()
            .map_or(Duration::ZERO, |opened| now.saturating_sub(opened));
        let most = if wal_fills {
            self.settings.max_block_duration.min(oldest / 2)
        } else {
            self.settings.max_block_duration
        };
        for (tenant, heads) in all {
            let mut heads = heads.lock();
            let is_old = |opened: Duration| now.saturating_sub(opened) >= most;
            if heads.opened_at().is_some_and(is_old) {
                self.cut(&tenant, &mut heads);
            }
        }
        if self.runs_short() {
            self.make_room();
        }
        self.metrics.head_bytes(self.bytes());
    }

    /// Whether heads become blocks before they are full.
    pub(super) fn runs_short(&self) -> bool {
        self.bytes() > self.settings.max_head_bytes / 2
    }

    fn make_room(&self) {
        let all = self.all();
        for (tenant, heads) in &all {
            let lingering = heads.lock().lingering();
            for number in lingering {
                self.let_go(&Job {
                    tenant: tenant.clone(),
                    number,
                });
            }
        }
        let mut open: Vec<_> = all
            .into_iter()
            .map(|(tenant, heads)| {
                let bytes = heads.lock().open_bytes();
                (bytes, tenant, heads)
            })
            .collect();
        open.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        let mut left: u64 = open.iter().map(|(bytes, ..)| bytes).sum();
        for (bytes, tenant, heads) in open {
            if left <= self.settings.max_head_bytes / 4 {
                break;
            }
            self.cut(&tenant, &mut heads.lock());
            left -= bytes;
        }
    }

    fn cut(&self, tenant: &TenantId, heads: &mut MutexGuard<'_, TenantHeads>) {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed) + 1;
        if heads.cut(number) {
            // Nobody receives any more when the process is ending.
            let _ = self.jobs.send(Job {
                tenant: tenant.clone(),
                number,
            });
        }
    }

    fn take_in(&self, tenant: &TenantId, heads: &mut TenantHeads, record: &Record) {
        let settings = self.settings_of(tenant);
        let clock = &self.environment.clock;
        match heads.append(record, clock.unix_nanos(), clock.since_boot(), settings) {
            Ok(appended) => self.metrics.appended(tenant, record.payload.len(), appended),
            Err(error) => self.remember_malformed(record, error),
        }
    }

    fn remember_malformed(&self, record: &Record, error: WireError) {
        tracing::warn!(tenant = %record.tenant, number = record.number, %error, "left out a record that cannot be read");
        let mut malformed = self.malformed.lock();
        malformed.insert((record.epoch, record.tenant.clone(), record.number), error);
        if malformed.len() > MOST_MALFORMED {
            malformed.pop_first();
        }
    }

    /// Changes a tenant's heads and keeps the sum of their memory right.
    fn change<T>(&self, tenant: &TenantId, change: impl FnOnce(&mut TenantHeads) -> T) -> T {
        let heads = self.tenant(tenant);
        let mut heads = heads.lock();
        let before = heads.bytes();
        let changed = change(&mut heads);
        let after = heads.bytes();
        self.bytes
            .fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.bytes
            .fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
        changed
    }

    fn tenant(&self, tenant: &TenantId) -> Arc<Mutex<TenantHeads>> {
        let known = self.tenants.read().get(tenant).cloned();
        known.unwrap_or_else(|| Arc::clone(self.tenants.write().entry(tenant.clone()).or_default()))
    }

    fn all(&self) -> Vec<(TenantId, Arc<Mutex<TenantHeads>>)> {
        let tenants = self.tenants.read();
        let both = tenants
            .iter()
            .map(|(tenant, heads)| (tenant.clone(), Arc::clone(heads)));
        both.collect()
    }
}

impl RecordSink for Heads {
    fn apply(&self, records: &[Record]) {
        for record in records {
            let tenant = &record.tenant;
            let full = self.change(tenant, |heads| {
                self.take_in(tenant, heads, record);
                heads.open_bytes() >= self.settings.max_block_bytes
            });
            if full {
                self.cut(tenant, &mut self.tenant(tenant).lock());
            }
        }
        if self.runs_short() {
            self.make_room();
        }
    }
}
