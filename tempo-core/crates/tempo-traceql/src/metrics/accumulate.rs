//! What is kept of spans until series are made: per function, labels and sample.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::{Leaf, TimeRange};
use crate::ast::{Attribute, Expression, Intrinsic, MetricsFunction, Static};
use crate::columns::Field;
use crate::evaluate::values::{Cell, cells, group};
use crate::evaluate::{EvaluateError, RowSet, Source};
use crate::search::AttributeValue;

/// What was added so far. Partial results of one query join exactly.
#[derive(Debug, Clone)]
pub struct Partial {
    pub(super) leaves: Vec<BTreeMap<String, Grouped>>,
    max_series: usize,
    truncated: bool,
}

/// The spans with certain labels.
#[derive(Debug, Clone)]
pub(super) struct Grouped {
    /// The values of `by()`, in its order.
    pub(super) labels: Vec<AttributeValue>,
    /// By the number of the sample.
    pub(super) samples: BTreeMap<usize, Accumulator>,
}

/// What is kept of the spans of a sample.
#[derive(Debug, Clone)]
pub(super) struct Accumulator {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) histogram: Option<Box<Histogram>>,
}

impl Default for Accumulator {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            histogram: None,
        }
    }
}

impl Accumulator {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if let Some(other) = &other.histogram {
            self.histogram.get_or_insert_default().merge(other);
        }
    }

    /// What is kept of one span's value.
    fn of(value: &Static, function: &MetricsFunction) -> Option<Self> {
        let number = number(value, function)?;
        let mut histogram = None;
        if matches!(
            function,
            MetricsFunction::QuantileOverTime(..) | MetricsFunction::HistogramOverTime(_)
        ) {
            let buckets: &mut Box<Histogram> = histogram.get_or_insert_default();
            buckets.add(value.as_number()? as i64);
        }
        Some(Self {
            count: 1,
            sum: number,
            min: number,
            max: number,
            histogram,
        })
    }

    /// A span that is only counted.
    fn counted() -> Self {
        Self {
            count: 1,
            ..Self::default()
        }
    }
}

/// A span's value as series have it: its own duration in seconds, everything else as it is.
fn number(value: &Static, function: &MetricsFunction) -> Option<f64> {
    Some(value.as_number()? / scale(function))
}

/// Nanoseconds of a second for functions of a span's own duration, else 1.
pub(super) fn scale(function: &MetricsFunction) -> f64 {
    match attribute(function) {
        Some(Attribute::Intrinsic(Intrinsic::Duration)) => 1e9,
        _ => 1.0,
    }
}

/// What a function is of.
pub(super) fn attribute(function: &MetricsFunction) -> Option<&Attribute> {
    match function {
        MetricsFunction::MinOverTime(attribute)
        | MetricsFunction::MaxOverTime(attribute)
        | MetricsFunction::AvgOverTime(attribute)
        | MetricsFunction::SumOverTime(attribute)
        | MetricsFunction::HistogramOverTime(attribute)
        | MetricsFunction::QuantileOverTime(attribute, _) => Some(attribute),
        MetricsFunction::Rate | MetricsFunction::CountOverTime | MetricsFunction::Compare { .. } => None,
    }
}

impl Partial {
    pub(super) fn new(leaves: usize, max_series: usize) -> Self {
        Self {
            leaves: vec![BTreeMap::new(); leaves],
            max_series,
            truncated: false,
        }
    }

    /// Whether there were more series than are kept.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Adds another partial result of the same query.
    pub fn merge(&mut self, other: Self) {
        self.truncated |= other.truncated;
        for (index, leaf) in other.leaves.into_iter().enumerate() {
            for (key, grouped) in leaf {
                for (sample, accumulator) in grouped.samples {
                    self.accumulate(index, (&key, &grouped.labels), sample, &accumulator);
                }
            }
        }
    }

    /// Adds the spans of a batch that a leaf is of.
    pub(super) fn add(
        &mut self,
        index: usize,
        leaf: &Leaf,
        source: &Source<'_>,
        range: TimeRange,
    ) -> Result<(), EvaluateError> {
        let sets = leaf.search.spansets(source)?;
        let mut rows: Vec<u32> = sets.into_iter().flat_map(|set| set.rows).collect();
        rows.sort_unstable();
        rows.dedup();
        let rows = RowSet::Some(rows);
        if rows.is_empty() {
            return Ok(());
        }
        let column =
            |attribute: &Attribute| Ok::<_, EvaluateError>(cells(&source.column(attribute, &rows)?, &rows));
        let starts = cells(&source.field(&Field::Start, &rows)?, &rows);
        let function = &leaf.pipeline.function;
        let values = attribute(function).map(column).transpose()?;
        let by = leaf
            .pipeline
            .by
            .iter()
            .map(column)
            .collect::<Result<Vec<_>, _>>()?;
        for (position, start) in starts.iter().enumerate() {
            let Some(Static::Int(start)) = start.first() else {
                continue;
            };
            let Some(sample) = range.sample(*start as u64) else {
                continue;
            };
            let accumulator = match values.as_ref().map(|values| values.get(position)) {
                None => Some(Accumulator::counted()),
                Some(value) => value.and_then(|cell| of_cell(cell, function)),
            };
            if let Some(accumulator) = accumulator {
                let labels = labels(&leaf.pipeline.by, &by, position);
                self.accumulate(index, (&format!("{labels:?}"), &labels), sample, &accumulator);
            }
        }
        Ok(())
    }

    fn accumulate(
        &mut self,
        index: usize,
        (key, labels): (&str, &[AttributeValue]),
        sample: usize,
        accumulator: &Accumulator,
    ) {
        let Some(leaf) = self.leaves.get_mut(index) else {
            return;
        };
        if !leaf.contains_key(key) {
            if self.max_series > 0 && leaf.len() >= self.max_series {
                self.truncated = true;
                return;
            }
            let grouped = Grouped {
                labels: labels.to_vec(),
                samples: BTreeMap::new(),
            };
            leaf.insert(key.to_owned(), grouped);
        }
        if let Some(grouped) = leaf.get_mut(key) {
            grouped.samples.entry(sample).or_default().merge(accumulator);
        }
    }
}

fn of_cell(cell: &Cell, function: &MetricsFunction) -> Option<Accumulator> {
    match cell {
        Cell::Array(_) => None,
        cell => Accumulator::of(cell.first()?, function),
    }
}

/// The values of `by()` of a row.
fn labels(by: &[Attribute], cells: &[Vec<Cell>], position: usize) -> Vec<AttributeValue> {
    let label = |(attribute, cells): (&Attribute, &Vec<Cell>)| {
        let cell = cells.get(position).unwrap_or(&Cell::Missing);
        group(&Expression::Attribute(attribute.clone()), cell)
    };
    by.iter().zip(cells).map(label).collect()
}
