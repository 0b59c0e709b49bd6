//! From partial results to series: the functions' last step, arithmetic, comparison and top-k.

use std::collections::BTreeMap;

use super::accumulate::{Accumulator, Grouped, Partial, scale};
use super::histogram::Histogram;
use super::{Leaf, Metrics, Node, Series, TimeRange, constant};
use crate::ast::{MetricsFunction, Operator, SecondStage, Static};
use crate::fold::{floats, ordered};
use crate::search::AttributeValue;

/// The label that names the function of a series without groups.
const NAME: &str = "__name__";

/// A series with a value for every sample; NaN where there is none.
#[derive(Debug, Clone)]
struct Line {
    labels: BTreeMap<String, AttributeValue>,
    values: Vec<f64>,
}

/// What a node gives.
enum Value {
    Number(f64),
    Lines(Vec<Line>),
}

pub(super) fn finish(metrics: &Metrics, partial: &Partial) -> Vec<Series> {
    let lines = match evaluate(metrics, &metrics.root, partial) {
        Value::Lines(lines) => lines,
        Value::Number(number) => vec![Line {
            labels: BTreeMap::new(),
            values: vec![number; metrics.range.samples()],
        }],
    };
    let series = |line: Line| Series {
        samples: line
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| !value.is_nan())
            .map(|(sample, value)| (metrics.range.time_ns(sample), *value))
            .collect(),
        labels: line.labels,
    };
    let mut all: Vec<Series> = lines.into_iter().map(series).collect();
    all.retain(|series| !series.samples.is_empty());
    all
}

fn evaluate(metrics: &Metrics, node: &Node, partial: &Partial) -> Value {
    match node {
        Node::Constant(number) => Value::Number(*number),
        Node::Leaf(index) => {
            let parts = metrics.leaves.get(*index).zip(partial.leaves.get(*index));
            Value::Lines(parts.map_or_else(Vec::new, |(leaf, grouped)| lines(leaf, grouped, metrics.range)))
        }
        Node::Binary(operator, left, right) => binary(
            *operator,
            evaluate(metrics, left, partial),
            evaluate(metrics, right, partial),
        ),
        Node::SecondStage(series, stage) => match evaluate(metrics, series, partial) {
            Value::Lines(lines) => Value::Lines(second_stage(lines, stage)),
            number @ Value::Number(_) => number,
        },
    }
}

/// The series of a function.
fn lines(leaf: &Leaf, grouped: &BTreeMap<String, Grouped>, range: TimeRange) -> Vec<Line> {
    let function = &leaf.pipeline.function;
    let counts = matches!(function, MetricsFunction::Rate | MetricsFunction::CountOverTime);
    if counts && leaf.pipeline.by.is_empty() && grouped.is_empty() {
        let labels = BTreeMap::from([name_label(function)]);
        return vec![Line {
            labels,
            values: vec![0.0; range.samples()],
        }];
    }
    let of_group = |grouped: &Grouped| {
        let keys = leaf.pipeline.by.iter().map(ToString::to_string);
        let labels: BTreeMap<_, _> = keys.zip(grouped.labels.iter().cloned()).collect();
        variants(function, grouped)
            .into_iter()
            .map(|(label, value)| Line {
                labels: labels.clone().into_iter().chain(label).collect(),
                values: (0..range.samples())
                    .map(|sample| value(grouped.samples.get(&sample), range))
                    .collect(),
            })
            .map(|line| named(line, function))
            .collect::<Vec<_>>()
    };
    grouped.values().flat_map(of_group).collect()
}

fn named(mut line: Line, function: &MetricsFunction) -> Line {
    if line.labels.is_empty() {
        line.labels.extend([name_label(function)]);
    }
    line
}

fn name_label(function: &MetricsFunction) -> (String, AttributeValue) {
    let text = function.to_string();
    let name = text.split('(').next().unwrap_or_default().to_owned();
    (NAME.to_owned(), AttributeValue::One(Static::String(name)))
}

type Label = Option<(String, AttributeValue)>;
type ValueOf<'a> = Box<dyn Fn(Option<&Accumulator>, TimeRange) -> f64 + 'a>;

/// The series that a function makes of a group: one, or one for each quantile or bucket.
fn variants<'a>(function: &'a MetricsFunction, grouped: &Grouped) -> Vec<(Label, ValueOf<'a>)> {
    let number = |key: &str, value: f64| Some((key.to_owned(), AttributeValue::One(Static::Float(value))));
    match function {
        MetricsFunction::QuantileOverTime(_, shares) => {
            let quantile = |share: &'a f64| -> (Label, ValueOf<'a>) {
                let value = move |found: Option<&Accumulator>, _: TimeRange| {
                    let histogram = found.and_then(|found| found.histogram.as_ref());
                    let quantile = histogram.and_then(|histogram| histogram.quantile(*share));
                    quantile.map_or(0.0, |quantile| quantile / scale(function))
                };
                (number("p", *share), Box::new(value))
            };
            shares.iter().map(quantile).collect()
        }
        MetricsFunction::HistogramOverTime(_) => {
            let count = |found: &Accumulator, exponent| {
                found
                    .histogram
                    .as_ref()
                    .map_or(0, |histogram| histogram.count(exponent))
            };
            let used = |exponent: &usize| grouped.samples.values().any(|found| count(found, *exponent) > 0);
            let bucket = |exponent: usize| -> (Label, ValueOf<'a>) {
                let value = move |found: Option<&Accumulator>, _: TimeRange| {
                    found.map_or(0.0, |found| count(found, exponent) as f64)
                };
                let bound = (exponent as f64).exp2() / scale(function);
                (number("__bucket", bound), Box::new(value))
            };
            Histogram::exponents().filter(used).map(bucket).collect()
        }
        single => vec![(None, Box::new(|found, range| value(single, found, range)))],
    }
}

