//! Names and values of attributes: from the catalogue of a block where it knows them, else from the spans.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tempo_runtime::Environment;
use tempo_traceql::ast::{Attribute, Intrinsic, Scope};
use tempo_traceql::columns::SpanBatch;
use tempo_traceql::plan::{Plan, stored_fields};
use tempo_traceql::search::Search;
use tempo_traceql::tags::{TagFilter, TagValue};

use super::parts::Scan;
use super::{ScanError, Source, TimeRange};
use crate::catalogue::{Catalogue, Key};
use crate::read::{BlockReader, Wanted, wanted_fields};

/// The keys of attributes in each of `scopes`, of the spans that the filter leaves.
pub async fn tag_names(
    environment: &Environment,
    source: &Source,
    scopes: &[Scope],
    filter: &TagFilter,
    range: TimeRange,
) -> Result<BTreeMap<Scope, BTreeSet<String>>, ScanError> {
    let mut names: BTreeMap<Scope, BTreeSet<String>> = BTreeMap::new();
    if let Some(block) = block_without_filter(source, filter, range) {
        let catalogue = block.catalogue().await?;
        for scope in scopes {
            let keys = catalogue.keys(*scope).map(|(key, _)| key.to_owned());
            names.insert(*scope, keys.collect());
        }
        return Ok(names);
    }
    let run = {
        let (filter, scopes) = (filter.clone(), scopes.to_vec());
        move |batch: &dyn SpanBatch| {
            let mut found = Vec::new();
            for scope in &scopes {
                let mut keys = BTreeSet::new();
                filter.keys(batch, *scope, &mut keys)?;
                found.push((*scope, keys));
            }
            Ok(found)
        }
    };
    let keys = scopes.iter().copied().map(Wanted::Keys);
    let scan = Scan {
        environment,
        source,
        plans: plans(filter),
        first: keys.chain(fields_of(filter)).collect(),
        more: scopes
            .iter()
            .copied()
            .map(Wanted::Attributes)
            .chain([Wanted::Ordinals])
            .collect(),
        work: Arc::new(run),
    };
    let parts = scan.parts(range).await?;
    scan.each(&parts, |found, _| {
        for (scope, keys) in found {
            names.entry(scope).or_default().extend(keys);
        }
        true
    })
    .await?;
    Ok(names)
}

/// Adds the values of an attribute on the spans that the filter leaves; stops when they take more than `max_bytes`
/// (0 is no limit).
pub async fn tag_values(
    environment: &Environment,
    source: &Source,
    attribute: &Attribute,
    filter: &TagFilter,
    range: TimeRange,
    max_bytes: usize,
    found: &mut BTreeSet<TagValue>,
) -> Result<(), ScanError> {
    let mut new = NewValues {
        bytes: found.iter().map(|value| value.value.len()).sum(),
        max_bytes,
        values: HashSet::new(),
        known: found,
    };
    if let Some(block) = block_without_filter(source, filter, range)
        && let Some(values) = known_values(&*block.catalogue().await?, attribute)
    {
        new.add(values);
    } else {
        values_of_spans(environment, source, attribute, filter, range, &mut new).await?;
    }
    // Sorted once: a set that grows by one costs a search each time.
    let mut values = new.values.into_iter().collect();
    found.append(&mut values);
    Ok(())
}

/// Values that are not known yet, as many as there is room for.
struct NewValues<'a> {
    known: &'a BTreeSet<TagValue>,
    values: HashSet<TagValue>,
    bytes: usize,
    /// 0 is no limit.
    max_bytes: usize,
}

impl NewValues<'_> {
    /// Adds values; whether there is room for more.
    fn add(&mut self, values: Vec<TagValue>) -> bool {
        for value in values {
            if self.max_bytes > 0 && self.bytes > self.max_bytes {
                return false;
            }
            let length = value.value.len();
            if !self.known.contains(&value) && self.values.insert(value) {
                self.bytes += length;
            }
        }
        true
    }
}

async fn values_of_spans(
    environment: &Environment,
    source: &Source,
    attribute: &Attribute,
    filter: &TagFilter,
    range: TimeRange,
    new: &mut NewValues<'_>,
) -> Result<(), ScanError> {
    let run = {
        let (filter, attribute) = (filter.clone(), attribute.clone());
        move |batch: &dyn SpanBatch| {
            let mut values = Vec::new();
            filter.values(batch, &attribute, &mut values)?;
            Ok(values)
        }
    };
    let scan = Scan {
        environment,
        source,
        plans: plans(filter),
        first: fields_of(filter)
            .chain(wanted_fields(stored_fields(attribute)))
            .collect(),
        more: vec![Wanted::Ordinals],
        work: Arc::new(run),
    };
    let parts = scan.parts(range).await?;
    scan.each(&parts, |values, _| new.add(values)).await
}

/// The source, if it is a block of which every span is asked for.
fn block_without_filter<'a>(
    source: &'a Source,
    filter: &TagFilter,
    range: TimeRange,
) -> Option<&'a Arc<dyn BlockReader>> {
    match source {
        Source::Block(block) => {
            let is_whole =
                filter.search().is_none() && range.covers(block.meta().start_ns, block.meta().end_ns);
            is_whole.then_some(block)
        }
        Source::Head(_) => None,
    }
}

/// All values of an attribute; `None` where the catalogue does not know all.
fn known_values(catalogue: &Catalogue, attribute: &Attribute) -> Option<Vec<TagValue>> {
    let keys = match attribute {
        Attribute::Scoped(scope, key) => vec![catalogue.key(*scope, key)],
        // A span's value hides its resource's, and the catalogue does not know on which spans.
        Attribute::Unscoped(key) => match catalogue.key(Scope::Span, key) {
            Some(_) => return None,
            None => vec![catalogue.key(Scope::Resource, key)],
        },
        Attribute::Intrinsic(Intrinsic::Name) => vec![catalogue.names()],
        Attribute::Intrinsic(_) | Attribute::Parent(_) => return None,
    };
    let keys: Vec<_> = keys.into_iter().flatten().collect();
    let is_complete = keys.iter().all(|key| key.complete);
    is_complete.then(|| keys.into_iter().flat_map(Key::tag_values).collect())
}

fn plans(filter: &TagFilter) -> Vec<&Plan> {
    filter.search().map(Search::plan).into_iter().collect()
}

fn fields_of(filter: &TagFilter) -> impl Iterator<Item = Wanted> {
    let fields = filter.search().map(|search| search.plan().fields());
    wanted_fields(fields.unwrap_or_default()).into_iter()
}
