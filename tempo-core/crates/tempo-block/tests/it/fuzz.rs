//! No bytes in a store or on a disk make a reader panic: damage is an error, or what was written comes back.
//! Whole blocks have tests of their own (`read`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use tempo_block::catalogue::Catalogue;
use tempo_block::layout::{LogFile, log_folder, tenant_folder};
use tempo_block::log::{CommitLog, Transaction};
use tempo_block::store::{Settings, open};
use tempo_block::wal::{self, Record, RecordSink, Wal};
use tempo_model::TenantId;
use tempo_runtime::{Environment, FileSystem, MemoryFiles};
use tempo_traceql::ast::Scope;
use ulid::Ulid;

use crate::edits::edited;

const NOW: u64 = 1_800_000_000_000_000_000;

/// The files of a fixture, in the order of their names.
fn fixture(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn catalogue() -> Vec<u8> {
    let mut catalogue = Catalogue::default();
    for (key, value) in [("http.method", "GET"), ("http.method", "POST"), ("größe", "7")] {
        catalogue.add(Scope::Span, key, "string", value, 3);
    }
    catalogue.finish();
    catalogue.encode().unwrap()
}

/// The objects of a log with entries before and behind a checkpoint, and what it says.
struct SoundLog {
    objects: Vec<(ObjectPath, Vec<u8>)>,
    says: serde_json::Value,
}

static LOG: LazyLock<SoundLog> = LazyLock::new(|| {
    on_runtime(async {
        let store = open(&Settings::Memory).unwrap();
        let log = CommitLog::open(&Environment::simulated(1, NOW), &store, &TenantId::single())
            .await
            .unwrap();
        for id in 1..=4_u128 {
            let condemned = Transaction {
                condemn: vec![Ulid::from(id)],
                ..Transaction::default()
            };
            log.commit(condemned).await.unwrap();
            if id == 3 {
                log.checkpoint().await.unwrap();
            }
        }
        let mut objects = Vec::new();
        for object in store.list(None).try_collect::<Vec<_>>().await.unwrap() {
            let content = store.get(&object.location).await.unwrap().bytes().await.unwrap();
            objects.push((object.location, content.to_vec()));
        }
        SoundLog {
            objects,
            says: said(&log),
        }
    })
});

fn said(log: &CommitLog) -> serde_json::Value {
    let snapshot = log.snapshot();
    serde_json::json!([snapshot.position, snapshot.state])
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

struct Ignored;

impl RecordSink for Ignored {
    fn apply(&self, _: &[Record]) {}
}

/// What replay gives of one segment with this content.
fn replay(segment: &[u8]) -> Vec<Record> {
    on_runtime(async {
        let disk = MemoryFiles::default();
        let path = Path::new("/wal/01KAV9FT0028T5CY4GNF6YY4HM-0000000000.wal");
        disk.open_append(path).unwrap().append(segment).unwrap();
        let env = Environment::simulated(1, NOW).with_files(Arc::new(disk));
        let opened = Wal::open(
            &env,
            Path::new("/wal"),
            wal::Settings::default(),
            Arc::new(Ignored),
        );
        let (_, mut replay) = opened.await.unwrap();
        let mut records = Vec::new();
        while let Ok(Some(replayed)) = replay.next().await {
            records.extend(replayed.records);
        }
        records
    })
}

proptest! {
    #[test]
    fn fuzz_catalogue(file in edited(vec![catalogue()])) {
        match Catalogue::decode(&file) {
            Ok(read) => prop_assert_eq!(read.encode().unwrap(), catalogue(), "only what was written is taken"),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn fuzz_wal_segment(segment in edited(fixture("wal-v1"))) {
        let known: Vec<Record> = fixture("wal-v1").iter().flat_map(|segment| replay(segment)).collect();
        for record in replay(&segment) {
            prop_assert!(known.contains(&record), "a record that nobody wrote: {:?}", record);
        }
    }

    #[test]
    fn fuzz_log_entry(entry in edited(fixture("log-v1"))) {
        let opened = on_runtime(async {
            let store = open(&Settings::Memory).unwrap();
            let tenant = TenantId::single();
            let path = log_folder(&tenant_folder(&tenant)).join(LogFile::Entry(1).name());
            store.put(&path, entry.clone().into()).await.unwrap();
            CommitLog::open(&Environment::simulated(1, NOW), &store, &tenant).await.map(|log| log.position())
        });
        match opened {
            Ok(position) => prop_assert!(position == 1 && fixture("log-v1").contains(&entry), "damage was taken"),
            Err(error) => prop_assert!(error.to_string().contains("00000000000000000001.json"), "{}", error),
        }
    }

    /// A log of which one object is damaged says what it said before, or names the object.
    #[test]
    fn fuzz_log((place, content) in (0..LOG.objects.len()).prop_flat_map(|place| {
        edited(vec![LOG.objects[place].1.clone()]).prop_map(move |content| (place, content))
    })) {
        let opened = on_runtime(async {
            let store = open(&Settings::Memory).unwrap();
            for (number, (path, sound)) in LOG.objects.iter().enumerate() {
                let bytes = if number == place { &content } else { sound };
                store.put(path, bytes.clone().into()).await.unwrap();
            }
            let log = CommitLog::open(&Environment::simulated(1, NOW), &store, &TenantId::single()).await;
            log.map(|log| said(&log))
        });
        match opened {
            Ok(says) => prop_assert_eq!(&says, &LOG.says),
            Err(error) => {
                let name = LOG.objects[place].0.filename().unwrap();
                prop_assert!(error.to_string().contains(name), "{}: {}", name, error);
            }
        }
    }
}
