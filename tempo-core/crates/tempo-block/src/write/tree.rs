//! The spans of a trace as trees in pre-order. Pure.

/// What is known of a span, in the order of arrival.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeSpan {
    pub(super) id: [u8; 8],
    /// `None` where none was received, or one that can be no span's.
    pub(super) parent: Option<[u8; 8]>,
    pub(super) start_ns: u64,
}

/// Where a span is in its trace. It has a parent here exactly if its depth is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TreePlace {
    pub(super) pos: u32,
    pub(super) depth: u32,
}

/// No span.
const NONE: u32 = u32::MAX;

/// The places of a trace's spans. Of several spans with one id the last received is the parent. Circles of parents are
/// cut at one span, which gets depth zero. Siblings are in the order of (start, arrival).
pub(super) fn places(spans: &[TreeSpan]) -> Vec<TreePlace> {
    if let [_] = spans {
        return vec![TreePlace::default()];
    }
    let mut parents = parents(spans);
    cut_circles(&mut parents);
    let mut by_start: Vec<u32> = (0..spans.len() as u32).collect();
    by_start.sort_by_key(|span| spans.get(*span as usize).map(|span| span.start_ns));
    number(&parents, &by_start)
}

fn parents(spans: &[TreeSpan]) -> Vec<u32> {
    let mut ids: Vec<([u8; 8], u32)> = spans.iter().map(|span| span.id).zip(0..).collect();
    ids.sort_unstable();
    let find = |id: [u8; 8]| {
        let behind = ids.partition_point(|(other, _)| *other <= id);
        let last = behind.checked_sub(1).and_then(|place| ids.get(place));
        last.filter(|(other, _)| *other == id).map(|(_, span)| *span)
    };
    spans
        .iter()
        .map(|span| span.parent.and_then(find).unwrap_or(NONE))
        .collect()
}

fn cut_circles(parents: &mut [u32]) {
    /// Not seen, or else the number of the walk that came by.
    const UNSEEN: u32 = u32::MAX;
    let mut walks = vec![UNSEEN; parents.len()];
    for start in 0..parents.len() as u32 {
        let mut span = start;
        while let Some(walk) = walks.get_mut(span as usize)
            && *walk == UNSEEN
        {
            *walk = start;
            let Some(parent) = parents.get_mut(span as usize) else {
                break;
            };
            span = *parent;
            if *parent != NONE && walks.get(span as usize) == Some(&start) {
                *parent = NONE;
                break;
            }
        }
    }
}

fn number(parents: &[u32], by_start: &[u32]) -> Vec<TreePlace> {
    let parent_of = |span: u32| parents.get(span as usize).copied().unwrap_or(NONE);
    // Each span's first child and next sibling, linked from the last to the first.
    let mut first_child = vec![NONE; parents.len()];
    let mut next_sibling = vec![NONE; parents.len()];
    let mut first_root = NONE;
    for span in by_start.iter().rev() {
        let first = first_child
            .get_mut(parent_of(*span) as usize)
            .unwrap_or(&mut first_root);
        if let Some(next) = next_sibling.get_mut(*span as usize) {
            *next = *first;
        }
        *first = *span;
    }
    let mut places = vec![TreePlace::default(); parents.len()];
    let mut pending = vec![(first_root, 0)];
    let mut pos = 0;
    while let Some((span, depth)) = pending.pop() {
        let Some(place) = places.get_mut(span as usize) else {
            continue;
        };
        *place = TreePlace { pos, depth };
        pos += 1;
        let next = |links: &[u32]| links.get(span as usize).copied().unwrap_or(NONE);
        pending.push((next(&next_sibling), depth));
        pending.push((next(&first_child), depth + 1));
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(id: u8, parent: Option<u8>, start_ns: u64) -> TreeSpan {
        TreeSpan {
            id: [id; 8],
            parent: parent.map(|parent| [parent; 8]),
            start_ns,
        }
    }

    /// As a reader finds it.
    fn parent_by_place(places: &[TreePlace], span: usize) -> Option<usize> {
        let own = places[span];
        let is_parent = |place: &TreePlace| place.pos < own.pos && place.depth + 1 == own.depth;
        let candidates = (0..places.len()).filter(|other| is_parent(&places[*other]));
        candidates.max_by_key(|other| places[*other].pos)
    }

    #[test]
    fn siblings_are_in_order_of_their_start() {
        let places = places(&[
            span(3, Some(1), 30),
            span(2, Some(1), 20),
            span(1, None, 10),
            span(4, Some(2), 25),
        ]);
        let expected = [(3, 1), (1, 1), (0, 0), (2, 2)];
        assert_eq!(places, expected.map(|(pos, depth)| TreePlace { pos, depth }));
    }

    #[test]
    fn a_deep_chain_is_no_trouble() {
        let chain = |number: u32| {
            let id = |number: u32| u64::from(number).to_be_bytes();
            TreeSpan {
                id: id(number),
                parent: number.checked_sub(1).map(id),
                start_ns: 0,
            }
        };
        let chain: Vec<TreeSpan> = (0..100_000).map(chain).collect();
        assert_eq!(
            places(&chain).last(),
            Some(&TreePlace {
                pos: 99_999,
                depth: 99_999
            })
        );
    }

    proptest! {
        #[test]
        fn parents_come_back_whatever_the_spans_are(
            spans in prop::collection::vec((0..12_u8, prop::option::of(0..14_u8), 0..4_u64), 0..20),
        ) {
            let spans: Vec<TreeSpan> = spans.into_iter().map(|(id, parent, start)| span(id, parent, start)).collect();
            let places = places(&spans);
            let mut positions: Vec<u32> = places.iter().map(|place| place.pos).collect();
            positions.sort_unstable();
            prop_assert_eq!(positions, (0..spans.len() as u32).collect::<Vec<_>>());
            for (index, span) in spans.iter().enumerate() {
                if places[index].depth > 0 {
                    let parent = parent_by_place(&places, index).unwrap();
                    prop_assert_eq!(Some(spans[parent].id), span.parent);
                    prop_assert!(spans[parent + 1..].iter().all(|other| other.id != spans[parent].id));
                } else if let Some(parent) = span.parent && spans.iter().any(|other| other.id == parent) {
                    // Only a circle is cut: following parents from here comes back.
                    let last_with = |id| spans.iter().rposition(|other| other.id == id).unwrap();
                    let mut at = last_with(parent);
                    for _ in 0..spans.len() {
                        if at == index { break; }
                        at = last_with(spans[at].parent.unwrap());
                    }
                    prop_assert_eq!(at, index);
                }
            }
        }
    }
}
