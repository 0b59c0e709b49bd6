//! Metrics queries: series over time, made of the spans of batches.
//!
//! ```text
//! Metrics::new(query, range) ── add(batch, &mut partial) for each batch ─► Partial ── merge of shards ── finish ─► [Series]
//! ```
//!
//! A partial result holds counts, sums, extremes and histograms, so that those of different shards can be joined exactly;
//! quantiles, averages, arithmetic and top-k come last. Not here: `compare()`, exemplars, sampling.

mod accumulate;
mod finish;
mod groups;
mod histogram;

use std::collections::BTreeMap;
use std::ops::Range;

pub use accumulate::Partial;

use crate::ast::{
    MetricsFunction, MetricsPipeline, MetricsQuery, Operator, Query, Root, SecondStage, Static,
};
use crate::columns::{Field, SpanBatch};
use crate::evaluate::{EvaluateError, Source};
use crate::plan::{Plan, stored_fields};
use crate::search::{AttributeValue, Search, SearchOptions};

/// The time that series cover. A sample at `t` is of the spans that start in `(t - step, t]`, `t` a multiple of the step
/// since 1970, and only of those that start after `start_ns` and at or before `end_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// Unix time in nanoseconds, exclusive.
    pub start_ns: u64,
    /// Unix time in nanoseconds, inclusive.
    pub end_ns: u64,
    /// Nanoseconds; `None` for one sample at the end, of the whole range.
    pub step_ns: Option<u64>,
}

impl TimeRange {
    /// How many samples a series has at most.
    pub fn samples(&self) -> usize {
        let count = match self.step_ns {
            None => u64::from(self.end_ns > self.start_ns),
            Some(step) if step > 0 && self.end_ns > self.start_ns => {
                self.end_ns.div_ceil(step) - self.start_ns / step
            }
            Some(_) => 0,
        };
        count as usize
    }

    /// The sample that a span which starts at `time_ns` belongs to, and other times which belong to it.
    fn sample_around(&self, time_ns: u64) -> Option<(Range<u64>, u32)> {
        if time_ns <= self.start_ns || time_ns > self.end_ns {
            return None;
        }
        let (first, last, sample) = match self.step_ns {
            None => (self.start_ns + 1, self.end_ns, 0),
            Some(step) => {
                let last = time_ns.checked_next_multiple_of(step)?;
                let sample = last / step - self.start_ns / step - 1;
                let first = last - step + 1;
                (first.max(self.start_ns + 1), last.min(self.end_ns), sample)
            }
        };
        Some((first..last.saturating_add(1), sample as u32))
    }

    /// The time of a sample.
    fn time_ns(&self, sample: usize) -> u64 {
        match self.step_ns {
            None => self.end_ns,
            Some(step) => (self.start_ns / step + 1 + sample as u64) * step,
        }
    }

    /// What `rate()` divides by.
    fn seconds(&self) -> f64 {
        let whole = || self.end_ns.saturating_sub(self.start_ns);
        self.step_ns.unwrap_or_else(whole) as f64 / 1e9
    }
}

/// Samples with the labels they share.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The values of `by()`, or the function's name as `__name__`; `p` of quantiles, `__bucket` of histograms.
    pub labels: BTreeMap<String, AttributeValue>,
    /// Unix time in nanoseconds, and the value; ascending. Times without a value are left out; a value may be infinite.
    pub samples: Vec<(u64, f64)>,
}

/// A metrics query made ready to run over batches.
#[derive(Debug, Clone)]
pub struct Metrics {
    root: Node,
    leaves: Vec<Leaf>,
    range: TimeRange,
    max_series: usize,
}

/// What is computed of what.
#[derive(Debug, Clone)]
enum Node {
    /// The series of a leaf, by its index.
    Leaf(usize),
    Constant(f64),
    Binary(Operator, Box<Self>, Box<Self>),
    SecondStage(Box<Self>, SecondStage),
}

/// A function of the spans that a pipeline leaves.
#[derive(Debug, Clone)]
struct Leaf {
    search: Search,
    pipeline: MetricsPipeline,
}

