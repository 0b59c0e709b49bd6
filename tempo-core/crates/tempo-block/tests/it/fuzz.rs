//! No bytes in a store or on a disk make a reader panic: damage is an error, or what was written comes back.
//! Whole blocks have tests of their own (`read`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use proptest::prelude::*;
use tempo_block::catalogue::Catalogue;
use tempo_block::layout::{LogFile, log_folder, tenant_folder};
use tempo_block::log::CommitLog;
use tempo_block::store::{Settings, open};
use tempo_block::wal::{self, Record, RecordSink, Wal};
use tempo_model::TenantId;
use tempo_runtime::{Environment, FileSystem, MemoryFiles};
use tempo_traceql::ast::Scope;

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

struct Ignored;

impl RecordSink for Ignored {
    fn apply(&self, _: &[Record]) {}
}

/// What replay gives of one segment with this content.
fn replay(segment: &[u8]) -> Vec<Record> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let opened = runtime.block_on(async {
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
}
