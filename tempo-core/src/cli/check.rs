//! `tempo check`: whether what the logs promise is in the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use futures::TryStreamExt;
use indicatif::ProgressBar;
use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use tempo_block::layout::{self, BlockFile};
use tempo_block::log::{CommitLog, Grace, Transaction};
use tempo_block::meta::BlockMeta;
use tempo_block::read::ReadStatistics;
use tempo_model::TenantId;
use ulid::Ulid;

use super::opened::{Opened, StoreArguments};

/// Check that every block that the logs name is there and can be read; ends with 1 when something is wrong.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    store: StoreArguments,
    /// Only this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Take blocks whose files are gone out of the log, so that queries no longer fail because of them. Their spans are
    /// lost; restore the files from a backup of the bucket first if there is one.
    #[arg(long)]
    repair: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was found in a tenant's folder.
#[derive(Debug, Default)]
struct Findings {
    blocks: usize,
    problems: Vec<Problem>,
    /// Folders of blocks that no log names: uploads under way, or what a killed process left.
    unlisted: usize,
}

/// Something that is wrong.
#[derive(Debug)]
struct Problem {
    block: Option<Ulid>,
    kind: ProblemKind,
    message: String,
    repaired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProblemKind {
    /// The log itself.
    Log,
    /// A file is not there.
    Missing,
    /// A file is not what it should be.
    Damaged,
}

impl Check {
    pub(super) async fn run(self) -> Result<()> {
        let opened = self.store.open()?;
        let mut checked = Vec::new();
        for tenant in opened.tenants(self.tenant.as_ref()).await? {
            let findings = self.tenant(&opened, &tenant).await?;
            checked.push((tenant, findings));
        }
        if self.json {
            println!(
                "{}",
                checked
                    .iter()
                    .map(|(tenant, findings)| findings.to_json(tenant))
                    .collect::<Value>()
            );
        } else {
            for (tenant, findings) in &checked {
                findings.print(tenant);
            }
        }
        let problems = checked.iter().flat_map(|(_, findings)| &findings.problems);
        let left = problems.filter(|problem| !problem.repaired).count();
        ensure!(
            left == 0,
            "{left} problems; --repair takes blocks without files out of the log"
        );
        Ok(())
    }

    async fn tenant(&self, opened: &Opened, tenant: &TenantId) -> Result<Findings> {
        let mut findings = Findings::default();
        let log = match CommitLog::open(&opened.environment, &opened.store, tenant).await {
            Ok(log) => log,
            Err(error) => {
                findings.add(None, ProblemKind::Log, error.to_string());
                return Ok(findings);
            }
        };
        let snapshot = log.snapshot();
        let bar = ProgressBar::new(snapshot.state.live().len() as u64);
        for meta in snapshot.state.live() {
            findings.blocks += 1;
            check_block(opened, tenant, meta, &mut findings).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        let known = |block: &Ulid| {
            snapshot.state.block(*block).is_some() || snapshot.state.removed_at(*block).is_some()
        };
        let stored = stored_blocks(opened, tenant).await?;
        findings.unlisted = stored.iter().filter(|block| !known(block)).count();
        if self.repair {
            repair(&log, &mut findings).await?;
        }
        Ok(findings)
    }
}

async fn check_block(
    opened: &Opened,
    tenant: &TenantId,
    meta: &Arc<BlockMeta>,
    findings: &mut Findings,
) -> Result<()> {
    let files = [
        (BlockFile::Spans, meta.spans_file),
        (BlockFile::Traces, meta.traces_file),
        (BlockFile::Catalogue, meta.catalogue_file),
    ];
    let before = findings.problems.len();
    for (file, expected) in files {
        let path = file.path(tenant, meta.id);
        match opened.store.head(&path).await {
            Ok(found) if found.size == expected.bytes => {}
            Ok(found) => {
                let message = format!("{path} has {} bytes, the log says {}", found.size, expected.bytes);
                findings.add(Some(meta.id), ProblemKind::Damaged, message);
            }
            Err(object_store::Error::NotFound { .. }) => {
                findings.add(
                    Some(meta.id),
                    ProblemKind::Missing,
                    format!("{path} is not there"),
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    if findings.problems.len() == before
        && let Err(error) = read_block(opened, tenant, meta).await
    {
        findings.add(Some(meta.id), ProblemKind::Damaged, error.to_string());
    }
    Ok(())
}

/// Reads the parts of a block that all queries depend on.
async fn read_block(opened: &Opened, tenant: &TenantId, meta: &Arc<BlockMeta>) -> Result<()> {
    let block = opened
        .reader
        .block(tenant, Arc::clone(meta), Arc::new(ReadStatistics::default()))?;
    let groups = block.row_groups().await?;
    let spans: u64 = groups.iter().map(|group| group.spans).sum();
    ensure!(
        spans == meta.spans,
        "block {} has {spans} spans, the log says {}",
        meta.id,
        meta.spans
    );
    block.catalogue().await?;
    Ok(())
}

/// The blocks that have files.
async fn stored_blocks(opened: &Opened, tenant: &TenantId) -> Result<BTreeSet<Ulid>> {
    let listed = opened.store.list(Some(&layout::blocks_folder(tenant)));
    let blocks: Vec<Option<Ulid>> = listed
        .map_ok(|object| layout::block_of_path(tenant, &object.location))
        .try_collect()
        .await?;
    Ok(blocks.into_iter().flatten().collect())
}

async fn repair(log: &CommitLog, findings: &mut Findings) -> Result<()> {
    let lost: BTreeSet<Ulid> = findings
        .problems
        .iter()
        .filter(|problem| problem.kind == ProblemKind::Missing)
        .filter_map(|problem| problem.block)
        .collect();
    if !lost.is_empty() {
        let transaction = Transaction {
            remove: lost.iter().copied().collect(),
            ..Transaction::default()
        };
        log.commit(transaction).await?;
    }
    for problem in &mut findings.problems {
        problem.repaired = problem.block.is_some_and(|block| lost.contains(&block));
    }
    log.clean(Grace::default()).await?;
    Ok(())
}

impl Findings {
    fn add(&mut self, block: Option<Ulid>, kind: ProblemKind, message: String) {
        self.problems.push(Problem {
            block,
            kind,
            message,
            repaired: false,
        });
    }

    fn to_json(&self, tenant: &TenantId) -> Value {
        let problems = self.problems.iter().map(|problem| {
            json!({
                "block": problem.block.map(|block| block.to_string()),
                "kind": problem.kind.name(),
                "message": problem.message,
                "repaired": problem.repaired,
            })
        });
        json!({
            "tenant": tenant.as_str(),
            "blocks": self.blocks,
            "unlisted_blocks": self.unlisted,
            "problems": problems.collect::<Value>(),
        })
    }

    fn print(&self, tenant: &TenantId) {
        let verdict = match self.problems.len() {
            0 => "all there".to_owned(),
            count => format!("{count} problems"),
        };
        println!("{tenant}: {} live blocks, {verdict}", self.blocks);
        for problem in &self.problems {
            let repaired = if problem.repaired {
                " (taken out of the log)"
            } else {
                ""
            };
            println!("  {}: {}{repaired}", problem.kind.name(), problem.message);
        }
        if self.unlisted > 0 {
            println!(
                "  {} blocks that no log names: uploads under way, or left by a killed process; compactors remove them",
                self.unlisted
            );
        }
    }
}

impl ProblemKind {
    fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}
