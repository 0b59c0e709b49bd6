//! `tempo delete`: traces, or all of a tenant, out of the live blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tempo_block::compact::{self, Job, Method, Options};
use tempo_block::log::{BlocksRefusal, CommitError, CommitLog, Transaction};
use tempo_block::meta::BlockMeta;
use tempo_block::read::ReadStatistics;
use tempo_model::{TenantId, TraceId};

use super::inspect::{counted, progress};
use super::opened::{Opened, StoreArguments};

/// How often a block is looked at anew because a compactor was faster.
const MOST_ROUNDS: usize = 10;

/// Delete traces, or everything of a tenant, from the blocks. What ingesters have not made blocks of yet is not touched:
/// call their /flush first. Files go when the compactor's grace is over.
#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    #[command(flatten)]
    store: StoreArguments,
    /// Whose spans.
    #[arg(long, value_name = "TENANT", default_value_t = TenantId::single())]
    tenant: TenantId,
    #[command(flatten)]
    what: What,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is deleted.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct What {
    /// A trace to delete; may be given several times.
    #[arg(long = "trace", value_name = "ID", conflicts_with = "everything")]
    traces: Vec<TraceId>,
    /// Delete all of the tenant's spans.
    #[arg(long)]
    everything: bool,
}

impl Delete {
    pub(super) async fn run(self) -> Result<()> {
        let opened = self.store.open()?;
        let log = CommitLog::open(&opened.environment, &opened.store, &self.tenant).await?;
        if self.what.everything {
            let blocks = delete_everything(&log).await?;
            self.say(&log, "removed", blocks);
            return Ok(());
        }
        let traces: BTreeSet<TraceId> = self.what.traces.iter().copied().collect();
        let mut rewritten = 0;
        for _ in 0..MOST_ROUNDS {
            let affected = affected(&opened, &log, &traces).await?;
            if affected.is_empty() {
                self.say(&log, "written anew without what was deleted", rewritten);
                return Ok(());
            }
            let bar = progress(affected.len() as u64, "write blocks anew");
            for meta in affected {
                rewritten += usize::from(rewrite(&opened, &log, &meta, &traces).await?);
                bar.inc(1);
            }
            bar.finish_and_clear();
            log.follow().await?;
        }
        bail!("blocks are compacted faster than traces can be deleted from them; try again")
    }
}

impl Delete {
    /// Says what was done with so many blocks.
    fn say(&self, log: &CommitLog, done: &str, blocks: usize) {
        if self.json {
            println!("{}", json!({"tenant": log.tenant().as_str(), "blocks": blocks}));
        } else {
            println!("{} of {}: {done}", counted(blocks, "block"), log.tenant());
        }
    }
}

async fn delete_everything(log: &CommitLog) -> Result<usize> {
    let snapshot = log.snapshot();
    let transaction = Transaction {
        remove: snapshot.state.live().map(|meta| meta.id).collect(),
        ..Transaction::default()
    };
    let blocks = transaction.remove.len();
    ensure!(blocks > 0, "tenant {} has no live blocks", log.tenant());
    log.commit(transaction).await?;
    Ok(blocks)
}

/// The live blocks that have spans of one of the traces.
async fn affected(
    opened: &Opened,
    log: &CommitLog,
    traces: &BTreeSet<TraceId>,
) -> Result<Vec<Arc<BlockMeta>>> {
    let mut affected = Vec::new();
    let snapshot = log.snapshot();
    let bar = progress(snapshot.state.live().len() as u64, "look into blocks");
    for meta in snapshot.state.live() {
        bar.inc(1);
        let block = opened.reader.block(
            log.tenant(),
            Arc::clone(meta),
            Arc::new(ReadStatistics::default()),
        )?;
        for trace in traces.iter().filter(|trace| meta.may_hold(**trace)) {
            if !block.trace_rows(*trace).await?.is_empty() {
                affected.push(Arc::clone(meta));
                break;
            }
        }
    }
    bar.finish_and_clear();
    Ok(affected)
}

/// Writes a block anew without the traces; `false` when somebody else has replaced it meanwhile.
async fn rewrite(
    opened: &Opened,
    log: &CommitLog,
    meta: &Arc<BlockMeta>,
    traces: &BTreeSet<TraceId>,
) -> Result<bool> {
    let job = Job {
        method: Method::Merge,
        inputs: vec![Arc::clone(meta)],
    };
    let began = opened.environment.clock.since_boot();
    let output = opened.environment.new_ulid();
    let options = Options {
        without: traces.clone(),
        ..Options::default()
    };
    let made = compact::run(&opened.reader, log.tenant(), &job, output, &options).await?;
    let transaction = Transaction {
        add: made.into_iter().collect(),
        remove: vec![meta.id],
        uploaded_since: Some(began),
        ..Transaction::default()
    };
    match log.commit(transaction).await {
        Ok(_) => Ok(true),
        Err(CommitError::Refused(BlocksRefusal::InputGone { .. })) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
