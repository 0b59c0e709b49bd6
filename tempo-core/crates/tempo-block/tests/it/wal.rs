//! The WAL through its front door: what was acknowledged is there after a crash, in order, whatever the disk does.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tempo_block::wal::{
    Appended, Flags, InspectedRecords, Record, RecordSink, Replay, Settings, Wal, WalError, inspect,
};
use tempo_model::TenantId;
use tempo_runtime::{Environment, FileSystem, MemoryFiles};
use ulid::Ulid;

const DIR: &str = "/wal";

/// Keeps what it is given.
#[derive(Default)]
struct Collected(Mutex<Vec<Record>>);

impl RecordSink for Collected {
    fn apply(&self, records: &[Record]) {
        self.0.lock().extend_from_slice(records);
    }
}

struct Disk {
    files: MemoryFiles,
    settings: Settings,
    seed: u64,
}

impl Disk {
    fn new(settings: Settings) -> Self {
        Self {
            files: MemoryFiles::default(),
            settings,
            seed: 0,
        }
    }

    /// Starts the WAL as another process would.
    async fn open(&mut self) -> (Wal, Replay, Arc<Collected>) {
        self.seed += 1;
        let start = 1_700_000_000_000_000_000 + self.seed * 1_000_000_000;
        let env = Environment::simulated(self.seed, start).with_files(Arc::new(self.files.clone()));
        let sink = Arc::new(Collected::default());
        let (wal, replay) = Wal::open(&env, Path::new(DIR), self.settings, Arc::clone(&sink) as _)
            .await
            .unwrap();
        (wal, replay, sink)
    }

    fn segments(&self) -> Vec<std::path::PathBuf> {
        let all = self.files.list(Path::new(DIR)).unwrap();
        all.into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
            .collect()
    }

