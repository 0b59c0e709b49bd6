//! The parts of a source (row groups of a block, or a head as a whole), looked into one after the other.

use std::sync::Arc;

use futures::TryStreamExt;
use futures::stream::FuturesOrdered;
use tempo_runtime::Environment;
use tempo_traceql::plan::Plan;

use super::{ScanError, Source, TimeRange};
use crate::read::{RowGroup, RowGroupSummary, Wanted, Work, evaluate};

/// How many parts are read and evaluated at once, at most. While one is evaluated others are read.
const AT_ONCE: usize = 4;

/// What is done with every part that may match.
pub(super) struct Scan<'a, T> {
    pub(super) environment: &'a Environment,
    pub(super) source: &'a Source,
    /// A part that none of these can match is passed over.
    pub(super) plans: Vec<&'a Plan>,
    /// Loaded before evaluation.
    pub(super) first: Vec<Wanted>,
    /// Loaded with the first thing that evaluation misses.
    pub(super) more: Vec<Wanted>,
    /// May run several times over a part.
    pub(super) work: Work<T>,
}

impl<T: Send + 'static> Scan<'_, T> {
    /// The parts with spans in a time range, those with the latest starts first.
    pub(super) async fn parts(&self, range: TimeRange) -> Result<Vec<RowGroupSummary>, ScanError> {
        let mut parts = match self.source {
            Source::Block(block) => block.row_groups().await?,
            Source::Head(head) => vec![head.summary()],
        };
        let all = parts.len();
        parts.retain(|part| part.spans > 0 && range.overlaps(part.start_ns, part.end_ns));
        if let Source::Block(block) = self.source {
            block.statistics().row_groups_pruned(all - parts.len());
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.latest_start_ns));
        Ok(parts)
    }

    /// Works on the parts in their order. `take` gets each part, what it gave (nothing when it cannot match) and which part
    /// comes next, and says whether to go on.
    pub(super) async fn each(
        &self,
        parts: &[RowGroupSummary],
        mut take: impl FnMut(&RowGroupSummary, Option<T>, Option<&RowGroupSummary>) -> bool,
    ) -> Result<(), ScanError> {
        let mut waiting = parts.iter();
        let mut running = FuturesOrdered::new();
        for (done, part) in parts.iter().enumerate() {
            // Often the newest part is all that is needed: the more were not enough, the more are read ahead.
            let room = (done + 1).min(AT_ONCE).saturating_sub(running.len());
            running.extend(waiting.by_ref().take(room).map(|part| self.part(*part)));
            let Some(found) = running.try_next().await? else {
                break;
            };
            if !take(part, found, parts.get(done + 1)) {
                break;
            }
        }
        Ok(())
    }

    /// What a part gives; `None` when it cannot match.
    async fn part(&self, part: RowGroupSummary) -> Result<Option<T>, ScanError> {
        let group: Arc<dyn RowGroup> = match self.source {
            Source::Head(head) => Arc::clone(head) as Arc<dyn RowGroup>,
            Source::Block(block) => block.row_group(part.number).await?,
        };
        let may_match = {
            let batch = group.batch();
            let may_match = |plan: &&Plan| plan.may_match(&|condition| batch.may_match(condition));
            self.plans.is_empty() || self.plans.iter().any(may_match)
        };
        if let Source::Block(block) = self.source {
            if !may_match {
                block.statistics().row_groups_pruned(1);
                return Ok(None);
            }
            block.statistics().row_group(part.spans);
        }
        group.load(&self.first).await?;
        let result = evaluate(self.environment, &group, &self.more, Arc::clone(&self.work)).await?;
        Ok(Some(result?))
    }
}
