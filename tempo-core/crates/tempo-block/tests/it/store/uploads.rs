//! Uploads that do not come to their end: nothing of them stays, and all of their requests are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tempo_block::store::faulty::{Fault, Faults, Faulty};
use tempo_block::store::metered::{Metered, Operation, StoreMetrics};
use tempo_block::store::{Settings, Store, TidyUploads, open};
use tempo_runtime::Environment;
use tokio::io::AsyncWriteExt;

use super::contract::{LARGE, large};

/// Takes a second for each request, and fails the puts behind the first `sound`.
#[derive(Debug)]
struct Breaking {
    sound: usize,
    puts: AtomicUsize,
}

#[async_trait]
impl Faults for Breaking {
    async fn before(&self, operation: Operation, _: &Path) -> Fault {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let is_broken =
            operation == Operation::Put && self.puts.fetch_add(1, Ordering::Relaxed) >= self.sound;
        if is_broken { Fault::Torn } else { Fault::None }
    }
}

/// A store in memory whose puts behind the first `sound` fail, and what is asked of it: an abort is a deletion.
fn breaking(sound: usize) -> (Store, Store, Arc<StoreMetrics>) {
    let memory = open(&Settings::Memory).unwrap();
    let puts = AtomicUsize::default();
    let faulty = Faulty::new(Arc::clone(&memory), Arc::new(Breaking { sound, puts }));
    let metrics = Arc::new(StoreMetrics::default());
    let metered = Metered::new(Arc::new(faulty), Arc::clone(&metrics));
    let tidy = TidyUploads::new(Environment::simulated(1, 0), Arc::new(metered));
    (Arc::new(tidy), memory, metrics)
}

fn path() -> Path {
    Path::from("single-tenant/blocks/x/spans.parquet")
}

/// Waits until `count` puts were answered, an abort among them.
async fn answered(metrics: &StoreMetrics, count: u64) {
    while metrics.count(Operation::Put).requests < count {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_requests_of_an_upload_are_counted() {
    let (store, memory, metrics) = breaking(usize::MAX);
    let mut upload = BufWriter::new(store, path());
    upload.put(large()).await.unwrap();
    upload.shutdown().await.unwrap();
    // Begun, two parts, completed.
    let count = metrics.count(Operation::Put);
    assert_eq!(
        (count.requests, count.failures, count.bytes),
        (4, 0, LARGE as u64)
    );
    assert_eq!(memory.head(&path()).await.unwrap().size, LARGE as u64);
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_second_part_fails_leaves_no_object() {
    let (store, memory, metrics) = breaking(2);
    let mut upload = BufWriter::new(store, path());
    upload.put(large()).await.unwrap();
    let error = upload.shutdown().await.unwrap_err();
    assert!(error.to_string().contains("Torn"), "{error}");
    // Begun, two parts, aborted.
    answered(&metrics, 4).await;
    assert_eq!(metrics.count(Operation::Put).failures, 1);
    assert!(memory.head(&path()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_dropped_is_aborted() {
    let (store, memory, metrics) = breaking(usize::MAX);
    let mut upload = BufWriter::new(store, path());
    upload.put(large()).await.unwrap();
    assert_eq!(metrics.count(Operation::Put).requests, 1, "begun");
    drop(upload);
    answered(&metrics, 2).await;
    assert!(memory.head(&path()).await.is_err());
}

/// The store's answer, that the upload has begun, comes when the writer has gone.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_dropped_while_it_begins_is_aborted() {
    let (store, _, metrics) = breaking(usize::MAX);
    let (path, options) = (path(), object_store::PutMultipartOptions::default());
    assert!(store.put_multipart_opts(&path, options).now_or_never().is_none());
    assert_eq!(metrics.count(Operation::Put).requests, 0);
    answered(&metrics, 2).await;
}
