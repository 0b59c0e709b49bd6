//! A block on its way into the store: pieces are encoded on the CPU pool, and sent before the next one.

use std::sync::Arc;

use parking_lot::Mutex;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;

use super::attributes::AttributePlan;
use super::builder::{BlockBuilder, Origin, Piece};
use super::copied::RawRowGroup;
use super::source::{GoesOn, Source};
use super::upload::Upload;
use super::{BlockOptions, WriteError, catalogue, plan};
use crate::catalogue::Catalogue;
use crate::head::HeadSnapshot;
use crate::layout::BlockFile;
use crate::meta::BlockMeta;
use crate::schema::AttributeColumn;
use crate::store::Store;

/// A block that is being written. After an error it is to be abandoned.
pub(crate) struct BlockWriter {
    environment: Environment,
    store: Store,
    tenant: TenantId,
    /// Locked by one piece of work at a time.
    builder: Arc<Mutex<BlockBuilder>>,
    spans: Upload,
    traces: Upload,
}

impl BlockWriter {
    /// A block with these attribute columns, at most [`crate::schema::MAX_ATTRIBUTE_COLUMNS`], in whatever order.
    pub(crate) fn new(
        environment: &Environment,
        store: &Store,
        tenant: &TenantId,
        columns: Vec<AttributeColumn>,
        options: BlockOptions,
    ) -> Result<Self, WriteError> {
        let builder = BlockBuilder::new(AttributePlan::new(columns), options)?;
        Ok(Self {
            environment: environment.clone(),
            store: store.clone(),
            tenant: tenant.clone(),
            builder: Arc::new(Mutex::new(builder)),
            spans: Upload::new(store, tenant, options.id, BlockFile::Spans),
            traces: Upload::new(store, tenant, options.id, BlockFile::Traces),
        })
    }

    /// Adds all spans of a snapshot.
    pub(crate) async fn add_snapshot(
        &mut self,
        snapshot: Arc<HeadSnapshot>,
        goes_on: GoesOn,
    ) -> Result<(), WriteError> {
        let builder = Arc::clone(&self.builder);
        let begin = move || {
            let source = Source::of(snapshot, goes_on).ok_or(WriteError::Empty)?;
            let mut builder = builder.lock();
            builder.describe(origin(&source), &catalogue::of(&source.snapshot));
            let max_rows = builder.options().max_row_group_rows;
            let groups = plan::row_groups(&source.traces, source.arrivals_ns, max_rows);
            Ok::<_, WriteError>((Arc::new(source), groups))
        };
        let (source, groups) = self.environment.run_cpu("plan a block", begin).await??;
        for traces in groups {
            let source = Arc::clone(&source);
            self.add("encode a row group", move |builder| {
                builder.add_traces(&source, traces)
            })
            .await?;
        }
        Ok(())
    }

    /// Adds to what the block says of all its spans, before row groups are copied.
    pub(crate) fn describe(&mut self, origin: Origin, catalogue: &Catalogue) {
        self.builder.lock().describe(origin, catalogue);
    }

    /// Widens what the block says of the arrival of its records.
    pub(crate) fn widen_arrivals(&mut self, arrivals_ns: (u64, u64)) {
        self.builder.lock().widen_arrivals(arrivals_ns);
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.builder.lock().is_empty()
    }

    /// Adds a row group of another block as it is. The columns of this one must be among those of the block.
    pub(crate) async fn add_copied(&mut self, raw: RawRowGroup) -> Result<(), WriteError> {
        self.add("copy a row group", move |builder| builder.add_copied(&raw))
            .await
    }

    async fn add(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut BlockBuilder) -> Result<Piece, WriteError> + Send + 'static,
    ) -> Result<(), WriteError> {
        let builder = Arc::clone(&self.builder);
        let piece = self
            .environment
            .run_cpu(name, move || work(&mut builder.lock()))
            .await??;
        self.put(piece).await
    }

    async fn put(&mut self, piece: Piece) -> Result<(), WriteError> {
        self.spans.put(piece.spans).await?;
        self.traces.put(piece.traces).await?;
        Ok(())
    }

    /// Ends the block: only now its files are there.
    pub(crate) async fn finish(mut self) -> Result<Arc<BlockMeta>, WriteError> {
        let builder = Arc::clone(&self.builder);
        let work = move || builder.lock().finish();
        let finished = self.environment.run_cpu("finish a block", work).await??;
        self.put(finished.piece).await?;
        self.spans.finish().await?;
        self.traces.finish().await?;
        let id = finished.meta.id;
        let mut catalogue = Upload::new(&self.store, &self.tenant, id, BlockFile::Catalogue);
        catalogue.put(finished.catalogue).await?;
        catalogue.finish().await?;
        Ok(Arc::new(finished.meta))
    }

    /// Gives the block up.
    pub(crate) async fn abandon(self) {
        self.spans.abandon().await;
        self.traces.abandon().await;
    }
}

fn origin(source: &Source) -> Origin {
    let ids = || source.traces.iter().map(|trace| TraceId(trace.id));
    let least = TraceId([0; 16]);
    Origin {
        arrivals_ns: source.arrivals_ns,
        trace_ids: (ids().min().unwrap_or(least), ids().max().unwrap_or(least)),
        continued: false,
    }
}
