//! The look at a store before a process is ready: can it write, read, and refuse a second create?

use bytes::Bytes;
use futures::future::try_join_all;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use tempo_runtime::Environment;

use super::{Problem, StoreError};

/// How many creates of one key are sent at once: a server that looks first and writes then lets more than one through.
const RACERS: usize = 4;

/// Creates a key, tries to create it again (several times at once), reads and removes it. The commit log is only as good
/// as the refusal of the second create, and old S3 servers ignore the condition without a word.
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

    let attempts = (0..RACERS).map(|racer| {
        let content = Bytes::from(format!("{id} {racer}"));
        let path = &path;
        async move { Ok((create(store, path, content.clone()).await?, content)) }
    });
    let raced: Vec<(Created, Bytes)> = try_join_all(attempts).await.map_err(failed("write to"))?;
    let second = create(store, &path, Bytes::from_static(b"second"))
        .await
        .map_err(failed("write to"))?;
    let read = read(store, &path).await.map_err(failed("read from"))?;
    let removed = store.delete(&path).await;
    // None may win: a create that was repeated after a lost answer is refused by what it wrote itself.
    let winners = raced
        .iter()
        .filter(|(created, _)| *created == Created::New)
        .count();
    if winners > 1 || second == Created::New {
        return wrong("probe", Problem::ConditionIgnored);
    }
    let written = raced
        .iter()
        .any(|(created, content)| *content == read && (winners == 0 || *created == Created::New));
    if !written {
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
