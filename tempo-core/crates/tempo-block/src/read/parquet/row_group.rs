//! A row group that is being read: column chunks as they were loaded, decoded when they are first asked for.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::UInt32Type;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::{
    Column, Condition, Dictionary, FetchError, Field, Part, ROOT, Rows, Selection, SpanBatch, TraceRow,
    Values,
};

use super::arrays::{Texts, binary, fixed};
use super::columns::{self, all, column};
use super::entries::Places;
use super::fields::{Layout, ListLeaves};
use super::file::{LeafNumber, SpansFile};
use super::files::Files;
use super::flat::{FlatChunk, Words};
use super::leaf::{Chunk, Leaf};
use super::parents::parents;
use super::prune;
use crate::head::right_aligned;
use crate::read::evaluate::NotLoaded;
use crate::read::memory::MemoryPermit;
use crate::read::{ReadError, RowGroup, Wanted};
use crate::schema::spans;

/// Rows are decoded alone when they are fewer than one in so many; more are cheaper taken from the whole.
const FEW_ROWS: usize = 8;

/// A row group of which some columns are loaded.
pub(super) struct ParquetRowGroup {
    files: Arc<Files>,
    file: Arc<SpansFile>,
    number: usize,
    rows: usize,
    chunks: Mutex<HashMap<LeafNumber, Bytes>>,
    /// `None` for those that are only decoded as a whole.
    opened: Mutex<HashMap<LeafNumber, Option<Arc<FlatChunk>>>>,
    decoded: Mutex<HashMap<LeafNumber, Arc<Leaf>>>,
    traces: OnceLock<Arc<[TraceRow]>>,
    missing: Mutex<Vec<Wanted>>,
    _room: MemoryPermit,
}

impl ParquetRowGroup {
    /// A row group of which nothing is loaded, in `room` for it.
    pub(super) fn new(
        files: Arc<Files>,
        file: Arc<SpansFile>,
        number: usize,
        room: MemoryPermit,
    ) -> Result<Self, ReadError> {
        let rows = file.row_group(number)?.0.num_rows() as usize;
        Ok(Self {
            files,
            file,
            number,
            rows,
            chunks: Mutex::default(),
            opened: Mutex::default(),
            decoded: Mutex::default(),
            traces: OnceLock::new(),
            missing: Mutex::default(),
            _room: room,
        })
    }

