//! Metrics by the engine's own scan in this process, for those that the API does not answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use tempo_block::read::Reader;
use tempo_block::scan::{self, Source, TimeRange};
use tempo_traceql::metrics::{self, Metrics};
use tempo_traceql::parse;

use super::bars::Key;
use super::median;
use super::report::Figures;
use super::subject::Stored;
use crate::load::drive::Period;

const WARM: usize = 2;
const CALLS: usize = 11;
const STEP_NS: u64 = 60_000_000_000;

/// Measures what [`super::queries::measure`] left over.
pub(super) async fn measure(
    folder: &Path,
    period: Period,
    unanswered: &[(Key, &'static str)],
    figures: &mut Figures,
) -> Result<()> {
    if unanswered.is_empty() {
        return Ok(());
    }
    let stored = Stored::in_folder(folder).await?;
    let reader = Reader::new(stored.environment.clone(), stored.store.clone());
    for (key, text) in unanswered {
        let mut latencies = Vec::new();
        for call in 0..WARM + CALLS {
            let asked = Instant::now();
            evaluate(&stored, &reader, text, period).await?;
            if call >= WARM {
                latencies.push(asked.elapsed().as_secs_f64() * 1e3);
            }
        }
        figures.set(*key, median(&mut latencies));
        figures.note(*key, "by the engine's own scan");
    }
    Ok(())
}

async fn evaluate(stored: &Stored, reader: &Reader, text: &str, period: Period) -> Result<()> {
    let query = parse(text).with_context(|| format!("parse {text}"))?;
    let range = metrics::TimeRange {
        start_ns: period.start_unix_nanos,
        end_ns: period.end_unix_nanos,
        step_ns: Some(STEP_NS),
    };
    let metrics = Arc::new(Metrics::new(&query, range, 0).with_context(|| format!("prepare {text}"))?);
    let mut partial = metrics.empty();
    for meta in &stored.blocks {
        let block = reader.block(&stored.tenant, Arc::clone(meta), Arc::default())?;
        let source = Source::Block(block);
        scan::metrics(
            &stored.environment,
            &source,
            &metrics,
            TimeRange::ALL,
            &mut partial,
        )
        .await?;
    }
    metrics.finish(&partial);
    Ok(())
}
