//! `tempo inspect log`: which blocks live, and which WAL streams are open.

use anyhow::Result;
use serde_json::{Value, json};
use tempo_block::layout::BlockFile;
use tempo_block::log::{CommitLog, StreamLog, StreamState};
use tempo_block::meta::BlockMeta;
use tempo_model::TenantId;

use super::{bytes, table, time};
use crate::cli::opened::{Opened, StoreArguments};

/// Show the commit log of each tenant: its position, its blocks, and the WAL streams of the whole stack.
#[derive(Debug, clap::Args)]
pub(super) struct Log {
    #[command(flatten)]
    store: StoreArguments,
    /// Only this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// List every live block.
    #[arg(long)]
    live: bool,
    /// Print the path of the spans of each live block and no more: what DuckDB and others read (docs/format.md).
    #[arg(long, conflicts_with = "json")]
    paths: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Log {
    pub(super) async fn run(self) -> Result<()> {
        let opened = self.store.open()?;
        let mut tenants = Vec::new();
        for tenant in opened.tenants(self.tenant.as_ref()).await? {
            tenants.push(CommitLog::open(&opened.environment, &opened.store, &tenant).await?);
        }
        if self.paths {
            print_paths(&opened, &tenants);
            return Ok(());
        }
        let streams = streams(&opened).await?;
        if self.json {
            println!("{}", self.to_json(&tenants, &streams));
        } else {
            self.print(&tenants, &streams);
        }
        Ok(())
    }

    fn to_json(&self, tenants: &[CommitLog], streams: &[Stream]) -> Value {
        let tenants: Vec<Value> = tenants.iter().map(|log| self.tenant_json(log)).collect();
        let streams: Vec<Value> = streams
            .iter()
            .map(|stream| json!({"epoch": stream.epoch, "state": stream.state, "replicas": stream.replicas}))
            .collect();
        json!({"tenants": tenants, "streams": streams})
    }

    fn tenant_json(&self, log: &CommitLog) -> Value {
        let snapshot = log.snapshot();
        let totals = Totals::of(snapshot.state.live());
        let mut value = json!({
            "tenant": log.tenant().as_str(),
            "position": snapshot.position,
            "blocks": totals.blocks,
            "spans": totals.spans,
            "bytes": totals.bytes,
        });
        if self.live {
            value["live"] = snapshot.state.live().map(|meta| json!(meta)).collect();
        }
        value
    }

    fn print(&self, tenants: &[CommitLog], streams: &[Stream]) {
        let mut overview = table(&["tenant", "position", "blocks", "spans", "bytes", "bytes a span"]);
        for log in tenants {
            let snapshot = log.snapshot();
            let totals = Totals::of(snapshot.state.live());
            overview.add_row([
                log.tenant().to_string(),
                snapshot.position.to_string(),
                totals.blocks.to_string(),
                totals.spans.to_string(),
                bytes(totals.bytes),
                format!("{:.1}", totals.bytes as f64 / totals.spans.max(1) as f64),
            ]);
        }
        println!("{overview}");
        if self.live {
            for log in tenants {
                println!("\nlive blocks of {}", log.tenant());
                println!("{}", blocks_table(log.snapshot().state.live()));
            }
        }
        let mut open = table(&["WAL stream", "state", "replicas"]);
        for Stream {
            epoch,
            state,
            replicas,
        } in streams
        {
            open.add_row([epoch, state, &replicas.join(", ")]);
        }
        println!("\n{open}");
    }
}

fn print_paths(opened: &Opened, tenants: &[CommitLog]) {
    for log in tenants {
        for meta in log.snapshot().state.live() {
            println!("{}/{}", opened.root, BlockFile::Spans.path(log.tenant(), meta.id));
        }
    }
}

/// A WAL stream of which records may be somewhere else than in blocks.
struct Stream {
    epoch: String,
    state: String,
    replicas: Vec<String>,
}

async fn streams(opened: &Opened) -> Result<Vec<Stream>> {
    let log = StreamLog::open(&opened.environment, &opened.store).await?;
    let snapshot = log.snapshot();
    let streams = snapshot.state.iter().map(|(epoch, stream)| Stream {
        epoch: epoch.to_string(),
        state: match &stream.state {
            StreamState::Open => "open".to_owned(),
            StreamState::Closed { .. } => "closed, not all in blocks".to_owned(),
            StreamState::Lost => "lost".to_owned(),
        },
        replicas: stream
            .replicas
            .iter()
            .map(|replica| match replica.address.as_str() {
                "" => replica.disk.to_string(),
                address => format!("{} at {address}", replica.disk),
            })
            .collect(),
    });
    Ok(streams.collect())
}

#[derive(Default)]
struct Totals {
    blocks: u64,
    spans: u64,
    bytes: u64,
}

impl Totals {
    fn of<'a>(live: impl Iterator<Item = &'a std::sync::Arc<BlockMeta>>) -> Self {
        live.fold(Self::default(), |totals, meta| Self {
            blocks: totals.blocks + 1,
            spans: totals.spans + meta.spans,
            bytes: totals.bytes + meta.bytes(),
        })
    }
}

fn blocks_table<'a>(live: impl Iterator<Item = &'a std::sync::Arc<BlockMeta>>) -> comfy_table::Table {
    let mut blocks = table(&[
        "block",
        "level",
        "spans",
        "traces",
        "row groups",
        "bytes",
        "first",
        "last",
    ]);
    for meta in live {
        blocks.add_row([
            meta.id.to_string(),
            meta.level.to_string(),
            meta.spans.to_string(),
            meta.traces.to_string(),
            meta.row_groups.to_string(),
            bytes(meta.bytes()),
            time(meta.start_ns),
            time(meta.end_ns),
        ]);
    }
    blocks
}
