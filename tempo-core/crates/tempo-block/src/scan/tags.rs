//! Names and values of attributes: from the catalogue of a block where it knows them, else from the spans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tempo_runtime::Environment;
use tempo_traceql::ast::{Attribute, Intrinsic, Scope};
use tempo_traceql::plan::{Plan, stored_fields};
use tempo_traceql::search::Search;
use tempo_traceql::tags::{TagFilter, TagValue};

use super::parts::Scan;
use super::{ScanError, Source, TimeRange};
use crate::catalogue::{Catalogue, Key};
use crate::read::{BlockReader, RowGroup, Wanted, wanted_fields};

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
        move |group: &dyn RowGroup| {
            let mut found = Vec::new();
            for scope in &scopes {
                let mut keys = BTreeSet::new();
                filter.keys(group.batch(), *scope, &mut keys)?;
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
    scan.each(&parts, |_, found, _| {
        for (scope, keys) in found.into_iter().flatten() {
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
    let mut new = NewValues::new(found, max_bytes);
    if let Some(block) = block_without_filter(source, filter, range)
        && let Some(values) = known_values(&*block.catalogue().await?, attribute)
    {
        new.add(values);
    } else {
        values_of_spans(environment, source, attribute, filter, range, &mut new).await?;
    }
    let mut values = new.finish();
    found.append(&mut values);
    Ok(())
}

/// Values that are not known yet, as many as there is room for.
struct NewValues<'a> {
    known: &'a BTreeSet<TagValue>,
    known_bytes: usize,
    /// 0 is no limit.
    max_bytes: usize,
    /// The first so many are sorted, each once; the others came since.
    sorted: usize,
    values: Vec<TagValue>,
    /// Of all values.
    bytes: usize,
}

impl<'a> NewValues<'a> {
    fn new(known: &'a BTreeSet<TagValue>, max_bytes: usize) -> Self {
        Self {
            known,
            known_bytes: known.iter().map(|value| value.value.len()).sum(),
            max_bytes,
            sorted: 0,
            values: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds values; whether there is room for more.
    fn add(&mut self, values: Vec<TagValue>) -> bool {
        /// So many values may wait to be sorted.
        const WAITING: usize = 1 << 16;
        self.bytes += values.iter().map(|value| value.value.len()).sum::<usize>();
        self.values.extend(values);
        if self.is_full() || self.values.len() > 2 * self.sorted + WAITING {
            self.sort();
        }
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.max_bytes > 0 && self.known_bytes + self.bytes > self.max_bytes
    }

    /// Drops what is repeated, known, or more than there is room for.
    fn sort(&mut self) {
        // Takes advantage of what is sorted already, as dictionaries mostly are.
        self.values.sort();
        self.values.dedup();
        self.bytes = 0;
        let mut values = std::mem::take(&mut self.values);
        values.retain(|value| {
            let is_taken = !self.is_full() && !self.known.contains(value);
            self.bytes += if is_taken { value.value.len() } else { 0 };
            is_taken
        });
        self.sorted = values.len();
        self.values = values;
    }

    fn finish(mut self) -> BTreeSet<TagValue> {
        self.sort();
        self.values.into_iter().collect()
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
        move |group: &dyn RowGroup| {
            if let Some(texts) = texts(group, &filter, &attribute) {
                return Ok(texts);
            }
            let mut values = Vec::new();
            filter.values(group.batch(), &attribute, &mut values)?;
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
    scan.each(&parts, |_, values, _| values.is_none_or(|values| new.add(values)))
        .await
}

/// All values of an attribute in a row group, where its dictionaries alone tell them.
fn texts(group: &dyn RowGroup, filter: &TagFilter, attribute: &Attribute) -> Option<Vec<TagValue>> {
    if filter.search().is_some()
        || matches!(attribute, Attribute::Intrinsic(intrinsic) if *intrinsic != Intrinsic::Name)
    {
        return None;
    }
    let fields = stored_fields(attribute).into_iter();
    let dictionaries: Vec<_> = fields.map(|field| group.texts(&field)).collect::<Option<_>>()?;
    // Of several fields one hides the other.
    let mut dictionaries = dictionaries.iter().filter(|dictionary| !dictionary.is_empty());
    let (dictionary, None) = (dictionaries.next()?, dictionaries.next()) else {
        return None;
    };
    let value = |text: &str| TagValue {
        kind: "string",
        value: text.to_owned(),
    };
    let texts = (0..dictionary.len() as u32).filter_map(|code| dictionary.get(code));
    Some(texts.map(value).collect())
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
