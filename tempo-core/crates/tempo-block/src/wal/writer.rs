//! The two tasks behind [`super::Wal::append`]: one writes and syncs, the other hands what is durable to the sink.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tempo_model::TenantId;
use tempo_runtime::Environment;
use tokio::sync::{mpsc, oneshot};
use ulid::Ulid;

use super::index::Index;
use super::record::{Flags, Record, encoded_length};
use super::segment::SegmentWriter;
use super::{Appended, QUEUE, RecordSink, Settings, WalError};

/// How many appends share one sync at most.
const BATCH: usize = 256;

type Answer = oneshot::Sender<Result<Appended, WalError>>;

/// What waits for the writer.
#[derive(Debug)]
pub(super) enum Request {
    Append(Pending),
    /// Close the segment that is being written.
    Close(oneshot::Sender<Result<(), WalError>>),
}

/// An append that waits for the writer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) tenant: TenantId,
    pub(super) payload: Bytes,
    pub(super) hash: u64,
    pub(super) flags: Flags,
    pub(super) answer: Answer,
}

impl Pending {
    /// The record without its number, which the writer gives, and who waits for it.
    fn split(self, epoch: Ulid) -> (Record, Answer) {
        let Self {
            tenant,
            payload,
            hash,
            flags,
            answer,
        } = self;
        (
            Record {
                epoch,
                tenant,
                number: 0,
                hash,
                flags,
                payload,
            },
            answer,
        )
    }
}

struct Durable {
    records: Vec<Record>,
    answers: Vec<Answer>,
}

pub(super) fn start(
    env: &Environment,
    dir: &Path,
    epoch: Ulid,
    settings: Settings,
    index: Arc<Mutex<Index>>,
    sink: Arc<dyn RecordSink>,
) -> mpsc::Sender<Request> {
    let (queue, waiting) = mpsc::channel(QUEUE);
    // One batch waits while another is applied: the writer is at most one ahead of the head.
    let (durable, written) = mpsc::channel(1);
    let segments = SegmentWriter::new(
        Arc::clone(&env.files),
        dir.to_owned(),
        epoch,
        settings,
        Arc::clone(&index),
    );
    env.spawn(
        "wal writer",
        write(env.clone(), epoch, segments, index, waiting, durable),
    );
    env.spawn("wal applier", apply(env.clone(), sink, written));
    queue
}

/// Ends when the last [`super::Wal`] is gone and all that waited was written, or when the applier has ended.
async fn write(
    env: Environment,
    epoch: Ulid,
    mut segments: SegmentWriter,
    index: Arc<Mutex<Index>>,
    mut waiting: mpsc::Receiver<Request>,
    durable: mpsc::Sender<Durable>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while receive(&mut waiting, &mut batch, &durable).await {
        let (mut records, mut answers, mut closing) = (Vec::new(), Vec::new(), Vec::new());
        for request in batch.drain(..) {
            match request {
                Request::Append(pending) => {
                    let (record, answer) = pending.split(epoch);
                    records.push(record);
                    answers.push(answer);
                }
                Request::Close(answer) => closing.push(answer),
            }
        }
        let bytes = records
            .iter()
            .map(|record| encoded_length(&record.tenant, &record.payload))
            .sum();
        let must_close = !closing.is_empty();
        let written = env
            .run_cpu("wal write", move || {
                let written = segments.write(records);
                let closed = if must_close { segments.close_open() } else { Ok(()) };
                (segments, written, closed)
            })
            .await;
        // A write that panicked took the segment with it; the queue closes and appends answer so.
        let Ok((given_back, written, closed)) = written else {
            return;
        };
        segments = given_back;
        match written {
            Ok(records) => {
                if durable.send(Durable { records, answers }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                index.lock().release(bytes);
                tracing::warn!(%error, appends = answers.len(), "write-ahead log refused appends");
                for answer in answers {
                    // Whoever is gone needs no answer.
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
        for answer in closing {
            let _ = answer.send(closed.clone());
        }
    }
}

/// Waits for requests; false when there will be none, or nobody to apply them.
async fn receive(
    waiting: &mut mpsc::Receiver<Request>,
    batch: &mut Vec<Request>,
    durable: &mpsc::Sender<Durable>,
) -> bool {
    tokio::select! {
        biased;
        () = durable.closed() => false,
        received = waiting.recv_many(batch, BATCH) => received > 0,
    }
}

async fn apply(env: Environment, sink: Arc<dyn RecordSink>, mut written: mpsc::Receiver<Durable>) {
    while let Some(Durable { records, answers }) = written.recv().await {
        let sink = Arc::clone(&sink);
        let applied = env.run_cpu("wal apply", move || {
            sink.apply(&records);
            records
        });
        let Ok(records) = applied.await else { return };
        for (record, answer) in records.into_iter().zip(answers) {
            let _ = answer.send(Ok(Appended {
                epoch: record.epoch,
                number: record.number,
            }));
        }
    }
}
