//! `tempo check`: whether what the logs promise is in the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use futures::TryStreamExt;
use indicatif::ProgressBar;
use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use tempo_block::compact::{self, CompactError, Job, Method, Options};
use tempo_block::layout::{self, BlockFile};
use tempo_block::log::{CommitLog, Grace, Transaction};
use tempo_block::meta::BlockMeta;
use tempo_block::read::ReadError;
use tempo_block::verify::Verifier;
use tempo_model::TenantId;
use ulid::Ulid;

use super::inspect::{counted, progress};
use super::opened::{Opened, StoreArguments};

/// Check every block that the logs name: that its files are there, that every byte is what was written, that trace table
/// and filters are those of its spans. Ends with 1 when something is wrong.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    store: StoreArguments,
    /// Only this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Look at files and footers only, and read no spans.
    #[arg(long)]
    quick: bool,
    /// Write what can be read of a damaged block as a new one, and take blocks of which nothing can be read out of the
    /// log, so that queries no longer fail because of them. Other spans are lost, and the old files go when the
    /// compactor's grace is over: restore files from a backup of the bucket first if there is one.
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
    /// What was done about it.
    repair: Option<String>,
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
        let left = problems.filter(|problem| problem.repair.is_none()).count();
        ensure!(
            left == 0,
            "{} found; --repair saves what can be read of damaged blocks",
            counted(left, "problem")
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
        let row_groups = snapshot.state.live().map(|meta| u64::from(meta.row_groups));
        let bar = progress(row_groups.sum(), "check row groups");
        for meta in snapshot.state.live() {
            findings.blocks += 1;
            self.block(opened, tenant, meta, &bar, &mut findings).await?;
        }
        bar.finish_and_clear();
        let known = |block: &Ulid| {
            snapshot.state.block(*block).is_some() || snapshot.state.removed_at(*block).is_some()
        };
        let stored = stored_blocks(opened, tenant).await?;
        findings.unlisted = stored.iter().filter(|block| !known(block)).count();
        if self.repair {
            repair(opened, &log, &mut findings).await?;
        }
        Ok(findings)
    }

    async fn block(
        &self,
        opened: &Opened,
        tenant: &TenantId,
        meta: &Arc<BlockMeta>,
        bar: &ProgressBar,
        findings: &mut Findings,
    ) -> Result<()> {
        let done = bar.position() + u64::from(meta.row_groups);
        let before = findings.problems.len();
        check_files(opened, tenant, meta, findings).await?;
        if findings.problems.len() == before {
            match Verifier::open(&opened.reader, tenant, meta).await {
                Err(error) => findings.add_unreadable(meta, &error),
                Ok(verifier) if !self.quick => verify(&verifier, meta, bar, findings).await,
                Ok(_) => {}
            }
        }
        bar.set_position(done);
        Ok(())
    }
}

async fn verify(verifier: &Verifier, meta: &BlockMeta, bar: &ProgressBar, findings: &mut Findings) {
    for number in 0..verifier.row_groups() {
        if let Err(error) = verifier.row_group(number).await {
            findings.add_unreadable(meta, &error);
        }
        bar.inc(1);
    }
}

async fn check_files(
    opened: &Opened,
    tenant: &TenantId,
    meta: &BlockMeta,
    findings: &mut Findings,
) -> Result<()> {
    let files = [
        (BlockFile::Spans, meta.spans_file),
        (BlockFile::Traces, meta.traces_file),
        (BlockFile::Catalogue, meta.catalogue_file),
    ];
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

async fn repair(opened: &Opened, log: &CommitLog, findings: &mut Findings) -> Result<()> {
    let broken: BTreeSet<Ulid> = findings
        .problems
        .iter()
        .filter_map(|problem| problem.block)
        .collect();
    let bar = progress(broken.len() as u64, "repair blocks");
    for block in broken {
        let snapshot = log.snapshot();
        if let Some(meta) = snapshot.state.block(block) {
            let done = salvage(opened, log, meta).await?;
            let of_block = findings.problems.iter_mut();
            for problem in of_block.filter(|problem| problem.block == Some(block)) {
                problem.repair = Some(done.clone());
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    log.clean(Grace::default()).await?;
    Ok(())
}

/// Puts what can be read of a block in its place; says what became of it.
async fn salvage(opened: &Opened, log: &CommitLog, meta: &Arc<BlockMeta>) -> Result<String> {
    let began = opened.environment.clock.since_boot();
    let output = opened.environment.new_ulid();
    let job = Job {
        method: Method::Merge,
        inputs: vec![Arc::clone(meta)],
    };
    let options = Options {
        salvage: true,
        ..Options::default()
    };
    let made = match compact::run(&opened.reader, log.tenant(), &job, output, &options).await {
        Ok(made) => made,
        Err(CompactError::Read(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let saved = made.as_ref().map_or(0, |made| made.spans);
    let transaction = Transaction {
        add: made.into_iter().collect(),
        remove: vec![meta.id],
        uploaded_since: Some(began),
        ..Transaction::default()
    };
    log.commit(transaction).await?;
    Ok(match saved {
        0 => format!("taken out of the log, {} spans are lost", meta.spans),
        _ => format!("{saved} of {} spans are in block {output} now", meta.spans),
    })
}

impl Findings {
    fn add(&mut self, block: Option<Ulid>, kind: ProblemKind, message: String) {
        self.problems.push(Problem {
            block,
            kind,
            message,
            repair: None,
        });
    }

    fn add_unreadable(&mut self, meta: &BlockMeta, error: &ReadError) {
        self.add(Some(meta.id), ProblemKind::Damaged, error.to_string());
    }

    fn to_json(&self, tenant: &TenantId) -> Value {
        let problems = self.problems.iter().map(|problem| {
            json!({
                "block": problem.block.map(|block| block.to_string()),
                "kind": problem.kind.name(),
                "message": problem.message,
                "repaired": problem.repair.is_some(),
                "repair": problem.repair,
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
            0 => "all good".to_owned(),
            count => counted(count, "problem"),
        };
        println!("{tenant}: {}, {verdict}", counted(self.blocks, "live block"));
        for problem in &self.problems {
            println!("  {}: {}", problem.kind.name(), problem.message);
            if let Some(repair) = &problem.repair {
                println!("    {repair}");
            }
        }
        if self.unlisted > 0 {
            println!(
                "  {} that no log names: uploads under way, or left by a killed process; compactors remove them",
                counted(self.unlisted, "block")
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
