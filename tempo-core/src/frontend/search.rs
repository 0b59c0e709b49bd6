//! Search: the newest traces that match, each as the whole that it is over all parts that have spans of it.
//!
//! ```text
//! recent, then blocks newest first ─► what may match, by parts ─┐ until as many whole traces are known as are asked for,
//!        ▲                                                      ▼ and nothing left can be newer
//!        └───────────── whole traces ◄─ evaluated again ◄─ spread over parts? ─► in one part: it has said all
//! ```
//! A part (a row group, a head) answers as if it were all there is. Where else a trace has spans is told by the filters of
//! trace ids, so traces in one part cost no more than that question. Those of several parts are few: their spans are
//! gathered and evaluated as one batch.

mod found;
mod metadata;
mod whole;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tempo_block::meta::BlockMeta;
use tempo_model::TraceId;
use ulid::Ulid;

use self::found::FoundTraces;
use super::session::{Ask, Broken, Combine, Part, Session};
use crate::answer::trace_ids;
use crate::rpc::messages::{
    FoundTrace, Partial, Place, PlacesQuestion, Query, Question, SearchQuestion, TimeRange,
};

pub(super) use self::metadata::{metadata, of_tenants};

/// Asks for traces.
#[derive(Debug)]
pub(super) struct AskSearch {
    pub(super) question: SearchQuestion,
    pub(super) range: Option<TimeRange>,
    /// What a trace of several parts has beyond so many bytes is not looked at; 0 is no limit.
    pub(super) max_bytes_per_trace: u64,
}

/// A place of spans: a part, and in it the number of a row group or head.
type SpanPlace = (Part, u32);

/// A trace and the places of its spans.
type Places = BTreeMap<TraceId, BTreeSet<SpanPlace>>;

impl Ask for AskSearch {
    type Answer = Vec<FoundTrace>;

    async fn ask(&self, session: &mut Session<'_>) -> Result<Self::Answer, Broken> {
        let mut found = FoundTraces::new(self.question.limit as usize);
        let mut waiting = Waiting {
            recent: true,
            blocks: session.blocks(|block| self.overlaps(block)).into(),
        };
        while !waiting.is_empty() {
            self.find(session, &mut waiting, &mut found).await?;
            self.settle(session, &mut found).await?;
            if waiting.is_empty() {
                waiting = Waiting::again(session, &found.ask_again());
            }
        }
        Ok(found.finish())
    }
}

/// Who is still to be asked for matches.
struct Waiting {
    recent: bool,
    /// Newest first.
    blocks: VecDeque<Arc<BlockMeta>>,
}

impl Waiting {
    /// Parts that left out what may be wanted.
    fn again(session: &Session<'_>, parts: &BTreeSet<Part>) -> Self {
        Self {
            recent: parts.contains(&None),
            blocks: session.blocks(|block| parts.contains(&Some(block.id))).into(),
        }
    }

    fn is_empty(&self) -> bool {
        !self.recent && self.blocks.is_empty()
    }
}

impl AskSearch {
    fn overlaps(&self, block: &BlockMeta) -> bool {
        self.range
            .is_none_or(|range| block.overlaps(range.start_unix_nanos, range.end_unix_nanos))
    }

    fn query(&self, found: &FoundTraces) -> Query {
        Query {
            question: Some(Question::Search(SearchQuestion {
                limit: u32::try_from(found.limit_of_part()).unwrap_or(u32::MAX),
                floor_unix_nanos: found.floor_ns().unwrap_or_default(),
                ..self.question.clone()
            })),
            range: self.range,
        }
    }

    /// Asks for matches until there seem to be enough.
    async fn find(
        &self,
        session: &mut Session<'_>,
        waiting: &mut Waiting,
        found: &mut FoundTraces,
    ) -> Result<(), Broken> {
        if std::mem::take(&mut waiting.recent) {
            session.recent(&self.query(found), found).await?;
        }
        let query = |found: &FoundTraces, block: &BlockMeta| {
            let is_settled = found.floor_ns().is_some_and(|floor| block.end_ns < floor);
            (!is_settled).then(|| self.query(found))
        };
        session.jobs(&mut waiting.blocks, query, found).await
    }

    /// Makes whole traces of what was found, newest first, as far as they are wanted.
    async fn settle(&self, session: &mut Session<'_>, found: &mut FoundTraces) -> Result<(), Broken> {
        loop {
            let open = found.newest_open();
            if open.is_empty() {
                return Ok(());
            }
            let mut places = OtherPlaces(open);
            self.find_places(session, found, &mut places).await?;
            let spread = found.close(places.0);
            self.evaluate_whole(session, spread, found).await?;
        }
    }

    /// Finds the other places of traces.
    async fn find_places(
        &self,
        session: &mut Session<'_>,
        found: &FoundTraces,
        places: &mut OtherPlaces,
    ) -> Result<(), Broken> {
        let open = places.0.clone();
        let query = |ids: &dyn Fn(TraceId) -> bool| -> Option<Query> {
            let known = known_places(&open, ids);
            (!known.is_empty()).then_some(Query {
                question: Some(Question::Places(PlacesQuestion { known })),
                range: None,
            })
        };
        if let Some(query) = query(&|_| true) {
            session.recent(&query, places).await?;
        }
        let mut blocks = session.blocks(|_| true).into();
        let query = |_: &OtherPlaces, block: &BlockMeta| query(&|id| found.may_be_in(id, block));
        session.jobs(&mut blocks, query, places).await
    }
}

/// Traces by the first place that is known of each.
fn known_places(open: &Places, is_wanted: &dyn Fn(TraceId) -> bool) -> Vec<Place> {
    let mut known: BTreeMap<SpanPlace, Vec<u8>> = BTreeMap::new();
    for (id, places) in open.iter().filter(|(id, _)| is_wanted(**id)) {
        if let Some(place) = places.first() {
            known.entry(*place).or_default().extend(id.0);
        }
    }
    let place = |((part, row_group), ids): (SpanPlace, Vec<u8>)| Place {
        block: part.map(|block| block.to_bytes().to_vec()).unwrap_or_default(),
        row_group,
        trace_ids: ids.into(),
    };
    known.into_iter().map(place).collect()
}

/// The places of traces, those that were known and those that parts name.
struct OtherPlaces(Places);

impl Combine for OtherPlaces {
    fn add(&mut self, part: Part, partial: Partial) {
        for place in partial.places {
            let part = part.or_else(|| Some(Ulid::from_bytes(place.block.as_slice().try_into().ok()?)));
            for id in trace_ids(&place.trace_ids) {
                self.0.entry(id).or_default().insert((part, place.row_group));
            }
        }
    }
}

#[cfg(test)]
mod tests;
