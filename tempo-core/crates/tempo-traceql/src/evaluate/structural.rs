//! Structural operators: which spans of the right side stand in a relation to one of the left, by nested sets.

use std::collections::{HashMap, HashSet};

use super::rows::union;
use super::tree::Tree;
use crate::ast::Relation;

/// `left operator right` within one trace; rows are ascending.
pub(super) fn related(
    tree: &Tree,
    (relation, negated, both_sides): (Relation, bool, bool),
    left: &[u32],
    right: &[u32],
) -> Vec<u32> {
    let matching = right_of(tree, relation, left, right);
    if both_sides {
        return union(&matching, &right_of(tree, inverse(relation), right, left));
    }
    if !negated {
        return matching;
    }
    // Upstream gives all spans that hang on no root the same place, so such a span is related to itself.
    let is_related = |row: &u32| {
        matching.binary_search(row).is_ok() || (!tree.is_connected(*row) && left.binary_search(row).is_ok())
    };
    right.iter().copied().filter(|row| !is_related(row)).collect()
}

fn inverse(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}

/// The rows of `right` that stand in `relation` to a row of `left`. Spans that hang on no root have no relations.
fn right_of(tree: &Tree, relation: Relation, left: &[u32], right: &[u32]) -> Vec<u32> {
    let connected = |rows: &[u32]| -> Vec<u32> {
        rows.iter()
            .copied()
            .filter(|row| tree.is_connected(*row))
            .collect()
    };
    let (left, right) = (connected(left), connected(right));
    match relation {
        Relation::Child => keep(right, |row| left.binary_search(&tree.parent(row)).is_ok()),
        Relation::Parent => {
            let parents: HashSet<u32> = left.iter().map(|row| tree.parent(*row)).collect();
            keep(right, |row| parents.contains(&row))
        }
        Relation::Descendant => {
            let ancestors = Outermost::new(tree, &left);
            keep(right, |row| ancestors.contain(tree.left(row)))
        }
        Relation::Ancestor => {
            let mut lefts: Vec<i64> = left.iter().map(|row| tree.left(*row)).collect();
            lefts.sort_unstable();
            keep(right, |row| {
                let after = lefts.partition_point(|left| *left <= tree.left(row));
                lefts.get(after).is_some_and(|left| *left < tree.right(row))
            })
        }
        Relation::Sibling => {
            let mut counts: HashMap<u32, usize> = HashMap::new();
            for row in &left {
                *counts.entry(tree.parent(*row)).or_default() += 1;
            }
            keep(right, |row| {
                let itself = usize::from(left.binary_search(&row).is_ok());
                counts.get(&tree.parent(row)).is_some_and(|count| *count > itself)
            })
        }
    }
}

fn keep(rows: Vec<u32>, mut wanted: impl FnMut(u32) -> bool) -> Vec<u32> {
    rows.into_iter().filter(|row| wanted(*row)).collect()
}

/// Intervals of which none lies within another: what lies strictly within any of a set lies within one of these.
struct Outermost {
    intervals: Vec<(i64, i64)>,
}

impl Outermost {
    fn new(tree: &Tree, rows: &[u32]) -> Self {
        let mut all: Vec<(i64, i64)> = rows
            .iter()
            .map(|row| (tree.left(*row), tree.right(*row)))
            .collect();
        all.sort_unstable();
        let mut intervals: Vec<(i64, i64)> = Vec::new();
        for (left, right) in all {
            if intervals.last().is_none_or(|(_, end)| left > *end) {
                intervals.push((left, right));
            }
        }
        Self { intervals }
    }

    /// Whether a span that begins at `left` lies strictly within one of them.
    fn contain(&self, left: i64) -> bool {
        let before = self.intervals.partition_point(|(start, _)| *start < left);
        let candidate = before.checked_sub(1).and_then(|index| self.intervals.get(index));
        candidate.is_some_and(|(_, end)| left < *end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::columns::{ORPHAN, ROOT};

    fn ancestors(parents: &[u32], row: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut parent = parents[row as usize];
        while parent != ROOT && parent != ORPHAN {
            found.push(parent);
            parent = parents[parent as usize];
        }
        found
    }

    /// The relation as its definition says, for trees without orphans.
    fn holds(parents: &[u32], relation: Relation, left: u32, right: u32) -> bool {
        match relation {
            Relation::Child => parents[right as usize] == left,
            Relation::Parent => parents[left as usize] == right,
            Relation::Descendant => ancestors(parents, right).contains(&left),
            Relation::Ancestor => ancestors(parents, left).contains(&right),
            Relation::Sibling => left != right && parents[left as usize] == parents[right as usize],
        }
    }

    fn relations() -> impl Strategy<Value = Relation> {
        prop::sample::select(vec![
            Relation::Child,
            Relation::Parent,
            Relation::Descendant,
            Relation::Ancestor,
            Relation::Sibling,
        ])
    }

    proptest! {
        #[test]
        fn nested_sets_agree_with_the_definition(
            choices in prop::collection::vec((0u32..20, any::<bool>(), any::<bool>()), 1..20),
            relation in relations(),
        ) {
            // Row n's parent is an earlier row, or none.
            let parents: Vec<u32> = choices
                .iter()
                .zip(0u32..)
                .map(|((choice, ..), row)| if *choice < row { *choice } else { ROOT })
                .collect();
            let side = |pick: fn(&(u32, bool, bool)) -> bool| -> Vec<u32> {
                choices.iter().zip(0u32..).filter(|(choice, _)| pick(choice)).map(|(_, row)| row).collect()
            };
            let (left, right) = (side(|choice| choice.1), side(|choice| choice.2));
            let tree = Tree::new(&parents, &vec![0; parents.len()], 1);
            let related_to = |rows: &[u32], others: &[u32], holds: &dyn Fn(u32, u32) -> bool| -> Vec<u32> {
                rows.iter().copied().filter(|row| others.iter().any(|other| holds(*other, *row))).collect()
            };
            let expected = related_to(&right, &left, &|left, right| holds(&parents, relation, left, right));
            prop_assert_eq!(&related(&tree, (relation, false, false), &left, &right), &expected);

            let unrelated: Vec<u32> = right.iter().copied().filter(|row| !expected.contains(row)).collect();
            prop_assert_eq!(related(&tree, (relation, true, false), &left, &right), unrelated);

            let of_left = related_to(&left, &right, &|right, left| holds(&parents, relation, left, right));
            prop_assert_eq!(related(&tree, (relation, false, true), &left, &right), union(&expected, &of_left));
        }
    }
}
