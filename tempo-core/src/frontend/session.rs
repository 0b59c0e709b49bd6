//! A query of one tenant at one log position: jobs, retries, and beginning anew where the log has moved on.
//!
//! ```text
//! follow the log ─► Session { position, blocks live there } ─ recent ─ blocks ─► answer
//!        ▲                                        │ moved on, or a block is gone
//!        └────────────────────────────────────────┘
//! ```
//! A position divides all spans in two: those in blocks that are live there, and the rest, which ingesters have. So each
//! span is looked at once, whatever is flushed or compacted meanwhile.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tempo_block::log::{Blocks, CommitLog, Snapshot, StreamState, Streams};
use tempo_block::meta::BlockMeta;
use tempo_model::TenantId;
use tempo_runtime::ring;
use ulid::Ulid;

use super::{Frontend, QueryError, QueryErrorKind};
use crate::rpc::CallError;
use crate::rpc::messages::{JobRequest, JobResponse, Partial, Query};

/// How often a query may begin anew before it gives up.
const MAX_PLANS: usize = 10;
/// How many jobs of a query each querier has at once: enough to keep it busy, few enough to stop early.
const JOBS_PER_QUERIER: usize = 16;
/// The pause before a job is tried again; it doubles with every try.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Where a part of an answer comes from: a block, or (`None`) the ingesters.
pub(super) type Part = Option<Ulid>;

/// Puts the answers of parts together. Pure.
pub(super) trait Combine: Send {
    /// Adds what a part has.
    fn add(&mut self, part: Part, partial: Partial);

    /// Whether other parts are to be asked, too.
    fn wants_more(&self) -> bool {
        true
    }

    /// How many parts are worth being asked at once.
    fn at_once(&self) -> usize {
        usize::MAX
    }
}

/// What is asked of a session.
pub(super) trait Ask: Sync {
    /// What comes out.
    type Answer: Send;

    /// Asks it. Called again from the start when the log has moved on.
    fn ask(&self, session: &mut Session<'_>) -> impl Future<Output = Result<Self::Answer, Broken>> + Send;
}

/// Why a session ended without an answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// An ingester has let go of what was committed up to this position: begin anew from there.
    MovedOn(u64),
    /// A block is not there any more: read the log again and begin anew.
    Gone(Ulid),
    /// Streams that may hold more than blocks do, and that no ingester answered for.
    Unanswered(BTreeSet<Ulid>),
    /// The query failed.
    Failed(QueryError),
}

impl From<CallError> for Broken {
    fn from(error: CallError) -> Self {
        Self::Failed(error.into())
    }
}

/// An answer of one tenant.
#[derive(Debug)]
pub(super) struct Answered<T> {
    /// The answer.
    pub(super) answer: T,
    /// What it took.
    pub(super) effort: Effort,
}

/// What an answer took, and why it may lack something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Effort {
    pub(super) inspected_bytes: u64,
    pub(super) inspected_spans: u64,
    pub(super) inspected_traces: u64,
    pub(super) jobs: u32,
    pub(super) blocks: u32,
    pub(super) block_bytes: u64,
    /// Why the answer may lack something; empty when it does not.
    pub(super) incomplete: String,
}

impl Effort {
    /// Adds what another tenant's answer took.
    pub(super) fn add(&mut self, other: &Self) {
        self.inspected_bytes += other.inspected_bytes;
        self.inspected_spans += other.inspected_spans;
        self.inspected_traces += other.inspected_traces;
        self.jobs += other.jobs;
        self.blocks += other.blocks;
        self.block_bytes += other.block_bytes;
        self.lacks(&other.incomplete);
    }

    fn lacks(&mut self, reason: &str) {
        if !reason.is_empty() && !self.incomplete.contains(reason) {
            let separator = if self.incomplete.is_empty() { "" } else { "; " };
            self.incomplete.push_str(separator);
            self.incomplete.push_str(reason);
        }
    }
}

