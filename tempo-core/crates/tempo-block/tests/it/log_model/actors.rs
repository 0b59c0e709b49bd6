//! Who works with the log in the model: writers, compactors, readers, and those who keep the log and the bucket tidy.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use parking_lot::Mutex;
use tempo_block::layout::BlockFile;
use tempo_block::log::{CommitError, CommitLog, Cover, Grace, Snapshot, Transaction};
use tempo_block::meta::{BLOCK_FORMAT, BlockMeta, FileMeta};
use tempo_block::ranges::Ranges;
use tempo_block::store::Store;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use ulid::Ulid;

/// A span of the model is the WAL record that brought it.
pub(crate) type Span = (Ulid, u64);

#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// Has these records of a stream and works until all of them are stored. Two with the same stream are a primary
    /// and its successor.
    Writer {
        stream: Ulid,
        records: Range<u64>,
        batch: u64,
    },
    /// Replaces the two oldest blocks by one, so many times.
    Compactor { rounds: usize },
    /// Reads on, so many times.
    Reader { rounds: usize },
    /// Writes checkpoints, sweeps entries and deletes files, so many times.
    Janitor { rounds: usize },
}

/// What is in which block and what was believed: for the checks.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) contents: BTreeMap<Ulid, Vec<Span>>,
    /// Transactions whose commit was answered with success, with the position of the answer.
    pub(crate) believed: Vec<(Transaction, u64)>,
    /// What readers saw.
    pub(crate) seen: Vec<Arc<Snapshot<tempo_block::log::Blocks>>>,
}

#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) env: Environment,
    pub(crate) store: Store,
    pub(crate) role: Role,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl Actor {
    /// Works until the role is fulfilled; failures of the store are met by starting over.
    pub(crate) async fn run(self, opened: Option<CommitLog>) {
        let mut log = opened;
        loop {
            let current = match log.take() {
                Some(log) => log,
                None => match CommitLog::open(&self.env, &self.store, &TenantId::single()).await {
                    Ok(log) => log,
                    Err(_) => continue,
                },
            };
            if self.work(&current).await.is_ok() {
                return;
            }
            log = Some(current);
        }
    }

    async fn work(&self, log: &CommitLog) -> Outcome {
        match &self.role {
            Role::Writer {
                stream,
                records,
                batch,
            } => self.write(log, *stream, records.clone(), *batch).await,
            Role::Compactor { rounds } => {
                for _ in 0..*rounds {
                    self.compact(log).await?;
                }
                Ok(())
            }
            Role::Reader { rounds } => {
                for _ in 0..*rounds {
                    log.follow().await?;
                    self.ledger.lock().seen.push(log.snapshot());
                }
                Ok(())
            }
            Role::Janitor { rounds } => {
                for _ in 0..*rounds {
                    log.follow().await?;
                    log.checkpoint().await?;
                    log.sweep().await?;
                    log.clean(Grace::default()).await?;
                }
                Ok(())
            }
        }
    }

    async fn write(&self, log: &CommitLog, stream: Ulid, records: Range<u64>, batch: u64) -> Outcome {
        loop {
            let snapshot = log.snapshot();
            let none = Ranges::new();
            let left =
                Ranges::from(records.clone()).difference(snapshot.state.covered(stream).unwrap_or(&none));
            let Some(first) = left.iter().next() else {
                return Ok(());
            };
            let ranges = Ranges::from(first.start..first.end.min(first.start + batch));
            let spans: Vec<Span> = ranges.iter().flatten().map(|number| (stream, number)).collect();
            let covers = vec![Cover { stream, ranges }];
            self.commit(
                log,
                spans,
                Transaction {
                    covers,
                    ..Transaction::default()
                },
            )
            .await?;
        }
    }

    async fn compact(&self, log: &CommitLog) -> Outcome {
        log.follow().await?;
        let inputs: Vec<Ulid> = log.snapshot().state.live().take(2).map(|meta| meta.id).collect();
        if inputs.len() < 2 {
            return Ok(());
        }
        let spans: Vec<Span> = {
            let ledger = self.ledger.lock();
            inputs
                .iter()
                .flat_map(|block| ledger.contents[block].clone())
                .collect()
        };
        self.commit(
            log,
            spans,
            Transaction {
                remove: inputs,
                ..Transaction::default()
            },
        )
        .await
    }

    /// Uploads a block of these spans and commits it; what the log refuses is left to the next look.
    async fn commit(&self, log: &CommitLog, spans: Vec<Span>, mut transaction: Transaction) -> Outcome {
        transaction.uploaded_since = Some(self.env.clock.since_boot());
        let meta = meta(self.env.new_ulid());
        for file in BlockFile::ALL {
            self.store
                .put(&file.path(&TenantId::single(), meta.id), "x".into())
                .await?;
        }
        self.ledger.lock().contents.insert(meta.id, spans);
        transaction.add = vec![Arc::new(meta)];
        match log.commit(transaction.clone()).await {
            Ok(position) => {
                self.ledger.lock().believed.push((transaction, position));
                Ok(())
            }
            Err(CommitError::Refused(_) | CommitError::FileMissing { .. } | CommitError::UploadTooOld) => {
                log.follow().await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn meta(id: Ulid) -> BlockMeta {
    let file = FileMeta {
        bytes: 1,
        footer_bytes: 0,
        crc32c: 0,
    };
    BlockMeta {
        format: BLOCK_FORMAT,
        id,
        start_ns: 1,
        end_ns: 2,
        first_arrival_ns: 1,
        last_arrival_ns: 2,
        spans: 1,
        traces: 1,
        row_groups: 1,
        min_trace_id: TraceId([0; 16]),
        max_trace_id: TraceId([255; 16]),
        level: 0,
        continued: false,
        maybe_duplicates: false,
        spans_file: file,
        traces_file: file,
        catalogue_file: file,
    }
}
