//! `tempo inspect`: what a store and a write-ahead log hold, for people and for scripts.

mod block;
mod log;
mod wal;

use anyhow::Result;
use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
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

/// Shows how far long work is, unless nobody watches.
pub(super) fn progress(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len}, {eta} left");
    let bar = ProgressBar::new(total).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A number with its noun: `1 block`, `2 blocks`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
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
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(counted(2, "block"), "2 blocks");
    }
}
