//! `tempo inspect block`: what is in a block.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempo_block::catalogue::Catalogue;
use tempo_block::log::CommitLog;
use tempo_block::meta::BlockMeta;
use tempo_block::read::{ReadStatistics, RowGroupSummary};
use tempo_model::TenantId;
use tempo_traceql::ast::Scope;
use ulid::Ulid;

use super::{bytes, table, time};
use crate::cli::opened::StoreArguments;

/// Show what is in a live block: its files, row groups and attributes.
#[derive(Debug, clap::Args)]
pub(super) struct Block {
    #[command(flatten)]
    store: StoreArguments,
    /// Whose block it is.
    #[arg(long, value_name = "TENANT", default_value_t = TenantId::single())]
    tenant: TenantId,
    /// How many attributes to list at most, those on most spans first.
    #[arg(long, value_name = "N", default_value_t = 30)]
    attributes: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[arg(value_name = "BLOCK")]
    /// The block's id; `tempo inspect log --live` lists them.
    id: Ulid,
}

/// What is shown.
struct Contents {
    meta: Arc<BlockMeta>,
    row_groups: Vec<RowGroupSummary>,
    keys: Vec<Key>,
}

/// An attribute.
struct Key {
    name: String,
    count: u64,
    distinct: u64,
    complete: bool,
    types: String,
}

impl Block {
    pub(super) async fn run(self) -> Result<()> {
        let opened = self.store.open()?;
        let log = CommitLog::open(&opened.environment, &opened.store, &self.tenant).await?;
        let snapshot = log.snapshot();
        let meta = snapshot.state.block(self.id).cloned().with_context(|| {
            format!(
                "tenant {} has no live block {}; `tempo inspect log --live` lists those that it has",
                self.tenant, self.id
            )
        })?;
        let block = opened.reader.block(
            &self.tenant,
            Arc::clone(&meta),
            Arc::new(ReadStatistics::default()),
        )?;
        let contents = Contents {
            row_groups: block.row_groups().await?,
            keys: keys(&*block.catalogue().await?),
            meta,
        };
        if self.json {
            println!("{}", contents.to_json());
        } else {
            contents.print(self.attributes);
        }
        Ok(())
    }
}

fn keys(catalogue: &Catalogue) -> Vec<Key> {
    let mut keys: Vec<Key> = Scope::ALL
        .into_iter()
        .flat_map(|scope| catalogue.keys(scope).map(move |(name, key)| (scope, name, key)))
        .map(|(scope, name, key)| Key {
            name: format!("{}.{name}", scope.name()),
            count: key.count,
            distinct: key.distinct,
            complete: key.complete,
            types: key.types.iter().cloned().collect::<Vec<_>>().join(", "),
        })
        .collect();
    keys.sort_by(|one, other| {
        other
            .count
            .cmp(&one.count)
            .then_with(|| one.name.cmp(&other.name))
    });
    keys
}

impl Contents {
    fn to_json(&self) -> Value {
        let row_groups: Vec<Value> = self
            .row_groups
            .iter()
            .map(|group| {
                json!({
                    "number": group.number, "spans": group.spans,
                    "start_ns": group.start_ns, "latest_start_ns": group.latest_start_ns, "end_ns": group.end_ns,
                })
            })
            .collect();
        let attributes: Vec<Value> = self
            .keys
            .iter()
            .map(|key| {
                json!({
                    "name": key.name, "count": key.count, "distinct": key.distinct,
                    "all_values_known": key.complete, "types": key.types,
                })
            })
            .collect();
        json!({"meta": *self.meta, "row_groups": row_groups, "attributes": attributes})
    }

    fn print(&self, most_attributes: usize) {
        let meta = &self.meta;
        let mut about = table(&["block", &meta.id.to_string()]);
        about.add_row(["format", &meta.format.to_string()]);
        about.add_row(["level", &meta.level.to_string()]);
        about.add_row(["spans", &meta.spans.to_string()]);
        about.add_row(["rows of the trace table", &meta.traces.to_string()]);
        about.add_row(["first start", &time(meta.start_ns)]);
        about.add_row(["last end", &time(meta.end_ns)]);
        about.add_row(["arrived from", &time(meta.first_arrival_ns)]);
        about.add_row(["arrived to", &time(meta.last_arrival_ns)]);
        about.add_row(["spans.parquet", &bytes(meta.spans_file.bytes)]);
        about.add_row(["traces.parquet", &bytes(meta.traces_file.bytes)]);
        about.add_row(["catalogue", &bytes(meta.catalogue_file.bytes)]);
        about.add_row(["traces may go on elsewhere", &meta.continued.to_string()]);
        about.add_row(["may have duplicates", &meta.maybe_duplicates.to_string()]);
        println!("{about}");
        let mut groups = table(&["row group", "spans", "first start", "last end"]);
        for group in &self.row_groups {
            groups.add_row([
                group.number.to_string(),
                group.spans.to_string(),
                time(group.start_ns),
                time(group.end_ns),
            ]);
        }
        println!("\n{groups}");
        let mut attributes = table(&["attribute", "values", "distinct", "types"]);
        for key in self.keys.iter().take(most_attributes) {
            let distinct = if key.complete { "" } else { "at least " };
            attributes.add_row([
                key.name.clone(),
                key.count.to_string(),
                format!("{distinct}{}", key.distinct),
                key.types.clone(),
            ]);
        }
        println!("\n{attributes}");
        let more = self.keys.len().saturating_sub(most_attributes);
        if more > 0 {
            println!("and {more} more; --attributes {} lists all", self.keys.len());
        }
    }
}