fn value(function: &MetricsFunction, found: Option<&Accumulator>, range: TimeRange) -> f64 {
    let count = found.map_or(0.0, |found| found.count as f64);
    match (function, found) {
        (MetricsFunction::Rate, _) => count / range.seconds(),
        (MetricsFunction::CountOverTime, _) => count,
        (MetricsFunction::SumOverTime(_), Some(found)) => found.sum,
        (MetricsFunction::AvgOverTime(_), Some(found)) => found.sum / count,
        (MetricsFunction::MinOverTime(_), Some(found)) => found.min,
        (MetricsFunction::MaxOverTime(_), Some(found)) => found.max,
        _ => f64::NAN,
    }
}

fn binary(operator: Operator, left: Value, right: Value) -> Value {
    let compute = |left: f64, right: f64| match operator {
        Operator::Divide if right == 0.0 => f64::NAN,
        _ => floats(operator, left, right).unwrap_or(f64::NAN),
    };
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Value::Number(compute(left, right)),
        (Value::Lines(lines), Value::Number(right)) => {
            Value::Lines(mapped(lines, |left| compute(left, right)))
        }
        (Value::Number(left), Value::Lines(lines)) => {
            Value::Lines(mapped(lines, |right| compute(left, right)))
        }
        (Value::Lines(left), Value::Lines(right)) => Value::Lines(joined(operator, left, &right, compute)),
    }
}

fn mapped(mut lines: Vec<Line>, value: impl Fn(f64) -> f64) -> Vec<Line> {
    for line in &mut lines {
        line.values.iter_mut().for_each(|number| *number = value(*number));
    }
    lines
}

/// Series on both sides with the same labels, the function's name aside.
fn joined(
    operator: Operator,
    left: Vec<Line>,
    right: &[Line],
    compute: impl Fn(f64, f64) -> f64,
) -> Vec<Line> {
    let groups = |line: &Line| {
        let mut labels = line.labels.clone();
        let name = labels.remove(NAME);
        (labels, name)
    };
    let join = |mut line: Line| {
        let (labels, name) = groups(&line);
        let (other, other_name) = right
            .iter()
            .map(|other| (other, groups(other)))
            .find_map(|(other, (others, name))| (others == labels).then_some((other, name)))?;
        for (value, other) in line.values.iter_mut().zip(&other.values) {
            *value = compute(*value, *other);
        }
        if let (
            Some(AttributeValue::One(Static::String(left))),
            Some(AttributeValue::One(Static::String(right))),
        ) = (name, other_name)
        {
            let name = format!("({left} {operator} {right})");
            line.labels
                .insert(NAME.to_owned(), AttributeValue::One(Static::String(name)));
        }
        Some(line)
    };
    left.into_iter().filter_map(join).collect()
}

fn second_stage(lines: Vec<Line>, stage: &SecondStage) -> Vec<Line> {
    match stage {
        SecondStage::Filter(operator, value) => {
            let bound = constant(value);
            let keeps = |number: f64| ordered(*operator, number.partial_cmp(&bound));
            mapped(lines, |number| if keeps(number) { number } else { f64::NAN })
        }
        SecondStage::TopK(count) => best(lines, *count, true),
        SecondStage::BottomK(count) => best(lines, *count, false),
    }
}

/// At every sample only the largest or smallest values. Of equal ones the first by labels counts as larger.
fn best(mut lines: Vec<Line>, count: i64, largest: bool) -> Vec<Line> {
    lines.sort_by_key(|line| format!("{:?}", line.labels));
    let samples = lines.first().map_or(0, |line| line.values.len());
    for sample in 0..samples {
        let value = |index: &usize| {
            lines
                .get(*index)
                .and_then(|line| line.values.get(sample))
                .copied()
        };
        let mut order: Vec<usize> = (0..lines.len())
            .filter(|index| value(index).is_some_and(|value| !value.is_nan()))
            .collect();
        order.sort_by(|left, right| {
            value(right)
                .partial_cmp(&value(left))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        if !largest {
            order.reverse();
        }
        for index in order.into_iter().skip(usize::try_from(count).unwrap_or(0)) {
            if let Some(value) = lines.get_mut(index).and_then(|line| line.values.get_mut(sample)) {
                *value = f64::NAN;
            }
        }
    }
    lines
}
