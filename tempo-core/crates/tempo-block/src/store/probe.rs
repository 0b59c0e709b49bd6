//! The look at a store before a process is ready: can it write, read, and refuse a second create?

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use tempo_runtime::Environment;

use super::{Problem, StoreError};

/// Creates a key, tries to create it again, reads and removes it. The commit log is only as good as the refusal of the
/// second create, and old S3 servers ignore the condition without a word.
pub async fn probe(env: &Environment, store: &dyn ObjectStore) -> Result<(), StoreError> {
    let id = env.new_ulid();
    let path = Path::from("_probe").join(id.to_string());
    let failed = |operation| {
        let what = store.to_string();
        move |source| StoreError::explain(operation, &what, source)
    };
    let wrong = |operation, problem| {
        Err(StoreError::Store {
            operation,
            what: store.to_string(),
            problem,
            source: None,
        })
    };

    let content = Bytes::from(id.to_string());
    create(store, &path, content.clone())
        .await
        .map_err(failed("write to"))?;
    // A first create that was repeated after a lost answer is refused as well; the bytes below decide.
    let second = create(store, &path, Bytes::from_static(b"second"))
        .await
        .map_err(failed("write to"))?;
    let read = read(store, &path).await.map_err(failed("read from"))?;
    let removed = store.delete(&path).await;
    if second == Created::New || read == "second" {
        return wrong("probe", Problem::ConditionIgnored);
    }
    if read != content {
        return wrong("probe", Problem::WrongAnswer);
    }
    removed.map_err(failed("delete from"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Created {
    New,
    Refused,
}

async fn create(store: &dyn ObjectStore, path: &Path, content: Bytes) -> object_store::Result<Created> {
    match store.put_opts(path, content.into(), PutMode::Create.into()).await {
        Ok(_) => Ok(Created::New),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Created::Refused),
        Err(error) => Err(error),
    }
}

async fn read(store: &dyn ObjectStore, path: &Path) -> object_store::Result<Bytes> {
    store.get(path).await?.bytes().await
}
