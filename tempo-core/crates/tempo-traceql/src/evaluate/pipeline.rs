//! Stages, one after another: each takes the spansets of the one before.

use std::collections::{BTreeMap, HashMap};

use super::EvaluateError;
use super::aggregate::aggregate;
use super::filter::holds;
use super::rows::{RowSet, intersection, sorted};
use super::source::Source;
use super::structural::related;
use super::values::{Cell, group, values};
use crate::ast::{
    Aggregate, Expression, Operator, Pipeline, ScalarExpression, SpansetExpression, SpansetOperator, Stage,
    Static,
};
use crate::fold::compare;
use crate::search::AttributeValue;

/// Spans of one trace.
#[derive(Debug, Clone)]
pub(crate) struct Spanset {
    /// Index in the trace table.
    pub(crate) trace: u32,
    /// Ascending, never empty.
    pub(crate) rows: Vec<u32>,
    /// What `by()` and aggregates said of the set.
    pub(crate) attributes: BTreeMap<String, AttributeValue>,
    /// Which set of an operator's input this one came from.
    origin: u32,
}

/// What a stage works on.
#[derive(Clone, Copy)]
enum Input<'a> {
    /// One set for each trace, with all its spans.
    Batch,
    /// These sets.
    Sets(&'a [Spanset]),
}

/// The spansets that a pipeline leaves of a batch.
pub(crate) fn run(source: &Source<'_>, pipeline: &Pipeline) -> Result<Vec<Spanset>, EvaluateError> {
    stages(source, &pipeline.stages, Input::Batch)
}

/// The rows of the spansets that a pipeline leaves of a batch. Filters alone need not know whose spans they are.
pub(crate) fn run_rows(source: &Source<'_>, pipeline: &Pipeline) -> Result<RowSet, EvaluateError> {
    let mut rows = source.all_rows();
    for stage in &pipeline.stages {
        match stage {
            Stage::Spanset(SpansetExpression::Filter(Expression::Static(Static::Bool(true)))) => {}
            Stage::Spanset(SpansetExpression::Filter(filter)) => {
                rows = RowSet::Some(holds(source, filter, true, &rows)?);
            }
            _ => return Ok(all_rows(&run(source, pipeline)?)),
        }
    }
    Ok(rows)
}

/// The rows of a batch for which a filter holds.
pub(crate) fn rows_where(source: &Source<'_>, filter: &Expression) -> Result<RowSet, EvaluateError> {
    let rows = source.all_rows();
    match filter {
        Expression::Static(Static::Bool(true)) => Ok(rows),
        filter => Ok(RowSet::Some(holds(source, filter, true, &rows)?)),
    }
}

fn stages(source: &Source<'_>, stages: &[Stage], input: Input<'_>) -> Result<Vec<Spanset>, EvaluateError> {
    let Some((first, rest)) = stages.split_first() else {
        return sets_of(source, input);
    };
    let mut sets = stage(source, first, input)?;
    for next in rest {
        if sets.is_empty() {
            break;
        }
        sets = stage(source, next, Input::Sets(&sets))?;
    }
    Ok(sets)
}

fn stage(source: &Source<'_>, stage: &Stage, input: Input<'_>) -> Result<Vec<Spanset>, EvaluateError> {
    match stage {
        Stage::Spanset(expression) => spanset(source, expression, input),
        Stage::ScalarFilter {
            operator,
            left: ScalarExpression::Aggregate(aggregate),
            right: ScalarExpression::Static(constant),
        } => scalar_filter(source, (aggregate, *operator, constant), sets_of(source, input)?),
        Stage::ScalarFilter { .. } => Err(EvaluateError::Unsupported(format!(
            "'{stage}': an aggregate must stand alone on the left and a constant on the right, like count() > 2"
        ))),
        Stage::By(expression) => by(source, expression, &sets_of(source, input)?),
        Stage::Coalesce => Ok(coalesce(&sets_of(source, input)?)),
        Stage::Select(_) => sets_of(source, input),
    }
}

fn sets_of(source: &Source<'_>, input: Input<'_>) -> Result<Vec<Spanset>, EvaluateError> {
    match input {
        Input::Batch => by_trace(source, source.all_rows().to_vec()),
        Input::Sets(sets) => Ok(sets.to_vec()),
    }
}

