//! A cache on disk: after a restart, and with damage, answers are the same.

use std::path::Path;
use std::sync::Arc;

use tempo_block::read::{BlockCache, CacheSettings, DiskCacheSettings, ReadStatistics, Reader};
use tempo_model::proto::trace::ResourceSpans;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::{FileSystem, MemoryFiles};

use super::{Written, calls, head_of, run, trace_id};

const FOLDER: &str = "/cache";

/// A reader of a process that has just started, on a disk that was there before.
async fn restarted(written: &Written, files: &MemoryFiles) -> Reader {
    let environment = written.reader.environment.clone();
    let environment = environment.with_files(Arc::new(files.clone()));
    let settings = DiskCacheSettings {
        folder: FOLDER.into(),
        max_bytes: 10 << 20,
    };
    let cache = BlockCache::new(CacheSettings::default());
    Reader {
        cache: cache.with_disk(&environment, settings).await.unwrap(),
        environment,
        ..written.reader.clone()
    }
}

/// The spans of a trace, and how many requests to the store they took.
async fn trace(written: &Written, reader: &Reader, id: TraceId) -> (Vec<ResourceSpans>, u64) {
    let statistics = Arc::new(ReadStatistics::default());
    let block = reader.block(
        &TenantId::single(),
        Arc::clone(&written.meta),
        Arc::clone(&statistics),
    );
    let spans = block.unwrap().trace(id).await.unwrap();
    // What is kept is written in the background.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    (spans, statistics.totals().requests)
}

#[test]
fn what_was_read_before_a_restart_is_not_read_again() {
    run(async {
        let written = Written::of(&head_of(&[calls(100)]), 40).await;
        let files = MemoryFiles::default();
        let first = restarted(&written, &files).await;
        let (spans, requests) = trace(&written, &first, trace_id(42)).await;
        // Footers of both files, trace table, columns.
        assert_eq!((spans.len(), requests), (1, 4));
        let second = restarted(&written, &files).await;
        assert_eq!(trace(&written, &second, trace_id(42)).await, (spans, 0));
        let (_, requests) = trace(&written, &second, trace_id(99)).await;
        assert_eq!(requests, 2, "another row group's table and columns");
    });
}

#[test]
fn damage_of_the_cache_is_read_again_from_the_store() {
    run(async {
        let written = Written::of(&head_of(&[calls(100)]), 40).await;
        let files = MemoryFiles::default();
        let first = restarted(&written, &files).await;
        let (spans, _) = trace(&written, &first, trace_id(42)).await;
        let entries = files.list(Path::new(FOLDER)).unwrap();
        assert!(entries.len() > 4, "{entries:?}");
        for (number, path) in entries.iter().enumerate() {
            let content = files.read(path).unwrap();
            let mut damaged = content.to_vec();
            damaged[number % content.len()] ^= 1;
            let mut file = files.open_append(path).unwrap();
            file.truncate(0).unwrap();
            file.append(&damaged).unwrap();
        }
        let second = restarted(&written, &files).await;
        let (again, requests) = trace(&written, &second, trace_id(42)).await;
        assert_eq!((again, requests), (spans.clone(), 4));
        let third = restarted(&written, &files).await;
        assert_eq!(trace(&written, &third, trace_id(42)).await, (spans, 0));
    });
}
