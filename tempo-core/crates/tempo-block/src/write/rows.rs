//! The rows of a row group in the order in which they are written.

use std::collections::HashMap;

use super::source::Source;
use super::texts::Texts;
use super::tree::{self, TreePlace, TreeSpan};
use crate::head::segment::Segment;

/// In place of a row: none.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The rows of a row group, clustered by shape (scope, name, kind, resource), then by trace and position.
pub(super) struct Rows<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// Head's numbers of the traces, by `trace_ord`.
    pub(super) traces: Vec<usize>,
    pub(super) places: Vec<RowPlace>,
    /// Head's numbers of the resources, and for each row its place among them.
    pub(super) resources: Ordinals,
    /// Head's numbers of the scopes, and for each row its place among them.
    pub(super) scopes: Ordinals,
}

/// A segment that rows come from.
pub(super) struct Part<'a> {
    pub(super) segment: &'a Segment,
    /// For each row of the segment its place among the rows, or [`NOWHERE`].
    pub(super) destinations: Vec<u32>,
}

/// Where a row comes from, and where it is in its trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowPlace {
    pub(super) part: usize,
    pub(super) row: usize,
    pub(super) trace_ord: u32,
    pub(super) tree: TreePlace,
}

/// Numbers of the head, counted anew.
#[derive(Debug, Default)]
pub(super) struct Ordinals {
    pub(super) numbers: Vec<usize>,
    pub(super) of_rows: Vec<u32>,
}

impl<'a> Rows<'a> {
    /// The rows of `traces`, which are in the order of the trace table.
    pub(super) fn of(source: &'a Source, traces: Vec<usize>) -> Self {
        let mut rows = Self {
            parts: Vec::new(),
            traces,
            places: Vec::new(),
            resources: Ordinals::default(),
            scopes: Ordinals::default(),
        };
        rows.take(source);
        rows.cluster();
        rows.resources = rows.ordinals(|segment| &segment.resource);
        rows.scopes = rows.ordinals(|segment| &segment.scope);
        rows.fill_destinations();
        rows
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// A value of every row.
    pub(super) fn each<T>(&self, value: impl Fn(&'a Segment, &RowPlace) -> T) -> Vec<T> {
        let of_place = |place: &RowPlace| Some(value(self.parts.get(place.part)?.segment, place));
        self.places.iter().filter_map(of_place).collect()
    }

    /// Takes the rows trace by trace, in pre-order.
    fn take(&mut self, source: &'a Source) {
        let mut part_of = vec![None; source.snapshot.segments.len()];
        for (trace_ord, trace) in (0..).zip(&self.traces) {
            let mut places = Vec::new();
            let mut spans = Vec::new();
            for (number, row) in source.rows_of(*trace) {
                let (Some(segment), Some(part)) = (source.segment(number), part_of.get_mut(number)) else {
                    continue;
                };
                let part = *part.get_or_insert_with(|| {
                    self.parts.push(Part {
                        segment,
                        destinations: Vec::new(),
                    });
                    self.parts.len() - 1
                });
                spans.push(tree_span(segment, row));
                places.push(RowPlace {
                    part,
                    row,
                    trace_ord,
                    tree: TreePlace::default(),
                });
            }
            for (place, tree) in places.iter_mut().zip(tree::places(&spans)) {
                place.tree = tree;
            }
            places.sort_unstable_by_key(|place| place.tree.pos);
            self.places.append(&mut places);
        }
    }

    /// A stable counting sort by shape.
    fn cluster(&mut self) {
        let (shapes, of_rows) = self.shapes();
        let mut counts = vec![0; shapes.len()];
        for shape in &of_rows {
            if let Some(count) = counts.get_mut(*shape) {
                *count += 1;
            }
        }
        let mut order: Vec<usize> = (0..shapes.len()).collect();
        order.sort_unstable_by_key(|shape| shapes.get(*shape));
        let mut next = vec![0; shapes.len()];
        let mut end = 0;
        for shape in order {
            if let Some(start) = next.get_mut(shape) {
                *start = end;
            }
            end += at(&counts, shape);
        }
        let mut clustered = self.places.clone();
        for (place, shape) in self.places.iter().zip(of_rows) {
            let Some(next) = next.get_mut(shape) else {
                continue;
            };
            if let Some(to) = clustered.get_mut(*next) {
                *to = *place;
            }
            *next += 1;
        }
        self.places = clustered;
    }

    /// The shapes, and for each row its place among them.
    fn shapes(&self) -> (Vec<Shape>, Vec<usize>) {
        let mut known: HashMap<Shape, usize> = HashMap::new();
        let mut shapes = Vec::new();
        let mut of_rows = Vec::with_capacity(self.places.len());
        for (place, name) in self.places.iter().zip(self.name_codes()) {
            let Some(segment) = self.parts.get(place.part).map(|part| part.segment) else {
                continue;
            };
            let shape = Shape {
                scope: at(&segment.scope, place.row),
                name,
                kind: at(&segment.kind, place.row),
                resource: at(&segment.resource, place.row),
            };
            of_rows.push(*known.entry(shape).or_insert_with(|| {
                shapes.push(shape);
                shapes.len() - 1
            }));
        }
        (shapes, of_rows)
    }

    /// Codes of the rows' names, the same for equal names of different segments.
    fn name_codes(&self) -> Vec<u32> {
        let mut names = Texts::of(
            self.parts
                .iter()
                .map(|part| &**part.segment.name.interner.words()),
        );
        for place in &self.places {
            if let Some(part) = self.parts.get(place.part) {
                names.push(place.part, at(&part.segment.name.codes, place.row));
            }
        }
        names.into_codes()
    }

    fn ordinals(&self, numbers: impl Fn(&Segment) -> &Vec<u32>) -> Ordinals {
        let mut ordinals = Ordinals::default();
        let mut known: HashMap<u32, u32> = HashMap::new();
        let numbers = self.each(|segment, place| at(numbers(segment), place.row));
        for run in numbers.chunk_by(|one, next| one == next) {
            let number = at(run, 0);
            let ordinal = *known.entry(number).or_insert_with(|| {
                ordinals.numbers.push(number as usize);
                ordinals.numbers.len() as u32 - 1
            });
            ordinals.of_rows.extend(run.iter().map(|_| ordinal));
        }
        ordinals
    }

    fn fill_destinations(&mut self) {
        for part in &mut self.parts {
            part.destinations = vec![NOWHERE; part.segment.rows()];
        }
        for (row, place) in (0..).zip(&self.places) {
            let part = self.parts.get_mut(place.part);
            if let Some(destination) = part.and_then(|part| part.destinations.get_mut(place.row)) {
                *destination = row;
            }
        }
    }
}

/// What rows are clustered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Shape {
    scope: u32,
    name: u32,
    kind: i32,
    resource: u32,
}

/// The value of a row; a segment has one of each row.
pub(super) fn at<T: Copy + Default>(values: &[T], row: usize) -> T {
    values.get(row).copied().unwrap_or_default()
}

fn tree_span(segment: &Segment, row: usize) -> TreeSpan {
    let parent = at(&segment.parent, row);
    TreeSpan {
        id: at(&segment.span_id, row),
        parent: (parent != [0; 8]).then_some(parent),
        start_ns: at(&segment.start, row),
    }
}
