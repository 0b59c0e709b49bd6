//! Every WAL version that was ever written stays readable: the fixtures are files, not made by today's code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempo_block::wal::{Flags, Record, RecordSink, Settings, Wal, WalError};
use tempo_runtime::{Environment, FileSystem, MemoryFiles};

struct Ignored;

impl RecordSink for Ignored {
    fn apply(&self, _: &[Record]) {}
}

fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(version)
}

/// The files of a fixture as a disk of their own, since opening a WAL writes beside them.
fn disk_of(folder: &Path) -> MemoryFiles {
    let disk = MemoryFiles::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let copy = Path::new("/wal").join(path.file_name().unwrap());
        disk.open_append(&copy)
            .unwrap()
            .append(&std::fs::read(&path).unwrap())
            .unwrap();
    }
    disk
}

#[tokio::test(start_paused = true)]
async fn version_1_is_read() {
    let disk = disk_of(&fixtures("wal-v1"));
    let env = Environment::simulated(1, 1_800_000_000_000_000_000).with_files(Arc::new(disk));
    let (_, mut replay) = Wal::open(&env, Path::new("/wal"), Settings::default(), Arc::new(Ignored))
        .await
        .unwrap();
    let mut records = Vec::new();
    while let Some(replayed) = replay.next().await.unwrap() {
        assert!(replayed.damage.is_empty());
        records.extend(replayed.records);
    }
    let read: Vec<(String, u64, u64, bool, Bytes)> = records
        .into_iter()
        .map(|record| {
            let duplicate = record.flags.contains(Flags::MAYBE_DUPLICATE);
            (
                record.tenant.to_string(),
                record.number,
                record.hash,
                duplicate,
                record.payload,
            )
        })
        .collect();
    let expected = [
        ("single-tenant", 0, 11, false, "first"),
        ("team-a", 0, 12, true, "second"),
        ("single-tenant", 1, 13, false, ""),
    ];
    let expected = expected.map(|(tenant, number, hash, duplicate, payload)| {
        (
            tenant.to_owned(),
            number,
            hash,
            duplicate,
            Bytes::from_static(payload.as_bytes()),
        )
    });
    assert_eq!(read, expected);
}

#[tokio::test(start_paused = true)]
async fn a_later_version_is_refused_by_name() {
    let disk = disk_of(&fixtures("wal-v1"));
    let path = disk.list(Path::new("/wal")).unwrap().pop().unwrap();
    let mut bytes = disk.read(&path).unwrap().to_vec();
    bytes[4] = 9;
    let crc = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&crc.to_le_bytes());
    let mut file = disk.open_append(&path).unwrap();
    file.truncate(0).unwrap();
    file.append(&bytes).unwrap();
    let env = Environment::simulated(1, 1_800_000_000_000_000_000).with_files(Arc::new(disk));
    let opened = Wal::open(&env, Path::new("/wal"), Settings::default(), Arc::new(Ignored)).await;
    assert!(
        matches!(opened, Err(WalError::Version { version: 9, .. })),
        "{opened:?}"
    );
}