    fn flip(&self, path: &Path, offset: u64) {
        let mut bytes = self.files.read(path).unwrap().to_vec();
        bytes[offset as usize] ^= 0x10;
        let mut file = self.files.open_append(path).unwrap();
        file.truncate(0).unwrap();
        file.append(&bytes).unwrap();
        file.sync().unwrap();
    }
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

async fn append(wal: &Wal, name: &str, payload: &str) -> Result<Appended, WalError> {
    wal.append(
        &tenant(name),
        Bytes::copy_from_slice(payload.as_bytes()),
        7,
        Flags::default(),
    )
    .await
}

async fn read_all(replay: &mut Replay) -> (Vec<Record>, Vec<tempo_block::wal::Damage>) {
    let (mut records, mut damage) = (Vec::new(), Vec::new());
    while let Some(replayed) = replay.next().await.unwrap() {
        records.extend(replayed.records);
        damage.extend(replayed.damage);
    }
    (records, damage)
}

fn texts(records: &[Record]) -> Vec<&str> {
    records
        .iter()
        .map(|record| std::str::from_utf8(&record.payload).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_power_cut_in_order() {
    let mut disk = Disk::new(Settings {
        segment_bytes: 200,
        ..Settings::default()
    });
    let (wal, mut replay, sink) = disk.open().await;
    assert!(replay.next().await.unwrap().is_none());
    for number in 0..10 {
        let appended = append(&wal, "a", &format!("a{number}")).await.unwrap();
        assert_eq!(
            appended,
            Appended {
                epoch: wal.epoch(),
                number
            }
        );
        assert_eq!(
            append(&wal, "b", &format!("b{number}")).await.unwrap().number,
            number
        );
    }
    assert_eq!(sink.0.lock().len(), 20, "the sink has what was answered");
    assert!(disk.segments().len() > 3, "segments are rotated");
    disk.files.crash();

    let (second, mut replay, _) = disk.open().await;
    assert_ne!(second.epoch(), wal.epoch());
    assert_eq!(second.replica(), wal.replica(), "the disk keeps its name");
    let (records, damage) = read_all(&mut replay).await;
    assert_eq!(records, *sink.0.lock());
    assert!(damage.is_empty());
}

#[tokio::test(start_paused = true)]
async fn concurrent_appends_reach_the_sink_in_the_order_of_their_numbers() {
    let mut disk = Disk::new(Settings::default());
    let (wal, _, sink) = disk.open().await;
    let appends = (0..500).map(|i| {
        let wal = wal.clone();
        async move {
            append(&wal, ["a", "b", "c"][i % 3], &i.to_string())
                .await
                .unwrap()
        }
    });
    futures::future::join_all(appends).await;
    for name in ["a", "b", "c"] {
        let records = sink.0.lock();
        let numbers: Vec<u64> = records
            .iter()
            .filter(|record| record.tenant == tenant(name))
            .map(|record| record.number)
            .collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_torn_tail_is_left_out_without_complaint() {
    let mut disk = Disk::new(Settings::default());
    let (wal, _, _) = disk.open().await;
    append(&wal, "a", "kept").await.unwrap();
    append(&wal, "a", "torn").await.unwrap();
    let path = disk.segments().pop().unwrap();
    let length = disk.files.len(&path).unwrap();
    disk.files
        .open_append(&path)
        .unwrap()
        .truncate(length - 1)
        .unwrap();
    let (_, mut replay, _) = disk.open().await;
    let (records, damage) = read_all(&mut replay).await;
    assert_eq!(texts(&records), ["kept"]);
    assert!(damage.is_empty());
}

#[tokio::test(start_paused = true)]
async fn damage_is_reported_and_costs_one_record() {
    let mut disk = Disk::new(Settings {
        segment_bytes: 120,
        ..Settings::default()
    });
    let (wal, _, _) = disk.open().await;
    for text in ["one", "two", "three", "four", "five", "six"] {
        append(&wal, "a", text).await.unwrap();
    }
    let first = disk.segments().remove(0);
    disk.flip(&first, 40 + 32 + 2);
    let old = wal.epoch();
    let (wal, mut replay, _) = disk.open().await;
    let (records, damage) = read_all(&mut replay).await;
    assert_eq!(texts(&records), ["two", "three", "four", "five", "six"]);
    assert_eq!(
        (damage[0].path.clone(), damage[0].offset, damage.len()),
        (first.clone(), 40, 1)
    );

    let finished = wal.truncate(|_, _, _| true).await.unwrap();
    assert_eq!(finished, [old]);
    assert!(
        disk.files.read(&first.with_extension("wal.damaged")).is_ok(),
        "the damaged segment is kept"
    );
    assert!(disk.segments().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_lost_its_end_is_reported() {
    let mut disk = Disk::new(Settings {
        segment_bytes: 100,
        ..Settings::default()
    });
    let (wal, _, _) = disk.open().await;
    for text in ["one", "two", "three"] {
        append(&wal, "a", text).await.unwrap();
    }
    let first = disk.segments().remove(0);
    disk.files.open_append(&first).unwrap().truncate(40).unwrap();
    let (_, mut replay, _) = disk.open().await;
    let (records, damage) = read_all(&mut replay).await;
    assert!(!texts(&records).contains(&"one") && texts(&records).contains(&"three"));
    assert_eq!(damage[0].path, first);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_and_writing_goes_on_when_there_is_space() {
    let mut disk = Disk::new(Settings::default());
    let (wal, _, sink) = disk.open().await;
    append(&wal, "a", "before").await.unwrap();
    let used = wal.bytes();
    disk.files.limit_free_space(Some(10));
    let error = append(&wal, "a", "does not fit").await.unwrap_err();
    assert!(
        matches!(error, WalError::DiskFull { .. }) && error.is_retryable(),
        "{error}"
    );
    assert_eq!(wal.bytes(), used, "what was refused takes no space");
    disk.files.limit_free_space(None);
    assert_eq!(append(&wal, "a", "after").await.unwrap().number, 1);
    assert_eq!(texts(&sink.0.lock()), ["before", "after"]);

    let (_, mut replay, _) = disk.open().await;
    let (records, damage) = read_all(&mut replay).await;
    assert_eq!(texts(&records), ["before", "after"]);
    assert!(damage.is_empty(), "the refused record left nothing behind");
}

#[tokio::test(start_paused = true)]
async fn the_size_limit_refuses_until_blocks_are_committed() {
    let mut disk = Disk::new(Settings {
        segment_bytes: 100,
        max_bytes: 400,
        ..Settings::default()
    });
    let (wal, _, _) = disk.open().await;
    let mut appended = 0;
    let error = loop {
        match append(&wal, "a", "0123456789").await {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, WalError::LimitReached { max: 400, .. }) && error.is_retryable(),
        "{error}"
    );
    assert!(appended > 1 && wal.bytes() <= 400);
    wal.truncate(|epoch, _, range| epoch == wal.epoch() && range.end <= appended)
        .await
        .unwrap();
    append(&wal, "a", "0123456789").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_what_is_covered_and_was_replayed_is_removed() {
    let mut disk = Disk::new(Settings {
        segment_bytes: 60,
        ..Settings::default()
    });
    let (wal, _, _) = disk.open().await;
    for text in ["one", "two", "three"] {
        append(&wal, "a", text).await.unwrap();
    }
    let old = wal.epoch();
    let (wal, mut replay, _) = disk.open().await;
    assert!(
        wal.truncate(|_, _, _| true).await.unwrap().is_empty(),
        "nothing was replayed yet"
    );
    assert_eq!(disk.segments().len(), 3);
    read_all(&mut replay).await;
    assert!(
        wal.truncate(|_, _, range| range.end <= 2)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(disk.segments().len(), 1);
    assert_eq!(wal.truncate(|_, _, _| true).await.unwrap(), [old]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_epoch_is_set_aside() {
    let mut disk = Disk::new(Settings::default());
    let (wal, _, _) = disk.open().await;
    append(&wal, "a", "unknown").await.unwrap();
    let unknown = wal.epoch();
    let (_, mut replay, _) = disk.open().await;
    assert_eq!(replay.epochs(), [unknown]);
    replay.set_aside(unknown).await.unwrap();
    assert!(replay.next().await.unwrap().is_none());
    let kept = disk.files.list(Path::new(DIR)).unwrap();
    assert!(
        kept.iter()
            .any(|path| path.to_string_lossy().ends_with(".wal.aside"))
    );
    let (_, replay, _) = disk.open().await;
    assert_eq!(replay.epochs(), Vec::<Ulid>::new());
}

#[tokio::test]
async fn the_real_disk_keeps_records_too() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::system();
    let sink = Arc::new(Collected::default());
    let (wal, _) = Wal::open(&env, dir.path(), Settings::default(), Arc::clone(&sink) as _)
        .await
        .unwrap();
    futures::future::join_all((0..50).map(|i| {
        let wal = wal.clone();
        async move { append(&wal, "a", &i.to_string()).await.unwrap() }
    }))
    .await;
    let replica = wal.replica();
    drop(wal);
    let (wal, mut replay) = Wal::open(
        &env,
        dir.path(),
        Settings::default(),
        Arc::new(Collected::default()),
    )
    .await
    .unwrap();
    assert_eq!(wal.replica(), replica);
    assert_eq!(read_all(&mut replay).await.0, *sink.0.lock());
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::system();
    let open = || {
        let sink = Arc::new(Collected::default());
        Wal::open(&env, dir.path(), Settings::default(), sink as _)
    };
    let first = open().await.unwrap();
    let refused = open().await.unwrap_err();
    assert!(matches!(refused, WalError::InUse { .. }), "{refused}");
    assert!(
        refused.to_string().contains(&*dir.path().to_string_lossy()),
        "{refused}"
    );
    drop(first);
    open().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_disk_is_never_replaced() {
    for damaged in [&b"not a ULID"[..], b"\xff", b""] {
        let disk = Disk::new(Settings::default());
        let path = Path::new(DIR).join("replica");
        let mut file = disk.files.open_append(&path).unwrap();
        file.append(damaged).unwrap();
        let env = Environment::simulated(1, 0).with_files(Arc::new(disk.files.clone()));
        let sink = Arc::new(Collected::default());
        let opened = Wal::open(&env, Path::new(DIR), disk.settings, sink as _).await;
        let error = opened.unwrap_err();
        assert!(
            matches!(&error, WalError::NoReplica { path: named } if *named == path),
            "{error}"
        );
        assert_eq!(disk.files.read(&path).unwrap(), damaged);
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("replica")).unwrap();
    let sink = Arc::new(Collected::default());
    let opened = Wal::open(&Environment::system(), dir.path(), Settings::default(), sink as _).await;
    let error = opened.unwrap_err();
    assert!(
        matches!(&error, WalError::Io { operation: "read", path, .. } if path.ends_with("replica")),
        "{error}"
    );
}

/// Fails at its first record.
struct Panicking;

impl RecordSink for Panicking {
    fn apply(&self, _records: &[Record]) {
        panic!("on purpose");
    }
}

#[tokio::test]
async fn a_sink_that_panics_closes_the_log_and_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::system();
    let (wal, _) = Wal::open(&env, dir.path(), Settings::default(), Arc::new(Panicking))
        .await
        .unwrap();
    assert!(!wal.is_closed());
    let refused = append(&wal, "a", "one").await;
    assert!(matches!(refused, Err(WalError::Closed)), "{refused:?}");
    let refused = append(&wal, "a", "two").await;
    assert!(matches!(refused, Err(WalError::Closed)), "{refused:?}");
    assert!(wal.is_closed());
}

#[tokio::test(start_paused = true)]
async fn records_are_read_again_across_segments() {
    let mut disk = Disk::new(Settings {
        segment_bytes: 60,
        ..Settings::default()
    });
    let (wal, _, _) = disk.open().await;
    for (name, text) in [("a", "0"), ("b", "other"), ("a", "1"), ("a", "2"), ("a", "3")] {
        append(&wal, name, text).await.unwrap();
    }
    let wanted = [0..1, 2..9].into_iter().collect();
    let records = wal.read_again(wal.epoch(), &tenant("a"), &wanted).await.unwrap();
    assert_eq!(texts(&records), ["0", "2", "3"]);
    wal.truncate(|_, tenant, range| tenant.as_str() == "b" || range.end <= 1)
        .await
        .unwrap();
    let records = wal.read_again(wal.epoch(), &tenant("a"), &wanted).await.unwrap();
    assert_eq!(texts(&records), ["2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_leaves_nothing() {
    let mut disk = Disk::new(Settings::default());
    let (wal, _, _) = disk.open().await;
    append(&wal, "a", "one").await.unwrap();
    wal.truncate(|_, _, _| true).await.unwrap();
    assert!(!wal.is_empty(), "its segment is being written");
    wal.close_segment().await.unwrap();
    wal.truncate(|_, _, _| true).await.unwrap();
    assert!(wal.is_empty() && disk.segments().is_empty());
    assert_eq!(append(&wal, "a", "two").await.unwrap().number, 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_from_outside_shows_records_and_damage_and_changes_nothing() {
    let mut disk = Disk::new(Settings::default());
    let (wal, _replay, _) = disk.open().await;
    for payload in ["one", "two", "three"] {
        append(&wal, "a", payload).await.unwrap();
    }
    append(&wal, "b", "four").await.unwrap();
    let segments = inspect(&disk.files, Path::new(DIR)).unwrap();
    let [segment] = &segments[..] else {
        panic!("{segments:?}");
    };
    assert_eq!((segment.epoch, segment.damage.len()), (wal.epoch(), 0));
    let expected = InspectedRecords {
        count: 3,
        first: 0,
        last: 2,
        payload_bytes: 11,
    };
    assert_eq!(segment.tenants[&tenant("a")], expected);
    let length = disk.files.len(&segment.path).unwrap();
    disk.flip(&segment.path, 40 + 32 + 1);
    let damaged = inspect(&disk.files, Path::new(DIR)).unwrap();
    assert_eq!(damaged[0].damage.len(), 1);
    assert_eq!(damaged[0].tenants[&tenant("a")].count, 2);
    assert_eq!(disk.files.len(&segment.path).unwrap(), length);
}
