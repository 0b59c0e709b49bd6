//! What is kept of spans until series are made: per function, labels and sample.

use std::collections::{BTreeMap, HashMap};

use super::groups::Groups;
use super::histogram::Histogram;
use super::{Leaf, TimeRange};
use crate::ast::{Attribute, Intrinsic, MetricsFunction};
use crate::columns::{Column, Field, Values};
use crate::evaluate::{EvaluateError, RowSet, Source, positions};
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

    /// Adds one span's value.
    fn add(&mut self, value: f64, function: &MetricsFunction) {
        let number = value / scale(function);
        self.count += 1;
        self.sum += number;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        if let MetricsFunction::QuantileOverTime(..) | MetricsFunction::HistogramOverTime(_) = function {
            self.histogram.get_or_insert_default().add(value as i64);
        }
    }
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
        let rows = leaf.search.rows(source)?;
        if rows.is_empty() {
            return Ok(());
        }
        let samples = samples(&source.field(&Field::Start, &rows)?, range);
        let groups = Groups::new(source, &leaf.pipeline.by, &rows)?;
        let function = &leaf.pipeline.function;
        let values = match attribute(function) {
            Some(attribute) => Some(numbers(&source.column(attribute, &rows)?, &rows)),
            None => None,
        };
        let mut table = Table::new(&samples, groups.labels.len());
        for (position, (sample, group)) in samples.iter().zip(&groups.ids).enumerate() {
            let Some(sample) = sample else {
                continue;
            };
            let value = values
                .as_ref()
                .map(|values| values.get(position).copied().flatten());
            if value == Some(None) {
                continue;
            }
            if let Some(cell) = table.cell(*group, *sample) {
                match value.flatten() {
                    Some(value) => cell.add(value, function),
                    None => cell.count += 1,
                }
            }
        }
        let keys: Vec<String> = groups.labels.iter().map(|labels| format!("{labels:?}")).collect();
        for (group, sample, accumulator) in table.into_cells() {
            let of_group = keys.get(group as usize).zip(groups.labels.get(group as usize));
            if let Some((key, labels)) = of_group {
                self.accumulate(index, (key, labels), sample as usize, &accumulator);
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

/// The sample of each row; `None` for those outside the range.
fn samples(starts: &Column, range: TimeRange) -> Vec<Option<u32>> {
    let sample = |start: &i64| range.sample(*start as u64).map(|sample| sample as u32);
    let parts = starts.parts.iter();
    let values = parts.filter_map(|part| match &part.values {
        Values::Int(values) => Some(values),
        _ => None,
    });
    values.flatten().map(sample).collect()
}

/// The number of each row: its first value, if that is a number and no array's.
fn numbers(column: &Column, rows: &RowSet) -> Vec<Option<f64>> {
    let mut first: Vec<Option<Option<f64>>> = vec![None; rows.len()];
    for part in &column.parts {
        let number = |index: usize| match &part.values {
            _ if part.array => None,
            Values::Int(values) | Values::Duration(values) => values.get(index).map(|value| *value as f64),
            Values::Float(values) => values.get(index).copied(),
            _ => None,
        };
        for (index, position) in positions(part, rows).enumerate() {
            if let Some(first) = first.get_mut(position) {
                first.get_or_insert_with(|| number(index));
            }
        }
    }
    first.into_iter().map(Option::flatten).collect()
}

/// Accumulators by group and sample. Samples of a batch are neighbours, as it covers little time.
struct Table {
    first_sample: u32,
    width: u64,
    places: Places,
    cells: Vec<(u32, u32, Accumulator)>,
}

/// Where the cell of a group and sample is in the table.
enum Places {
    Dense(Vec<u32>),
    Sparse(HashMap<u64, u32>),
}

impl Table {
    fn new(samples: &[Option<u32>], groups: usize) -> Self {
        /// A larger table is not made in advance.
        const MAX_DENSE: u64 = 1 << 20;
        let first_sample = samples.iter().flatten().min().copied().unwrap_or_default();
        let last_sample = samples.iter().flatten().max().copied().unwrap_or_default();
        let width = u64::from(last_sample - first_sample) + 1;
        let size = width.saturating_mul(groups as u64);
        Self {
            first_sample,
            width,
            places: if size <= MAX_DENSE {
                Places::Dense(vec![u32::MAX; size as usize])
            } else {
                Places::Sparse(HashMap::new())
            },
            cells: Vec::new(),
        }
    }

    fn cell(&mut self, group: u32, sample: u32) -> Option<&mut Accumulator> {
        let place = u64::from(group) * self.width + u64::from(sample - self.first_sample);
        let next = self.cells.len() as u32;
        let index = match &mut self.places {
            Places::Dense(places) => places.get_mut(place as usize)?,
            Places::Sparse(places) => places.entry(place).or_insert(u32::MAX),
        };
        if *index == u32::MAX {
            *index = next;
            self.cells.push((group, sample, Accumulator::default()));
        }
        let (.., accumulator) = self.cells.get_mut(*index as usize)?;
        Some(accumulator)
    }

    fn into_cells(self) -> Vec<(u32, u32, Accumulator)> {
        self.cells
    }
}
