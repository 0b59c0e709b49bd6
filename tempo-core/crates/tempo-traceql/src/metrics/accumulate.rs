//! What is kept of spans until series are made: per function, labels and sample.

use std::collections::{BTreeMap, HashMap};

use super::groups::Groups;
use super::histogram::Histogram;
use super::{Leaf, TimeRange};
use crate::ast::{Attribute, Intrinsic, MetricsFunction};
use crate::columns::{Column, Field, Part, Rows, Values};
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

    /// Adds one span's value: as series have it, and for a histogram as it is.
    #[inline]
    fn add(&mut self, number: f64, bucketed: Option<i64>) {
        self.count += 1;
        self.sum += number;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        if let Some(value) = bucketed {
            self.histogram.get_or_insert_default().add(value);
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

fn has_histogram(function: &MetricsFunction) -> bool {
    matches!(
        function,
        MetricsFunction::QuantileOverTime(..) | MetricsFunction::HistogramOverTime(_)
    )
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
        let places = samples.iter().zip(&groups.ids);
        match values {
            None => {
                for (sample, group) in places {
                    if let Some(cell) = table.cell(*group, *sample) {
                        cell.count += 1;
                    }
                }
            }
            Some(values) => {
                let (scale, is_histogram) = (scale(function), has_histogram(function));
                for ((sample, group), value) in places.zip(values) {
                    if let Some(value) = value
                        && let Some(cell) = table.cell(*group, *sample)
                    {
                        cell.add(value / scale, is_histogram.then_some(value as i64));
                    }
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

/// The sample of rows outside the range.
const OUTSIDE: u32 = u32::MAX;

/// The sample of each row.
fn samples(starts: &Column, range: TimeRange) -> Vec<u32> {
    let mut samples = Vec::new();
    for part in &starts.parts {
        let Values::Int(starts) = &part.values else {
            continue;
        };
        samples.reserve(starts.len());
        // Neighbours mostly start in the same sample.
        let mut known = (0..0, OUTSIDE);
        for start in starts {
            let start = *start as u64;
            if !known.0.contains(&start) {
                known = range.sample_around(start).unwrap_or((start..start + 1, OUTSIDE));
            }
            samples.push(known.1);
        }
    }
    samples
}

/// The number of each row: its first value, if that is a number and no array's.
fn numbers(column: &Column, rows: &RowSet) -> Vec<Option<f64>> {
    if let [part] = column.parts.as_slice()
        && part.rows == Rows::Dense
    {
        return numbers_of(part);
    }
    let mut first: Vec<Option<Option<f64>>> = vec![None; rows.len()];
    for part in &column.parts {
        for (number, position) in numbers_of(part).into_iter().zip(positions(part, rows)) {
            if let Some(first) = first.get_mut(position) {
                first.get_or_insert(number);
            }
        }
    }
    first.into_iter().map(Option::flatten).collect()
}

/// The number of each value.
fn numbers_of(part: &Part) -> Vec<Option<f64>> {
    match &part.values {
        Values::Int(values) | Values::Duration(values) if !part.array => {
            values.iter().map(|value| Some(*value as f64)).collect()
        }
        Values::Float(values) if !part.array => values.iter().copied().map(Some).collect(),
        other => vec![None; other.len()],
    }
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
    fn new(samples: &[u32], groups: usize) -> Self {
        /// A larger table is not made in advance.
        const MAX_DENSE: u64 = 1 << 20;
        let inside = || samples.iter().copied().filter(|sample| *sample != OUTSIDE);
        let first_sample = inside().min().unwrap_or_default();
        let last_sample = inside().max().unwrap_or_default();
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

    /// The cell of a group and a sample; `None` outside the range.
    #[inline]
    fn cell(&mut self, group: u32, sample: u32) -> Option<&mut Accumulator> {
        if sample == OUTSIDE {
            return None;
        }
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