    /// Where its columns lie.
    pub(super) fn layout(&self) -> Layout<'_> {
        Layout {
            file: &self.file,
            row_group: self.number,
        }
    }

    /// The chunk of a leaf, if it is loaded.
    fn chunk(&self, leaf: LeafNumber) -> Option<Chunk<'_>> {
        let bytes = self.chunks.lock().get(&leaf).cloned()?;
        Some(Chunk {
            files: &self.files,
            file: &self.file,
            row_group: self.number,
            leaf,
            bytes,
        })
    }

    /// Loads the chunks of leaves.
    async fn load_leaves(&self, mut leaves: Vec<LeafNumber>) -> Result<(), ReadError> {
        {
            let loaded = self.chunks.lock();
            leaves.retain(|leaf| !loaded.contains_key(leaf));
        }
        leaves.sort_unstable();
        leaves.dedup();
        if !leaves.is_empty() {
            let chunks = self.files.chunks(&self.file, self.number, &leaves).await?;
            self.chunks.lock().extend(leaves.into_iter().zip(chunks));
        }
        Ok(())
    }

    /// A decoded leaf; an error that remembers `wanted` when it is not loaded.
    fn leaf(&self, leaf: LeafNumber, wanted: &Wanted) -> Result<Arc<Leaf>, FetchError> {
        if let Some(decoded) = self.decoded.lock().get(&leaf) {
            return Ok(Arc::clone(decoded));
        }
        let chunk = self.chunk(leaf).ok_or_else(|| self.not_loaded(wanted))?;
        let decoded = self.opened(&chunk).and_then(|opened| match opened {
            Some(flat) => chunk.decode_flat(&flat, None),
            None => chunk.decode(None),
        });
        let decoded = Arc::new(decoded.map_err(|error| failed(wanted, error))?);
        self.decoded.lock().insert(leaf, Arc::clone(&decoded));
        Ok(decoded)
    }

    /// What is wanted of a leaf: all of it, and which rows of it, or those rows alone.
    fn some_of_leaf<'a>(
        &self,
        leaf: LeafNumber,
        wanted: &Wanted,
        selection: Selection<'a>,
    ) -> Result<SomeOfLeaf<'a>, FetchError> {
        let few = match selection {
            Selection::Rows(rows) if rows.len() * FEW_ROWS <= self.rows => rows,
            _ => return Ok(SomeOfLeaf::Whole(self.leaf(leaf, wanted)?, selection)),
        };
        if let Some(decoded) = self.decoded.lock().get(&leaf) {
            return Ok(SomeOfLeaf::Whole(Arc::clone(decoded), selection));
        }
        let chunk = self.chunk(leaf).ok_or_else(|| self.not_loaded(wanted))?;
        let Some(flat) = self.opened(&chunk).map_err(|error| failed(wanted, error))? else {
            return Ok(SomeOfLeaf::Whole(self.leaf(leaf, wanted)?, selection));
        };
        let decoded = chunk.decode_flat(&flat, Some(few));
        Ok(SomeOfLeaf::Rows(
            decoded.map_err(|error| failed(wanted, error))?,
            few,
        ))
    }

    fn opened(&self, chunk: &Chunk<'_>) -> Result<Option<Arc<FlatChunk>>, ReadError> {
        if let Some(opened) = self.opened.lock().get(&chunk.leaf) {
            return Ok(opened.clone());
        }
        let opened = chunk.open()?.map(Arc::new);
        self.opened.lock().insert(chunk.leaf, opened.clone());
        Ok(opened)
    }

    /// The dictionary of a leaf of texts; `None` when it has none, or is not loaded.
    pub(super) fn words(&self, leaf: LeafNumber) -> Result<Option<Arc<Words>>, ReadError> {
        let Some(chunk) = self.chunk(leaf) else {
            return Ok(None);
        };
        match self.opened(&chunk)? {
            Some(flat) => Ok(flat.words().cloned()),
            None => chunk.words(),
        }
    }

    /// A decoded leaf by path; `None` where no row has a value.
    fn leaf_at(&self, path: &str, wanted: &Wanted) -> Result<Option<Arc<Leaf>>, FetchError> {
        let leaf = self.layout().leaf(path);
        leaf.map(|leaf| self.leaf(leaf, wanted)).transpose()
    }

    fn not_loaded(&self, wanted: &Wanted) -> FetchError {
        self.missing.lock().push(wanted.clone());
        NotLoaded::error(wanted)
    }

    fn damaged(&self, wanted: &Wanted) -> FetchError {
        failed(
            wanted,
            self.layout().damaged("a column is not of the format's type"),
        )
    }

    /// A column of numbers that every row has.
    fn counts(&self, path: &str, wanted: &Wanted) -> Result<Vec<u32>, FetchError> {
        let leaf = self.leaf_at(path, wanted)?;
        let counts = leaf
            .as_ref()
            .and_then(|leaf| all::<UInt32Type>(leaf).map(<[u32]>::to_vec));
        match counts {
            None if self.rows == 0 => Ok(Vec::new()),
            counts => counts.ok_or_else(|| self.damaged(wanted)),
        }
    }

    fn attribute(&self, scope: Scope, key: &str, selection: Selection<'_>) -> Result<Column, FetchError> {
        let wanted = Wanted::Field(Field::Attribute(scope, key.to_owned()));
        let mut parts = Vec::new();
        for (leaf, kind) in self.layout().columns_of(scope, key) {
            let leaf = self.some_of_leaf(leaf, &wanted, selection)?;
            let part = leaf.column(|leaf, selection| columns::of_attribute(kind, leaf, selection));
            parts.extend(part.ok_or_else(|| self.damaged(&wanted))?.parts);
        }
        if let Some(list) = self.layout().list(scope) {
            parts.extend(self.listed(key, list, &wanted, selection)?);
        }
        parts.retain(|part: &Part| !part.values.is_empty());
        Ok(Column { parts })
    }

    /// The values of a key in an attribute list.
    fn listed(
        &self,
        key: &str,
        list: ListLeaves,
        wanted: &Wanted,
        selection: Selection<'_>,
    ) -> Result<Vec<Part>, FetchError> {
        let keys = self.leaf(list.key, wanted)?;
        let places = Places::of(key, &keys, selection).ok_or_else(|| self.damaged(wanted))?;
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let (kinds, values) = (self.leaf(list.kind, wanted)?, self.leaf(list.value, wanted)?);
        let column = places
            .column(&kinds, &values)
            .ok_or_else(|| self.damaged(wanted))?;
        let file = self.file.path.clone();
        let column = column.map_err(|source| failed(wanted, ReadError::Value { file, source }))?;
        Ok(column.parts)
    }

    /// The parent ids of spans that have one: the id of the parent's row, or the id that was received.
    fn parent_ids(&self, selection: Selection<'_>) -> Result<Column, FetchError> {
        let wanted = Wanted::Field(Field::ParentId);
        let parents = self.tree(&wanted)?;
        let own = self.leaf_at(spans::SPAN_ID, &wanted)?;
        let received = self.leaf_at(spans::PARENT_SPAN_ID, &wanted)?;
        let own = own.as_ref().and_then(|leaf| fixed(&leaf.values));
        let received = received.as_ref().and_then(|leaf| binary(&leaf.values));
        let id_of = |row: u32| -> Option<[u8; 8]> {
            match *parents.get(row as usize)? {
                ROOT => None,
                parent if (parent as usize) < self.rows => own?.value(parent as usize).try_into().ok(),
                _ => Some(right_aligned(received?.value(row as usize))),
            }
        };
        let with_id = |row: u32| Some((row, id_of(row)?));
        let (rows, ids) = match selection {
            Selection::All => (0..self.rows as u32).filter_map(with_id).unzip(),
            Selection::Rows(rows) => rows.iter().copied().filter_map(with_id).unzip(),
        };
        Ok(column(Rows::Sparse(rows), Values::SpanId(ids)))
    }

    fn tree(&self, wanted: &Wanted) -> Result<Vec<u32>, FetchError> {
        let ordinals = self.counts(spans::TRACE_ORD, wanted)?;
        let positions = self.counts(spans::POS, wanted)?;
        let depths = self.counts(spans::DEPTH, wanted)?;
        let received = self.leaf_at(spans::PARENT_SPAN_ID, wanted)?;
        let received = received.as_ref().and_then(|leaf| binary(&leaf.values));
        let found = parents(&ordinals, &positions, &depths, received);
        found.ok_or_else(|| failed(wanted, self.layout().damaged("positions of spans are no trees")))
    }
}