/// Rows of the batch, ascending, as one set for each trace.
fn by_trace(source: &Source<'_>, rows: Vec<u32>) -> Result<Vec<Spanset>, EvaluateError> {
    /// So many rows are sorted faster by comparing than by counting over all traces.
    const FEW: usize = 64;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ordinals = source.ordinals()?;
    let ordinal = |row: u32| ordinals.get(row as usize).copied();
    let mut pairs: Vec<(u32, u32)> = rows
        .into_iter()
        .filter_map(|row| Some((ordinal(row)?, row)))
        .collect();
    if !pairs.is_sorted() {
        if pairs.len() <= FEW {
            pairs.sort_unstable();
        } else {
            pairs = counted(&pairs);
        }
    }
    let sets = pairs.chunk_by(|left, right| left.0 == right.0);
    Ok(sets
        .filter_map(|pairs| {
            let (trace, _) = *pairs.first()?;
            Some(Spanset {
                trace,
                rows: pairs.iter().map(|(_, row)| *row).collect(),
                attributes: BTreeMap::new(),
                origin: trace,
            })
        })
        .collect())
}

/// Pairs by their first numbers, which are small; others keep their order.
fn counted(pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let most = pairs
        .iter()
        .map(|(trace, _)| *trace as usize)
        .max()
        .unwrap_or_default();
    let mut ends = vec![0_u32; most + 2];
    for (trace, _) in pairs {
        if let Some(count) = ends.get_mut(*trace as usize + 1) {
            *count += 1;
        }
    }
    let mut total = 0;
    for end in &mut ends {
        total += *end;
        *end = total;
    }
    let mut placed = vec![(0, 0); pairs.len()];
    for pair in pairs {
        if let Some(end) = ends.get_mut(pair.0 as usize) {
            if let Some(place) = placed.get_mut(*end as usize) {
                *place = *pair;
            }
            *end += 1;
        }
    }
    placed
}

/// All rows of the sets.
fn all_rows(sets: &[Spanset]) -> RowSet {
    RowSet::Some(sorted(
        sets.iter().flat_map(|set| set.rows.iter().copied()).collect(),
    ))
}

/// The sets with only the rows that `keep` leaves of each; empty ones are dropped.
fn narrowed(sets: &[Spanset], keep: impl Fn(&Spanset) -> Vec<u32>) -> Vec<Spanset> {
    let narrow = |set: &Spanset| {
        let rows = keep(set);
        (!rows.is_empty()).then(|| Spanset { rows, ..set.clone() })
    };
    sets.iter().filter_map(narrow).collect()
}

fn spanset(
    source: &Source<'_>,
    expression: &SpansetExpression,
    input: Input<'_>,
) -> Result<Vec<Spanset>, EvaluateError> {
    match expression {
        SpansetExpression::Filter(expression) => match input {
            Input::Batch => by_trace(source, holds(source, expression, true, &source.all_rows())?),
            Input::Sets(sets) => {
                let holding = holds(source, expression, true, &all_rows(sets))?;
                Ok(narrowed(sets, |set| intersection(&set.rows, &holding)))
            }
        },
        SpansetExpression::Pipeline(pipeline) => stages(source, &pipeline.stages, input),
        SpansetExpression::Binary {
            operator,
            left,
            right,
        } => combined(source, *operator, (left, right), input),
    }
}

/// Both sides of an operator over the same sets, combined set by set.
fn combined(
    source: &Source<'_>,
    operator: SpansetOperator,
    (left, right): (&SpansetExpression, &SpansetExpression),
    input: Input<'_>,
) -> Result<Vec<Spanset>, EvaluateError> {
    let numbered = numbered(input);
    let input = numbered.as_deref().map_or(Input::Batch, Input::Sets);
    // The right side first, as it is mostly what is rare: `{ a service } >> { an error }`.
    let mut right = sides(spanset(source, right, input)?);
    if right.is_empty() && operator != SpansetOperator::Or {
        return Ok(Vec::new());
    }
    let left = sides(spanset(source, left, input)?);
    if left.is_empty() && !operator.takes_right_alone() {
        return Ok(Vec::new());
    }
    let mut combined: Vec<Spanset> = Vec::new();
    let mut add = |origin: u32, sets: &[Spanset], rows: Vec<u32>| {
        let attributes = match input {
            Input::Batch => None,
            Input::Sets(sets) => sets.get(origin as usize).map(|set| set.attributes.clone()),
        };
        if let (Some(first), false) = (sets.first(), rows.is_empty()) {
            combined.push(Spanset {
                trace: first.trace,
                rows,
                attributes: attributes.unwrap_or_default(),
                origin,
            });
        }
    };
    for (origin, of_left) in &left {
        let of_right = right.remove(origin).unwrap_or_default();
        add(
            *origin,
            of_left,
            side_by_side(source, operator, of_left, &of_right)?,
        );
    }
    for (origin, of_right) in &right {
        add(*origin, of_right, side_by_side(source, operator, &[], of_right)?);
    }
    combined.sort_by_key(|set| set.origin);
    Ok(combined)
}

