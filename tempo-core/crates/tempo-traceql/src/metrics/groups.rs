//! Spans by the values of `by()`: numbers of groups instead of labels a row at a time.

use std::collections::HashMap;

use crate::ast::{Attribute, Expression, Static};
use crate::columns::{Column, Part, Rows, Values};
use crate::evaluate::values::{Cell, cells, group, value_at};
use crate::evaluate::{EvaluateError, RowSet, Source, positions};
use crate::search::AttributeValue;

/// The group of each of some rows.
pub(super) struct Groups {
    /// By position in the rows.
    pub(super) ids: Vec<u32>,
    /// The labels of each group.
    pub(super) labels: Vec<Vec<AttributeValue>>,
}

impl Groups {
    pub(super) fn new(source: &Source<'_>, by: &[Attribute], rows: &RowSet) -> Result<Self, EvaluateError> {
        let mut groups = Self {
            ids: vec![0; rows.len()],
            labels: vec![Vec::new()],
        };
        for attribute in by {
            let column = source.column(attribute, rows)?;
            groups = groups.with(Label::new(attribute, &column, rows));
        }
        Ok(groups)
    }

    /// The groups within these groups that one more label makes.
    fn with(self, label: Label) -> Self {
        if self.labels.len() == 1 {
            let whole = self.labels.first().cloned().unwrap_or_default();
            let labels = label
                .values
                .into_iter()
                .map(|value| [whole.clone(), vec![value]].concat());
            return Self {
                ids: label.ids,
                labels: labels.collect(),
            };
        }
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        let mut labels = Vec::new();
        let mut last = None;
        let pairs = self.ids.iter().copied().zip(label.ids.iter().copied());
        let id_of = |pair: (u32, u32)| {
            if let Some((known, id)) = last
                && known == pair
            {
                return id;
            }
            let id = *known.entry(pair).or_insert_with(|| {
                let mut all = self.labels.get(pair.0 as usize).cloned().unwrap_or_default();
                all.extend(label.values.get(pair.1 as usize).cloned());
                labels.push(all);
                labels.len() as u32 - 1
            });
            last = Some((pair, id));
            id
        };
        Self {
            ids: pairs.map(id_of).collect(),
            labels,
        }
    }
}

/// One label of each of some rows: which of its values.
struct Label {
    ids: Vec<u32>,
    values: Vec<AttributeValue>,
}

/// The label of rows without a value.
const MISSING: u32 = 0;

impl Label {
    fn new(attribute: &Attribute, column: &Column, rows: &RowSet) -> Self {
        let expression = Expression::Attribute(attribute.clone());
        let mut values = Distinct::default();
        values.id(group(&expression, &Cell::Missing));
        let mut ids = vec![MISSING; rows.len()];
        if let [part] = column.parts.as_slice()
            && part.rows == Rows::Dense
            && !part.array
        {
            ids = ids_of(part, |value| values.id(group(&expression, &Cell::One(value))));
        } else if column.parts.iter().any(|part| part.array) {
            for (id, cell) in ids.iter_mut().zip(cells(column, rows)) {
                *id = values.id(group(&expression, &cell));
            }
        } else {
            for part in &column.parts {
                let of_value = |value: Static| group(&expression, &Cell::One(value));
                let of_part = ids_of(part, |value| values.id(of_value(value)));
                // Of several values of a row the first counts.
                for (position, id) in positions(part, rows).zip(of_part) {
                    if let Some(known) = ids.get_mut(position).filter(|known| **known == MISSING) {
                        *known = id;
                    }
                }
            }
        }
        Self {
            ids,
            values: values.values,
        }
    }
}

/// The id of each value of a part; each distinct string is looked at once.
fn ids_of(part: &Part, mut id: impl FnMut(Static) -> u32) -> Vec<u32> {
    let mut of_index = |index: usize| value_at(&part.values, index).map_or(MISSING, &mut id);
    match &part.values {
        Values::String { codes, dictionary } => {
            const UNKNOWN: u32 = u32::MAX;
            let mut known = vec![UNKNOWN; dictionary.len()];
            let mut ids = Vec::with_capacity(codes.len());
            for (index, code) in codes.iter().enumerate() {
                let id = match known.get_mut(*code as usize) {
                    Some(known) => {
                        if *known == UNKNOWN {
                            *known = of_index(index);
                        }
                        *known
                    }
                    None => MISSING,
                };
                ids.push(id);
            }
            ids
        }
        values => (0..values.len()).map(of_index).collect(),
    }
}

/// Values by id.
#[derive(Default)]
struct Distinct {
    values: Vec<AttributeValue>,
    by_text: HashMap<String, u32>,
}

impl Distinct {
    fn id(&mut self, value: AttributeValue) -> u32 {
        let next = self.values.len() as u32;
        let id = *self.by_text.entry(format!("{value:?}")).or_insert(next);
        if id == next {
            self.values.push(value);
        }
        id
    }
}
