//! How cost grows: with the number of spans, and with the number of blocks that the same spans lie in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::bars::Key;
use super::generator::{Generator, Part};
use super::plot::{Line, Panel, Scale, svg};
use super::report::Figures;
use super::subject::{NO_COMPACTION, Stored, Subject};
use super::{Load, binary, ingest, queries};
use crate::load::drive::Period;

/// Heads that were made into blocks leave memory soon: queries are to read the blocks.
const SHORT_LINGER: &str = "ingester: {complete_block_timeout: 1s}\n";
const LINGER: Duration = Duration::from_secs(2);

/// Measure how cost grows with the number of spans and of blocks, and plot it.
#[derive(Debug, clap::Args)]
pub(super) struct Growth {
    /// Numbers of spans.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000, 5_000_000, 20_000_000], value_name = "N,...")]
    spans: Vec<u64>,
    /// Numbers of blocks.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 1000], value_name = "N,...")]
    blocks: Vec<u64>,
    /// How many spans lie in the blocks.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    spans_in_blocks: u64,
    #[command(flatten)]
    load: Load,
    /// Another binary than this one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Write the plots growth-spans.svg and growth-blocks.svg into this folder.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

/// What was measured of one size.
#[derive(Debug, Clone, Default)]
struct Point {
    /// The number of spans or of blocks.
    size: u64,
    /// Names and values.
    costs: Vec<(&'static str, f64)>,
    /// Queries: names, milliseconds, milliseconds of CPU.
    queries: Vec<(&'static str, f64, f64)>,
}

impl Growth {
    pub(super) async fn run(self) -> Result<()> {
        let binary = binary(self.binary.as_deref())?;
        let (mut spans, mut blocks) = (Vec::new(), Vec::new());
        for size in &self.spans {
            eprintln!("bench: {size} spans");
            spans.push(self.with_spans(&binary, *size).await?);
        }
        for number in &self.blocks {
            eprintln!("bench: {number} blocks");
            blocks.push(self.with_blocks(&binary, *number).await?);
        }
        println!(
            "{}",
            json!({"spans": to_json(&spans), "blocks": to_json(&blocks)})
        );
        if let Some(folder) = &self.plots {
            std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
            draw(&folder.join("growth-spans.svg"), "spans", &spans)?;
            draw(&folder.join("growth-blocks.svg"), "blocks", &blocks)?;
        }
        Ok(())
    }

    async fn with_spans(&self, binary: &Path, spans: u64) -> Result<Point> {
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let generator = self.load.prepare(spans, folder.path())?;
        let mut figures = Figures::default();
        let filled = ingest::fill(binary, &folder.path().join("engine"), &generator, &mut figures).await?;
        let queries = asked(&filled.subject, &generator, filled.sent.period).await?;
        filled.subject.stop().await?;
        let names = [
            ("CPU-s per million spans, settled", Key::IngestCpu),
            ("peak memory, MB", Key::IngestPeak),
            ("bytes a span", Key::StoredBytes),
        ];
        let costs = names.map(|(name, key)| (name, figures.get(key).unwrap_or_default()));
        Ok(Point {
            size: spans,
            costs: costs.to_vec(),
            queries,
        })
    }

    async fn with_blocks(&self, binary: &Path, number: u64) -> Result<Point> {
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let generator = self.load.prepare(self.spans_in_blocks, folder.path())?;
        let engine = folder.path().join("engine");
        let subject = Subject::start(binary, &engine, &format!("{NO_COMPACTION}{SHORT_LINGER}")).await?;
        let period = cut(&subject, &generator, number).await?;
        tokio::time::sleep(LINGER).await;
        subject.rest().await?;
        let queries = asked(&subject, &generator, period).await?;
        subject.stop().await?;
        let blocks = Stored::in_folder(&engine).await?.blocks.len() as u64;
        Ok(Point {
            size: blocks,
            costs: Vec::new(),
            queries,
        })
    }
}

/// Sends everything in so many parts, each of which becomes a block.
async fn cut(subject: &Subject, generator: &Generator, number: u64) -> Result<Period> {
    let each = generator.spans.div_ceil(number.max(1));
    let mut all: Option<Period> = None;
    for skip in (0..number)
        .map(|part| part * each)
        .take_while(|skip| *skip < generator.spans)
    {
        let sent = generator
            .send(&subject.address(), Part { skip, spans: each })
            .await?;
        subject.flush().await?;
        let so_far = all.unwrap_or(sent.period);
        all = Some(Period {
            start_unix_nanos: so_far.start_unix_nanos.min(sent.period.start_unix_nanos),
            end_unix_nanos: so_far.end_unix_nanos.max(sent.period.end_unix_nanos),
        });
    }
    all.context("there is nothing to send")
}

async fn asked(
    subject: &Subject,
    generator: &Generator,
    period: Period,
) -> Result<Vec<(&'static str, f64, f64)>> {
    let few = queries::few(subject, &generator.ids, period).await?;
    let each = few.into_iter();
    Ok(each
        .map(|(name, timed)| (name, timed.p50, timed.cpu_seconds * 1e3))
        .collect())
}

fn to_json(points: &[Point]) -> Value {
    let point = |point: &Point| {
        let mut value = json!({"size": point.size});
        for (name, cost) in &point.costs {
            value[*name] = json!(cost);
        }
        for (name, p50, cpu) in &point.queries {
            value[*name] = json!({"p50_ms": p50, "cpu_ms": cpu});
        }
        value
    };
    points.iter().map(point).collect()
}

fn draw(file: &Path, across: &str, points: &[Point]) -> Result<()> {
    let image = svg(across, &panels(points));
    std::fs::write(file, image).with_context(|| format!("write {}", file.display()))
}

fn panels(points: &[Point]) -> Vec<Panel> {
    let Some(first) = points.first() else {
        return Vec::new();
    };
    let at = |place: fn(&Point, usize) -> Option<f64>, index: usize| {
        let points = points.iter();
        points
            .filter_map(|point| Some((point.size as f64, place(point, index)?)))
            .collect()
    };
    let costs = first.costs.iter().enumerate().map(|(index, (name, _))| Panel {
        title: (*name).to_owned(),
        scale: Scale::Linear,
        lines: vec![Line {
            name: (*name).to_owned(),
            points: at(|point, index| point.costs.get(index).map(|cost| cost.1), index),
        }],
    });
    let queries = |title: &str, place: fn(&Point, usize) -> Option<f64>| Panel {
        title: title.to_owned(),
        scale: Scale::Logarithmic,
        lines: first
            .queries
            .iter()
            .enumerate()
            .map(|(index, (name, ..))| Line {
                name: (*name).to_owned(),
                points: at(place, index),
            })
            .collect(),
    };
    costs
        .chain([
            queries("query p50, ms", |point, index| {
                point.queries.get(index).map(|query| query.1)
            }),
            queries("CPU of a query, ms", |point, index| {
                let cpu = point.queries.get(index).map(|query| query.2);
                // The kernel counts in hundredths of a second: less than this is not known.
                cpu.map(|cpu| cpu.max(0.01))
            }),
        ])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cost_has_a_panel_and_queries_share_two() {
        let point = |size| Point {
            size,
            costs: vec![("bytes a span", 30.0)],
            queries: vec![("hit", 1.0, 2.0), ("miss", 0.5, 0.0)],
        };
        let panels = panels(&[point(1), point(10)]);
        assert_eq!(panels.len(), 3);
        assert_eq!(panels[0].lines[0].points, [(1.0, 30.0), (10.0, 30.0)]);
        assert_eq!(panels[1].lines.len(), 2);
        assert!(panels[2].lines[1].points.iter().all(|(_, cpu)| *cpu > 0.0));
    }
}
