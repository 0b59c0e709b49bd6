//! What the engine relies on of every store, as one piece of code: the tests of this crate run it on stores within the
//! process, those of `e2e` on real servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt, PutMode};
use tempo_block::store::{Store, TidyUploads, probe, tenants};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use tokio::io::AsyncWriteExt;

/// More than fits into one part of an upload.
pub(crate) const LARGE: usize = 12 << 20;

/// Everything that the engine relies on. The store must be empty.
pub(crate) async fn contract(store: &Store) {
    creates_once(store).await;
    reads_what_was_written(store).await;
    lists_in_folders(store).await;
    takes_large_files(store).await;
    forgets_what_is_dropped(store).await;
    deletes(store).await;
    probe(&Environment::system(), &**store).await.unwrap();
}

fn path(name: &str) -> Path {
    Path::from("single-tenant/log").join(name)
}

async fn create(store: &Store, name: &str, content: &'static str) -> object_store::Result<()> {
    let created = store
        .put_opts(&path(name), content.into(), PutMode::Create.into())
        .await;
    created.map(drop)
}

pub(crate) async fn read(store: &Store, path: &Path) -> Bytes {
    store.get(path).await.unwrap().bytes().await.unwrap()
}

async fn creates_once(store: &Store) {
    create(store, "a", "first").await.unwrap();
    let again = create(store, "a", "second").await.unwrap_err();
    assert!(
        matches!(again, Error::AlreadyExists { .. } | Error::Precondition { .. }),
        "{again}"
    );
    assert_eq!(read(store, &path("a")).await, "first");
    let racers = futures::future::join_all((0..8).map(|_| create(store, "raced", "x"))).await;
    let winners = racers.iter().filter(|result| result.is_ok()).count();
    assert_eq!(winners, 1, "one create wins: {racers:?}");
}

async fn reads_what_was_written(store: &Store) {
    let missing = store.get(&path("missing")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    store.put(&path("a"), "overwritten".into()).await.unwrap();
    assert_eq!(store.get_range(&path("a"), 4..8).await.unwrap(), "writ");
    let suffix = GetOptions {
        range: Some(GetRange::Suffix(3)),
        ..GetOptions::default()
    };
    let end = store.get_opts(&path("a"), suffix).await.unwrap();
    assert_eq!(end.bytes().await.unwrap(), "ten");
    let behind = store.get_range(&path("a"), 20..30).await;
    assert!(behind.is_err(), "{behind:?}");
    assert_eq!(store.head(&path("a")).await.unwrap().size, 11);
}

async fn lists_in_folders(store: &Store) {
    let of_streams = Path::from("_streams/log/x");
    store.put(&of_streams, "x".into()).await.unwrap();
    for name in ["b", "c", "d"] {
        create(store, name, "x").await.unwrap();
    }
    let folder = Path::from("single-tenant/log");
    let behind = store.list_with_offset(Some(&folder), &path("b"));
    let listed: Vec<_> = behind.try_collect().await.unwrap();
    let names = listed.iter().filter_map(|object| object.location.filename());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["c", "d", "raced"]);
    let folders = store.list_with_delimiter(None).await.unwrap().common_prefixes;
    assert!(folders.contains(&Path::from("single-tenant")), "{folders:?}");
    let known = tenants(store).await.unwrap();
    assert_eq!(
        known,
        [TenantId::single()],
        "folders that are no tenant's are left out"
    );
}

/// Bytes of which no part is like another.
pub(crate) fn large() -> Bytes {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(LARGE).collect()
}

/// What writes blocks: parts of 10 MB, and one request where that is all.
fn writer(store: &Store, path: &Path) -> BufWriter {
    let tidy = TidyUploads::new(Environment::system(), Arc::clone(store));
    BufWriter::new(Arc::new(tidy), path.clone())
}

async fn takes_large_files(store: &Store) {
    let (path, content) = (path("large"), large());
    store.put(&path, "an earlier one".into()).await.unwrap();
    let mut upload = writer(store, &path);
    for piece in content.chunks(1 << 20) {
        upload.put(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(
        read(store, &path).await,
        "an earlier one",
        "it is there when it is whole"
    );
    upload.shutdown().await.unwrap();
    assert!(
        read(store, &path).await == content,
        "other bytes than were written"
    );
    let ranges = [0..10, 5_000_000..5_000_100, (LARGE as u64 - 7)..LARGE as u64];
    let read = store.get_ranges(&path, &ranges).await.unwrap();
    for (bytes, range) in read.iter().zip(ranges) {
        assert_eq!(*bytes, content.slice(range.start as usize..range.end as usize));
    }
}

/// A writer that goes away in the middle leaves no object.
async fn forgets_what_is_dropped(store: &Store) {
    let path = path("dropped");
    let mut upload = writer(store, &path);
    upload.put(large()).await.unwrap();
    drop(upload);
    let gone = store.head(&path).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}

async fn deletes(store: &Store) {
    store.delete(&path("b")).await.unwrap();
    let gone = store.head(&path("b")).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}
