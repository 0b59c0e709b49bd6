//! `tempo inspect wal`: the segments of a write-ahead log.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempo_block::wal::{self, InspectedSegment};
use tempo_runtime::LocalFiles;

use super::{bytes, table};

/// Show the segments of a write-ahead log and the records in them; it may be in use.
#[derive(Debug, clap::Args)]
pub(super) struct WriteAheadLog {
    /// Its folder: the ingester's storage.trace.wal.path.
    folder: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl WriteAheadLog {
    pub(super) fn run(self) -> Result<()> {
        std::fs::metadata(&self.folder).with_context(|| format!("look into {}", self.folder.display()))?;
        let segments = wal::inspect(&LocalFiles, &self.folder)?;
        if self.json {
            println!("{}", segments.iter().map(to_json).collect::<Value>());
        } else {
            print(&segments);
        }
        Ok(())
    }
}

fn to_json(segment: &InspectedSegment) -> Value {
    let tenants = segment.tenants.iter().map(|(tenant, held)| {
        json!({
            "tenant": tenant.as_str(), "records": held.count, "first": held.first, "last": held.last,
            "payload_bytes": held.payload_bytes,
        })
    });
    let damage = segment
        .damage
        .iter()
        .map(|damage| json!({"offset": damage.offset, "length": damage.length}));
    json!({
        "file": segment.path,
        "epoch": segment.epoch.to_string(),
        "bytes": segment.bytes,
        "tenants": tenants.collect::<Value>(),
        "damage": damage.collect::<Value>(),
    })
}

fn print(segments: &[InspectedSegment]) {
    let mut listed = table(&["segment", "size", "tenant", "records", "numbers", "payload"]);
    for segment in segments {
        let name = segment
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if segment.tenants.is_empty() {
            listed.add_row([name.as_str(), &bytes(segment.bytes), "", "0", "", ""]);
        }
        for (tenant, held) in &segment.tenants {
            listed.add_row([
                name.clone(),
                bytes(segment.bytes),
                tenant.to_string(),
                held.count.to_string(),
                format!("{} to {}", held.first, held.last),
                bytes(held.payload_bytes),
            ]);
        }
    }
    println!("{listed}");
    for damage in segments.iter().flat_map(|segment| &segment.damage) {
        println!(
            "damaged: {} bytes at {} of {}",
            damage.length,
            damage.offset,
            damage.path.display()
        );
    }
}
