//! The commit log rule by rule, through its front door.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use parking_lot::Mutex;
use tempo_block::layout::{self, BlockFile, LogFile};
use tempo_block::log::{
    BlocksRefusal, CHECKPOINT_INTERVAL, CommitError, CommitLog, Cover, LogError, MAX_SLEEP, StreamChange,
    StreamLog, Transaction,
};
use tempo_block::ranges::Ranges;
use tempo_block::store::faulty::{Fault, Faults, Faulty};
use tempo_block::store::metered::{Metered, Operation, StoreMetrics};
use tempo_block::store::{Settings, Store, open};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

use crate::log_model::meta;

const STREAM: Ulid = Ulid(9);

fn env(seed: u64) -> Environment {
    Environment::simulated(seed, 1_700_000_000_000_000_000)
}

fn memory() -> Store {
    open(&Settings::Memory).unwrap()
}

async fn open_log(seed: u64, store: &Store) -> CommitLog {
    CommitLog::open(&env(seed), store, &TenantId::single())
        .await
        .unwrap()
}

/// Uploads a block and says how to commit it.
async fn block(store: &Store, id: u128, records: std::ops::Range<u64>) -> Transaction {
    let meta = meta(Ulid(id));
    for file in BlockFile::ALL {
        store
            .put(&file.path(&TenantId::single(), meta.id), "x".into())
            .await
            .unwrap();
    }
    let covers = vec![Cover {
        stream: STREAM,
        ranges: records.into(),
    }];
    Transaction {
        add: vec![Arc::new(meta)],
        covers,
        ..Transaction::default()
    }
}

fn entry_path(number: u64) -> Path {
    layout::log_folder(&layout::tenant_folder(&TenantId::single())).join(LogFile::Entry(number).name())
}

/// Hands out faults to puts of log entries, first come first served.
#[derive(Debug, Default)]
struct EntryFaults(Mutex<Vec<Fault>>);

#[async_trait]
impl Faults for EntryFaults {
    async fn before(&self, operation: Operation, path: &Path) -> Fault {
        let entry = path
            .filename()
            .and_then(LogFile::parse)
            .is_some_and(|file| !file.is_checkpoint());
        let fault = (operation == Operation::Put && entry)
            .then(|| self.0.lock().pop())
            .flatten();
        fault.unwrap_or_default()
    }
}