/// What was decoded of a leaf.
enum SomeOfLeaf<'a> {
    /// All of it, of which these rows are wanted.
    Whole(Arc<Leaf>, Selection<'a>),
    /// These rows.
    Rows(Leaf, &'a [u32]),
}

impl SomeOfLeaf<'_> {
    /// The column that `make` makes of it.
    fn column(&self, make: impl Fn(&Leaf, Selection<'_>) -> Option<Column>) -> Option<Column> {
        match self {
            Self::Whole(leaf, selection) => make(leaf, *selection),
            Self::Rows(leaf, rows) => {
                let mut column = make(leaf, Selection::All)?;
                column
                    .parts
                    .iter_mut()
                    .for_each(|part| renumber(&mut part.rows, rows));
                Some(column)
            }
        }
    }
}

/// Numbers that count within `rows` become those rows.
fn renumber(numbers: &mut Rows, rows: &[u32]) {
    if let Rows::Sparse(numbers) | Rows::Entries { rows: numbers, .. } = numbers {
        for number in numbers {
            *number = rows.get(*number as usize).copied().unwrap_or(*number);
        }
    }
}

fn failed(wanted: &Wanted, source: ReadError) -> FetchError {
    FetchError {
        what: format!("{wanted:?}"),
        source: Box::new(source),
    }
}

impl SpanBatch for ParquetRowGroup {
    fn len(&self) -> usize {
        self.rows
    }

    fn column(&self, field: &Field, selection: Selection<'_>) -> Result<Column, FetchError> {
        match field {
            Field::Attribute(scope, key) => self.attribute(*scope, key, selection),
            Field::ParentId => self.parent_ids(selection),
            field => {
                let Some(leaf) = self.layout().leaf_of(field) else {
                    return Ok(Column::default());
                };
                let wanted = Wanted::Field(field.clone());
                let leaf = self.some_of_leaf(leaf, &wanted, selection)?;
                let column = leaf.column(|leaf, selection| columns::of_field(field, leaf, selection));
                column.ok_or_else(|| self.damaged(&wanted))
            }
        }
    }

    fn attribute_keys(&self, scope: Scope) -> Result<Vec<String>, FetchError> {
        let (wanted, layout) = (Wanted::Keys(scope), self.layout());
        let columns = self.file.contents.columns.iter().enumerate();
        let mut keys: HashSet<String> = columns
            .filter(|(place, column)| column.scope == scope && layout.column_at(*place).is_some())
            .map(|(_, column)| column.key.clone())
            .collect();
        if let Some(list) = layout.list(scope) {
            let leaf = self.leaf(list.key, &wanted)?;
            let texts = Texts::new(&leaf.values).ok_or_else(|| self.damaged(&wanted))?;
            keys.extend(texts.dictionary().map(str::to_owned));
        }
        Ok(keys.into_iter().collect())
    }

    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError> {
        self.counts(spans::TRACE_ORD, &Wanted::Ordinals).map(Into::into)
    }

    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError> {
        let traces = self.traces.get().cloned();
        traces.ok_or_else(|| self.not_loaded(&Wanted::Ordinals))
    }

    fn parents(&self) -> Result<Arc<[u32]>, FetchError> {
        self.tree(&Wanted::Parents).map(Into::into)
    }

    fn may_match(&self, condition: &Condition) -> bool {
        prune::may_match(self, condition)
    }
}

#[async_trait]
impl RowGroup for ParquetRowGroup {
    fn batch(&self) -> &dyn SpanBatch {
        self
    }

    fn texts(&self, field: &Field) -> Option<Arc<dyn Dictionary>> {
        prune::all_texts(self, field)
    }

    fn take_missing(&self) -> Vec<Wanted> {
        std::mem::take(&mut *self.missing.lock())
    }

    async fn load(&self, wanted: &[Wanted]) -> Result<(), ReadError> {
        let leaves = wanted
            .iter()
            .flat_map(|wanted| self.layout().leaves_of(wanted))
            .collect();
        let with_traces = wanted.contains(&Wanted::Ordinals) && self.traces.get().is_none();
        let traces = async {
            if with_traces {
                let rows = self.files.trace_table(self.number).await?.rows();
                let _ = self.traces.set(rows);
            }
            Ok(())
        };
        futures::future::try_join(self.load_leaves(leaves), traces).await?;
        Ok(())
    }
}