/// A query of one tenant at one log position.
#[derive(Debug)]
pub(super) struct Session<'a> {
    frontend: &'a Frontend,
    tenant: &'a TenantId,
    snapshot: Arc<Snapshot<Blocks>>,
    streams: Arc<Snapshot<Streams>>,
    /// Streams that nobody answered for in an earlier try: their ingesters are not just about to end.
    lost_sight_of: BTreeSet<Ulid>,
    /// The blocks that were asked something.
    looked_into: BTreeSet<Ulid>,
    effort: Effort,
}

impl Frontend {
    /// Asks `question` for a tenant, from the newest log position.
    pub(super) async fn in_session<A: Ask>(
        &self,
        tenant: &TenantId,
        question: &A,
    ) -> Result<Answered<A::Answer>, QueryError> {
        // These are polled in a fixed order, unlike those of tokio's macro: what is simulated repeats.
        let (log, streams) = futures::try_join!(self.logs.get(tenant), self.logs.streams())?;
        futures::try_join!(log.follow(), streams.follow())?;
        let mut lost_sight_of = BTreeSet::new();
        for _ in 0..MAX_PLANS {
            let mut session = Session {
                frontend: self,
                tenant,
                snapshot: log.snapshot(),
                streams: streams.snapshot(),
                lost_sight_of: std::mem::take(&mut lost_sight_of),
                looked_into: BTreeSet::new(),
                effort: Effort::default(),
            };
            match question.ask(&mut session).await {
                Ok(answer) => {
                    return Ok(Answered {
                        answer,
                        effort: session.effort,
                    });
                }
                Err(Broken::Failed(error)) => return Err(error),
                Err(Broken::MovedOn(position)) => drop(log.at_least(position).await?),
                Err(Broken::Gone(block)) => follow_past(&log, session.snapshot.position, block).await?,
                Err(Broken::Unanswered(epochs)) => {
                    futures::try_join!(log.follow(), streams.follow())?;
                    lost_sight_of = epochs;
                }
            }
        }
        Err(QueryError::unavailable(format!(
            "blocks of tenant {tenant} come and go faster than they can be read; try again"
        )))
    }