impl Metrics {
    /// Prepares a query. Of each function at most `max_series` series are kept (0: all); [`Partial::is_truncated`]
    /// tells when there were more.
    pub fn new(query: &Query, range: TimeRange, max_series: usize) -> Result<Self, EvaluateError> {
        let Root::Metrics(metrics) = &query.root else {
            return Err(EvaluateError::Unsupported(
                "a search gives no series: add a function, as in { ... } | rate()".to_owned(),
            ));
        };
        let mut leaves = Vec::new();
        let root = node(metrics, &mut leaves)?;
        Ok(Self {
            root,
            leaves,
            range,
            max_series,
        })
    }

    /// A result without spans.
    pub fn empty(&self) -> Partial {
        Partial::new(self.leaves.len(), self.max_series)
    }

    /// What prunes batches: one that no plan can match adds nothing.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.leaves.iter().map(|leaf| leaf.search.plan())
    }

    /// The stored fields that it may read of a batch besides those of its plans.
    pub fn fields(&self) -> Vec<Field> {
        let of_leaf = |leaf: &Leaf| {
            let of = accumulate::attribute(&leaf.pipeline.function).into_iter();
            let attributes = of.chain(&leaf.pipeline.by);
            attributes.flat_map(stored_fields).collect::<Vec<_>>()
        };
        let mut fields: Vec<Field> = self.leaves.iter().flat_map(of_leaf).collect();
        fields.push(Field::Start);
        fields
    }

    /// Adds the spans of a batch.
    pub fn add(&self, batch: &dyn SpanBatch, partial: &mut Partial) -> Result<(), EvaluateError> {
        let source = Source::new(batch);
        for (index, leaf) in self.leaves.iter().enumerate() {
            partial.add(index, leaf, &source, self.range)?;
        }
        Ok(())
    }

    /// The series of all that was added.
    pub fn finish(&self, partial: &Partial) -> Vec<Series> {
        finish::finish(self, partial)
    }
}

fn node(query: &MetricsQuery, leaves: &mut Vec<Leaf>) -> Result<Node, EvaluateError> {
    Ok(match query {
        MetricsQuery::Constant(value) => Node::Constant(constant(value)),
        MetricsQuery::Series(pipeline) => {
            if matches!(pipeline.function, MetricsFunction::Compare { .. }) {
                return Err(EvaluateError::Unsupported("compare()".to_owned()));
            }
            let whole = Query {
                root: Root::Search(pipeline.pipeline.clone()),
                hints: Vec::new(),
            };
            leaves.push(Leaf {
                search: Search::new(&whole, SearchOptions::default())?,
                pipeline: pipeline.clone(),
            });
            Node::Leaf(leaves.len() - 1)
        }
        MetricsQuery::Binary {
            operator,
            left,
            right,
        } => Node::Binary(*operator, node(left, leaves)?.into(), node(right, leaves)?.into()),
        MetricsQuery::SecondStage(series, stage) => {
            Node::SecondStage(node(series, leaves)?.into(), stage.clone())
        }
    })
}

/// A constant as series have it: durations in seconds.
fn constant(value: &Static) -> f64 {
    match value {
        Static::Duration(nanos) => *nanos as f64 / 1e9,
        number => number.as_number().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_on_multiples_of_the_step() {
        let range = TimeRange {
            start_ns: 15,
            end_ns: 40,
            step_ns: Some(10),
        };
        assert_eq!(range.samples(), 3);
        assert_eq!(
            [15, 16, 20, 21, 40, 41].map(|time| range.sample_around(time).map(|(_, sample)| sample)),
            [None, Some(0), Some(0), Some(1), Some(2), None]
        );
        assert_eq!([0, 1, 2].map(|sample| range.time_ns(sample)), [20, 30, 40]);
    }

    #[test]
    fn an_instant_is_one_sample_at_the_end() {
        let range = TimeRange {
            start_ns: 15,
            end_ns: 40,
            step_ns: None,
        };
        assert_eq!(
            (range.samples(), range.sample_around(16), range.time_ns(0)),
            (1, Some((16..41, 0)), 40)
        );
    }

    #[test]
    fn ranges_without_time_have_no_samples() {
        for step_ns in [None, Some(0), Some(10)] {
            let range = TimeRange {
                start_ns: 40,
                end_ns: 40,
                step_ns,
            };
            assert_eq!((range.samples(), range.sample_around(40)), (0, None));
        }
    }
}
