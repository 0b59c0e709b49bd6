//! `tempo inspect`: what a store and a write-ahead log hold, for people and for scripts.

mod block;
mod log;
mod wal;

use anyhow::Result;
use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;

/// Show what is stored. Nothing is changed.
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Log(log::Log),
    Block(block::Block),
    Wal(wal::WriteAheadLog),
}

impl Inspect {
    pub(super) async fn run(self) -> Result<()> {
        match self.what {
            What::Log(log) => log.run().await,
            What::Block(block) => block.run().await,
            What::Wal(wal) => wal.run(),
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

/// A time in nanoseconds since the Unix epoch, to the millisecond.
fn time(unix_nanos: u64) -> String {
    let text = Timestamp::from_millisecond((unix_nanos / 1_000_000) as i64).map(|time| time.to_string());
    text.unwrap_or_else(|_| unix_nanos.to_string())
}

/// A number of bytes that people can read.
fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_readable() {
        assert_eq!(time(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123Z");
        assert_eq!(time(u64::MAX), "2554-07-21T23:34:33.709Z");
        assert_eq!(bytes(2048), "2.00 KiB");
    }
}