    /// Executes a job on a querier; where that fails and another try may help, on the next one in ring order.
    async fn job(&self, key: u64, request: JobRequest) -> Result<JobResponse, CallError> {
        let mut pause = RETRY_PAUSE;
        for attempt in 0.. {
            let queriers = self.queriers.live();
            let ids: Vec<&str> = queriers.iter().map(|peer| peer.id.as_str()).collect();
            let order = ring::order(key, &ids);
            let chosen = order.get(attempt % order.len().max(1));
            let result = match chosen.and_then(|index| queriers.get(*index)) {
                Some(querier) => querier.api.run(request.clone()).await,
                None => Err(CallError::unavailable(
                    &"no querier is there to execute the query; try again",
                )),
            };
            match result {
                Err(error) if error.is_retryable() && attempt < self.settings.max_retries => {
                    self.metrics.retry();
                    self.environment.clock.sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        Err(CallError::unavailable(&"no querier is there"))
    }
}

impl<'a> Session<'a> {
    /// The blocks live at the position that `wanted` leaves, newest first.
    pub(super) fn blocks(&self, wanted: impl Fn(&BlockMeta) -> bool) -> Vec<Arc<BlockMeta>> {
        let live = self.snapshot.state.live();
        let mut blocks: Vec<_> = live.filter(|block| wanted(block)).cloned().collect();
        blocks.sort_by_key(|block| (Reverse(block.end_ns), block.id));
        blocks
    }

    /// Asks the ingesters for what is not in blocks.
    pub(super) async fn recent(&mut self, query: &Query, parts: &mut impl Combine) -> Result<(), Broken> {
        let request = self.request(query, Bytes::new());
        let key = ring::key_of_name(self.tenant.as_str());
        let mut answered = self.frontend.job(key, request).await?;
        let streams = std::mem::take(&mut answered.streams);
        let silent = std::mem::take(&mut answered.incomplete);
        self.add(None, answered, parts)?;
        self.check_streams(&streams, &silent)
    }

    /// Every stream that may hold more than blocks do must have been answered for. One that was not is looked for once
    /// more, as an ingester that ends in order leaves nothing behind; then the answer says what it may lack. An ingester
    /// that was `silent` and has no such stream is not missed.
    fn check_streams(&mut self, answered: &[String], silent: &str) -> Result<(), Broken> {
        let answered: BTreeSet<Ulid> = answered.iter().filter_map(|epoch| epoch.parse().ok()).collect();
        let (streams, blocks) = (&self.streams.state, &self.snapshot.state);
        let unanswered = unanswered(streams, blocks, self.tenant, &answered);
        if !unanswered.iter().all(|epoch| self.lost_sight_of.contains(epoch)) {
            return Err(Broken::Unanswered(unanswered));
        }
        if !unanswered.is_empty() {
            self.effort.lacks(silent);
        }
        for epoch in unanswered {
            let stream = self.streams.state.get(epoch);
            let address = stream
                .and_then(|stream| stream.replicas.first())
                .map(|replica| replica.address.as_str());
            let place = address
                .filter(|address| !address.is_empty())
                .unwrap_or("an ingester");
            self.effort.lacks(&format!(
                "{place} does not answer for WAL stream {epoch}; start it again, or run `tempo forget {epoch}` when its \
                 disk is lost"
            ));
        }
        Ok(())
    }

    /// Asks `query` of all of `blocks`, newest first, as long as more is wanted.
    pub(super) async fn over_blocks(
        &mut self,
        query: &Query,
        blocks: Vec<Arc<BlockMeta>>,
        parts: &mut impl Combine,
    ) -> Result<(), Broken> {
        self.jobs(&mut blocks.into(), |_, _| Some(query.clone()), parts)
            .await
    }

    /// Asks blocks, the first ones first, as long as more is wanted; those that were not asked stay. `query` says what each
    /// is asked, if anything, by what is known until then.
    pub(super) async fn jobs<C: Combine>(
        &mut self,
        blocks: &mut VecDeque<Arc<BlockMeta>>,
        query: impl Fn(&C, &BlockMeta) -> Option<Query>,
        parts: &mut C,
    ) -> Result<(), Broken> {
        let queriers = self.frontend.queriers.live().len().max(1);
        let most = self
            .frontend
            .settings
            .concurrent_jobs
            .clamp(1, JOBS_PER_QUERIER * queriers);
        let mut running = FuturesUnordered::new();
        loop {
            while parts.wants_more() && running.len() < most.min(parts.at_once()) {
                let Some(block) = blocks.pop_front() else {
                    break;
                };
                let Some(query) = query(parts, &block) else {
                    continue;
                };
                if self.looked_into.insert(block.id) {
                    self.effort.blocks += 1;
                    self.effort.block_bytes += block.bytes();
                }
                running.push(self.block_job(&block, &query)?);
            }
            let Some((block, answered)) = running.next().await else {
                return Ok(());
            };
            self.add(Some(block), answered?, parts)?;
        }
    }

    /// Runs work of the answer itself on the bounded CPU pool.
    pub(super) async fn run_cpu<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Broken> {
        self.frontend.run_cpu(name, work).await.map_err(Broken::Failed)
    }

    fn block_job(
        &self,
        block: &BlockMeta,
        query: &Query,
    ) -> Result<impl Future<Output = (Ulid, Result<JobResponse, CallError>)> + Send + use<'a>, Broken> {
        let meta = serde_json::to_vec(block).map_err(|error| CallError::internal(&error))?;
        let request = self.request(query, meta.into());
        let (frontend, id) = (self.frontend, block.id);
        let key = ring::key_of(&[&id.to_bytes()]);
        Ok(async move { (id, frontend.job(key, request).await) })
    }

    fn request(&self, query: &Query, block: Bytes) -> JobRequest {
        JobRequest {
            tenant: self.tenant.to_string(),
            query: Some(query.clone()),
            position: self.snapshot.position,
            block,
        }
    }

    fn add(&mut self, part: Part, answered: JobResponse, parts: &mut impl Combine) -> Result<(), Broken> {
        let JobResponse {
            partial,
            moved_to,
            incomplete,
            block_gone,
            streams: _,
        } = answered;
        match part {
            Some(block) if block_gone => return Err(Broken::Gone(block)),
            None if moved_to > self.snapshot.position => return Err(Broken::MovedOn(moved_to)),
            _ => {}
        }
        let partial = partial.ok_or_else(|| CallError::internal(&"a querier answered without an answer"))?;
        let statistics = partial.statistics.unwrap_or_default();
        self.effort.jobs += 1;
        self.effort.inspected_bytes += statistics.inspected_bytes;
        self.effort.inspected_spans += statistics.inspected_spans;
        self.effort.inspected_traces += statistics.inspected_traces;
        self.effort.lacks(&incomplete);
        parts.add(part, partial);
        Ok(())
    }
}

/// Follows the log to where a block that is gone at `position` is not live any more.
async fn follow_past(log: &CommitLog, position: u64, block: Ulid) -> Result<(), QueryError> {
    if log.follow().await? > position {
        return Ok(());
    }
    Err(QueryError::new(
        QueryErrorKind::Internal,
        format!(
            "block {block} of tenant {} is live but its files are not in the store; is a lifecycle rule of the bucket \
             deleting them?",
            log.tenant()
        ),
    ))
}

/// The streams that may hold records of a tenant that are in no block, but for those that were answered for. Pure.
fn unanswered(
    streams: &Streams,
    blocks: &Blocks,
    tenant: &TenantId,
    answered: &BTreeSet<Ulid>,
) -> BTreeSet<Ulid> {
    let holds_more = |epoch: Ulid, state: &StreamState| match state {
        StreamState::Open => true,
        StreamState::Lost => false,
        StreamState::Closed { ends } => {
            let end = ends.get(tenant.as_str()).copied().unwrap_or_default();
            end > 0
                && !blocks
                    .covered(epoch)
                    .is_some_and(|covered| covered.covers(0..end))
        }
    };
    let of_stream = streams
        .iter()
        .filter(|(epoch, stream)| holds_more(*epoch, &stream.state));
    of_stream
        .map(|(epoch, _)| epoch)
        .filter(|epoch| !answered.contains(epoch))
        .collect()
}

#[cfg(test)]
mod tests {
    use tempo_block::log::{Cover, Fold, StreamChange, Transaction};

    use super::*;

    #[test]
    fn a_stream_that_may_hold_more_must_be_answered_for() {
        let tenant = TenantId::single();
        let mut streams = Streams::default();
        for (position, epoch) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
            let open = StreamChange::Open {
                epoch: Ulid(epoch),
                replicas: Vec::new(),
            };
            streams.apply(position, &open);
        }
        streams.apply(5, &StreamChange::close(Ulid(2), [(tenant.clone(), 10)]));
        streams.apply(6, &StreamChange::close(Ulid(3), [("other".parse().unwrap(), 10)]));
        streams.apply(7, &StreamChange::Lost { epoch: Ulid(4) });
        let covering = |end: u64| {
            let mut blocks = Blocks::default();
            let cover = Cover {
                stream: Ulid(2),
                ranges: (0..end).into(),
            };
            blocks.apply(
                1,
                &Transaction {
                    covers: vec![cover],
                    ..Transaction::default()
                },
            );
            blocks
        };
        let of = |blocks: &Blocks, answered: &[u128]| {
            let answered = answered.iter().map(|epoch| Ulid(*epoch)).collect();
            let missing = unanswered(&streams, blocks, &tenant, &answered);
            missing.into_iter().map(|epoch| epoch.0).collect::<Vec<_>>()
        };
        assert_eq!(of(&covering(9), &[]), [1, 2]);
        assert_eq!(of(&covering(10), &[]), [1]);
        assert_eq!(of(&covering(10), &[1]), [0_u128; 0]);
    }
}