fn faulty(store: &Store, faults: &[Fault]) -> Store {
    Arc::new(Faulty::new(
        Arc::clone(store),
        Arc::new(EntryFaults(Mutex::new(faults.to_vec()))),
    ))
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_seen_by_the_next_look_of_others() {
    let store = memory();
    let (writer, reader) = (open_log(1, &store).await, open_log(2, &store).await);
    assert_eq!(writer.commit(block(&store, 1, 0..5).await).await.unwrap(), 1);
    assert_eq!(reader.position(), 0);
    assert_eq!(reader.follow().await.unwrap(), 1);
    let snapshot = reader.snapshot();
    assert_eq!(snapshot.state.live().len(), 1);
    assert!(snapshot.state.is_covered(STREAM, 4) && !snapshot.state.is_covered(STREAM, 5));
    assert_eq!(reader.at_least(1).await.unwrap().position, 1);
    assert!(matches!(
        reader.at_least(7).await,
        Err(LogError::NotThere {
            position: 7,
            reached: 1,
            ..
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn records_that_another_stored_are_refused_by_name() {
    let store = memory();
    let (first, second) = (open_log(1, &store).await, open_log(2, &store).await);
    first.commit(block(&store, 1, 0..5).await).await.unwrap();
    let error = second.commit(block(&store, 2, 3..8).await).await.unwrap_err();
    let CommitError::Refused(BlocksRefusal::AlreadyCovered { stream, already }) = error else {
        panic!("{error}");
    };
    assert_eq!((stream, already), (STREAM, Ranges::from(3..5)));
    second.commit(block(&store, 3, 5..8).await).await.unwrap();
    assert_eq!(second.position(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_to_be_a_success() {
    let store = memory();
    let log = open_log(1, &faulty(&store, &[Fault::AnswerLost])).await;
    assert_eq!(log.commit(block(&store, 1, 0..5).await).await.unwrap(), 1);
    assert_eq!(open_log(2, &store).await.position(), 1, "it is there once");
}

#[tokio::test(start_paused = true)]
async fn a_refused_put_is_tried_again() {
    let store = memory();
    let log = open_log(1, &faulty(&store, &[Fault::Refused, Fault::Refused])).await;
    assert_eq!(log.commit(block(&store, 1, 0..5).await).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_failing_leaves_the_outcome_open_and_the_log_usable() {
    let store = memory();
    let log = open_log(1, &faulty(&store, &[Fault::Refused; 6])).await;
    let error = log.commit(block(&store, 1, 0..5).await).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Unknown(LogError::Store { .. })),
        "{error}"
    );
    assert_eq!(log.commit(block(&store, 2, 0..5).await).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_block_without_its_files_is_not_committed() {
    let store = memory();
    let log = open_log(1, &store).await;
    let transaction = block(&store, 1, 0..5).await;
    let missing = BlockFile::Traces.path(&TenantId::single(), Ulid(1));
    store.delete(&missing).await.unwrap();
    let error = log.commit(transaction).await.unwrap_err();
    assert!(
        matches!(&error, CommitError::FileMissing { file } if *file == missing.to_string()),
        "{error}"
    );
    assert_eq!(log.position(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_upload_is_not_committed() {
    let store = memory();
    let log = open_log(1, &store).await;
    let mut transaction = block(&store, 1, 0..5).await;
    transaction.uploaded_since = Some(env(1).clock.since_boot());
    tokio::time::advance(MAX_SLEEP + Duration::from_secs(1)).await;
    // The clocks of this world start with it, so the age is given as one.
    let began = Duration::ZERO;
    transaction.uploaded_since = Some(began);
    let error = log.commit(transaction).await.unwrap_err();
    assert!(matches!(error, CommitError::UploadTooOld), "{error}");
}

#[tokio::test(start_paused = true)]
async fn opening_starts_at_the_newest_checkpoint() {
    let store = memory();
    let log = open_log(1, &store).await;
    let entries = CHECKPOINT_INTERVAL + 3;
    for number in 0..entries {
        log.commit(block(&store, u128::from(number) + 1, number..number + 1).await)
            .await
            .unwrap();
    }
    let metrics = Arc::new(StoreMetrics::default());
    let counted: Store = Arc::new(Metered::new(Arc::clone(&store), Arc::clone(&metrics)));
    let reopened = open_log(2, &counted).await;
    assert_eq!(reopened.position(), entries);
    assert_eq!(reopened.snapshot().state, log.snapshot().state);
    // The hint, the checkpoint, three entries behind it, and the look that finds the end.
    assert_eq!(metrics.count(Operation::Get).requests, 6);
    assert_eq!(metrics.count(Operation::List).requests, 1);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_blocks_open_with_a_handful_of_requests() {
    let store = memory();
    let log = open_log(1, &store).await;
    for batch in 0..10_u128 {
        let mut whole = Transaction::default();
        for id in 0..1000 {
            whole
                .add
                .extend(block(&store, batch * 1000 + id + 1, 0..0).await.add);
        }
        log.commit(whole).await.unwrap();
    }
    log.checkpoint().await.unwrap();
    let metrics = Arc::new(StoreMetrics::default());
    let counted: Store = Arc::new(Metered::new(store, Arc::clone(&metrics)));
    let reopened = open_log(2, &counted).await;
    assert_eq!(reopened.snapshot().state.live().len(), 10_000);
    assert_eq!(metrics.count(Operation::Get).requests, 3);
    let read = metrics.count(Operation::Get).bytes;
    assert!(read < 2 << 20, "a checkpoint of 10,000 blocks takes {read} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_lies_costs_a_listing_and_no_more() {
    let store = memory();
    let log = open_log(1, &store).await;
    log.commit(block(&store, 1, 0..1).await).await.unwrap();
    log.checkpoint().await.unwrap();
    let hint = layout::log_folder(&layout::tenant_folder(&TenantId::single())).join(layout::CHECKPOINT_HINT);
    for lie in ["{\"position\":999}", "not json", "{\"position\":0}"] {
        store.put(&hint, lie.into()).await.unwrap();
        assert_eq!(open_log(2, &store).await.position(), 1, "{lie}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_entry_is_named_and_nothing_is_made_up() {
    let store = memory();
    let log = open_log(1, &store).await;
    log.commit(block(&store, 1, 0..1).await).await.unwrap();
    let path = entry_path(1);
    let mut bytes = store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    store.put(&path, bytes.into()).await.unwrap();
    let error = CommitLog::open(&env(2), &store, &TenantId::single())
        .await
        .unwrap_err();
    assert!(matches!(error, LogError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains(path.as_ref()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_its_beginning_is_not_taken_for_an_empty_one() {
    let store = memory();
    let log = open_log(1, &store).await;
    for number in 0..2 {
        log.commit(block(&store, u128::from(number) + 1, number..number + 1).await)
            .await
            .unwrap();
    }
    store.delete(&entry_path(1)).await.unwrap();
    let error = CommitLog::open(&env(2), &store, &TenantId::single())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("starts at entry 2"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_sleeper_does_not_trust_a_slot_that_was_swept() {
    let store = memory();
    let sleeper = open_log(1, &store).await;
    let late = block(&store, 50, 0..1).await;
    let awake = open_log(2, &store).await;
    awake.commit(block(&store, 1, 0..1).await).await.unwrap();
    awake.checkpoint().await.unwrap();
    store.delete(&entry_path(1)).await.unwrap();
    tokio::time::advance(Duration::from_hours(30)).await;
    // Slot 1 is free again and the put succeeds, but the record was stored long ago.
    let error = sleeper.commit(late).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Refused(BlocksRefusal::AlreadyCovered { .. })),
        "{error}"
    );
    assert!(store.head(&entry_path(1)).await.is_ok(), "the put did go through");
    assert_eq!(sleeper.snapshot().state, awake.snapshot().state);
}

/// Each put takes 50 ms and each other request 10 ms of simulated time.
#[derive(Debug)]
struct Slow(Environment);

#[async_trait]
impl Faults for Slow {
    async fn before(&self, operation: Operation, _: &Path) -> Fault {
        let latency = if operation == Operation::Put { 50 } else { 10 };
        self.0.clock.sleep(Duration::from_millis(latency)).await;
        Fault::None
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_two_writers_of_one_tenant_are_all_served() {
    const COMMITS: u64 = 20;
    let store = memory();
    let slow: Store = Arc::new(Faulty::new(Arc::clone(&store), Arc::new(Slow(env(1)))));
    let writers = (0..32_u64).map(|writer| {
        let (store, slow) = (Arc::clone(&store), Arc::clone(&slow));
        async move {
            let log = open_log(writer + 1, &slow).await;
            let mut waits = Vec::new();
            for commit in 0..COMMITS {
                let id = u128::from(writer * COMMITS + commit + 1);
                let mut transaction = block(&store, id, commit..commit + 1).await;
                transaction.covers[0].stream = Ulid(u128::from(writer));
                let asked = tokio::time::Instant::now();
                log.commit(transaction).await.unwrap();
                waits.push(asked.elapsed());
            }
            waits
        }
    });
    let mut waits: Vec<Duration> = futures::future::join_all(writers).await.concat();
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    assert!(
        p99 <= Duration::from_secs(5),
        "p99 {p99:?}, longest {:?}",
        waits.last()
    );
}

#[tokio::test(start_paused = true)]
async fn streams_live_in_a_log_of_their_own() {
    let store = memory();
    let log = StreamLog::open(&env(1), &store).await.unwrap();
    log.commit(StreamChange::Open {
        epoch: STREAM,
        replicas: Vec::new(),
    })
    .await
    .unwrap();
    log.commit(StreamChange::close(STREAM, [(TenantId::single(), 3)]))
        .await
        .unwrap();
    let other = StreamLog::open(&env(2), &store).await.unwrap();
    assert!(other.snapshot().state.get(STREAM).is_some());
    assert!(
        other.commit(StreamChange::close(STREAM, [])).await.is_err(),
        "closed once"
    );
    other
        .commit(StreamChange::Finish { epoch: STREAM })
        .await
        .unwrap();
    log.follow().await.unwrap();
    assert!(log.snapshot().state.get(STREAM).is_none());
}

#[tokio::test(start_paused = true)]
async fn version_1_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log-v1");
    let store = memory();
    let target = layout::log_folder(&layout::tenant_folder(&TenantId::single()));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        store
            .put_opts(&target.clone().join(name), bytes.into(), PutMode::Create.into())
            .await
            .unwrap();
    }
    let log = open_log(1, &store).await;
    let snapshot = log.snapshot();
    assert_eq!(snapshot.position, 3);
    let live: Vec<Ulid> = snapshot.state.live().map(|meta| meta.id).collect();
    assert_eq!(live, [Ulid(3)]);
    assert_eq!(snapshot.state.covered(STREAM), Some(&Ranges::from(0..12)));
}