/// The sets of an input with their own index as origin; `None` for a whole batch, whose origins are its traces.
fn numbered(input: Input<'_>) -> Option<Vec<Spanset>> {
    let Input::Sets(sets) = input else { return None };
    let renumber = |(set, origin): (&Spanset, u32)| Spanset {
        origin,
        ..set.clone()
    };
    Some(sets.iter().zip(0..).map(renumber).collect())
}

/// What a side gave for each origin.
fn sides(sets: Vec<Spanset>) -> BTreeMap<u32, Vec<Spanset>> {
    let mut sides: BTreeMap<u32, Vec<Spanset>> = BTreeMap::new();
    for set in sets {
        sides.entry(set.origin).or_default().push(set);
    }
    sides
}

fn side_by_side(
    source: &Source<'_>,
    operator: SpansetOperator,
    left: &[Spanset],
    right: &[Spanset],
) -> Result<Vec<u32>, EvaluateError> {
    let rows = |sets: &[Spanset]| all_rows(sets).to_vec();
    match operator {
        SpansetOperator::And if left.is_empty() || right.is_empty() => Ok(Vec::new()),
        SpansetOperator::And | SpansetOperator::Or => Ok(super::rows::union(&rows(left), &rows(right))),
        SpansetOperator::Structural { .. } if left.len() > 1 || right.len() > 1 => {
            Err(EvaluateError::SeveralSpansets(operator.to_string()))
        }
        // Without one of the sides nothing is related, and nobody need know the tree.
        SpansetOperator::Structural { .. } if left.is_empty() && operator.takes_right_alone() => {
            Ok(rows(right))
        }
        SpansetOperator::Structural { .. } if left.is_empty() || right.is_empty() => Ok(Vec::new()),
        SpansetOperator::Structural {
            relation,
            negated,
            union,
        } => Ok(related(
            source.tree()?,
            (relation, negated, union),
            &rows(left),
            &rows(right),
        )),
    }
}

fn scalar_filter(
    source: &Source<'_>,
    (function, operator, constant): (&Aggregate, Operator, &Static),
    sets: Vec<Spanset>,
) -> Result<Vec<Spanset>, EvaluateError> {
    let rows = all_rows(&sets);
    let cells = match function {
        Aggregate::Count => Vec::new(),
        Aggregate::Of(_, expression) => values(source, expression, &rows)?,
    };
    let text = function.to_string();
    let keep = |mut set: Spanset| {
        let value = match function {
            Aggregate::Count => Static::Int(set.rows.len() as i64),
            Aggregate::Of(function, _) => aggregate(*function, cells_of(&set, &cells, &rows))?,
        };
        (compare(operator, &value, constant) == Some(true)).then(|| {
            set.attributes.insert(text.clone(), AttributeValue::One(value));
            set
        })
    };
    Ok(sets.into_iter().filter_map(keep).collect())
}

/// The cells of a set's rows, out of those of `rows`.
fn cells_of<'a>(set: &'a Spanset, cells: &'a [Cell], rows: &'a RowSet) -> impl Iterator<Item = &'a Cell> {
    set.rows.iter().filter_map(|row| cells.get(rows.position(*row)?))
}

fn by(source: &Source<'_>, expression: &Expression, sets: &[Spanset]) -> Result<Vec<Spanset>, EvaluateError> {
    let rows = all_rows(sets);
    let cells = values(source, expression, &rows)?;
    let text = Stage::By(expression.clone()).to_string();
    let mut split = Vec::new();
    for set in sets {
        // In the order of the first span of each group.
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut groups: Vec<Spanset> = Vec::new();
        for (row, cell) in set.rows.iter().zip(cells_of(set, &cells, &rows)) {
            let value = group(expression, cell);
            let place = *places.entry(format!("{value:?}")).or_insert(groups.len());
            if place == groups.len() {
                let mut attributes = set.attributes.clone();
                attributes.insert(text.clone(), value);
                groups.push(Spanset {
                    rows: Vec::new(),
                    attributes,
                    ..*set
                });
            }
            if let Some(group) = groups.get_mut(place) {
                group.rows.push(*row);
            }
        }
        split.append(&mut groups);
    }
    Ok(split)
}

/// One set for each trace, without attributes.
fn coalesce(sets: &[Spanset]) -> Vec<Spanset> {
    let mut joined: BTreeMap<u32, Spanset> = BTreeMap::new();
    for set in sets {
        let whole = joined.entry(set.trace).or_insert_with(|| Spanset {
            rows: Vec::new(),
            attributes: BTreeMap::new(),
            ..*set
        });
        whole.rows.extend_from_slice(&set.rows);
    }
    let sort = |set: Spanset| Spanset {
        rows: sorted(set.rows),
        ..set
    };
    joined.into_values().map(sort).collect()
}
