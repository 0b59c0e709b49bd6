//! One contract for every store, and what users are told when theirs does not fulfil it.

use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStoreExt, PutMode};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempo_block::store::faulty::{Fault, Faults, Faulty};
use tempo_block::store::metered::{Metered, Operation, StoreMetrics};
use tempo_block::store::{Problem, S3Credentials, S3Settings, Settings, Store, open, probe};
use tempo_model::TenantId;
use tempo_runtime::Environment;

/// Everything that the engine relies on.
async fn contract(store: &Store) {
    let path = |name: &str| Path::from("single-tenant/log").join(name);
    let create = |name: &str, bytes: &'static str| {
        let (store, path) = (Arc::clone(store), path(name));
        async move { store.put_opts(&path, bytes.into(), PutMode::Create.into()).await }
    };
    create("a", "first").await.unwrap();
    let again = create("a", "second").await.unwrap_err();
    assert!(
        matches!(again, Error::AlreadyExists { .. } | Error::Precondition { .. }),
        "{again}"
    );
    assert_eq!(read(store, &path("a")).await, "first");

    let racers = futures::future::join_all((0..8).map(|_| create("raced", "x"))).await;
    assert_eq!(
        racers.iter().filter(|result| result.is_ok()).count(),
        1,
        "one create wins"
    );

    assert!(matches!(
        store.get(&path("missing")).await,
        Err(Error::NotFound { .. })
    ));
    store.put(&path("a"), "overwritten".into()).await.unwrap();
    assert_eq!(store.get_range(&path("a"), 4..8).await.unwrap(), "writ");
    let suffix = GetOptions {
        range: Some(object_store::GetRange::Suffix(3)),
        ..GetOptions::default()
    };
    assert_eq!(
        store
            .get_opts(&path("a"), suffix)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        "ten"
    );

    store
        .put(&Path::from("_streams/log/x"), "x".into())
        .await
        .unwrap();
    for name in ["b", "c", "d"] {
        create(name, "x").await.unwrap();
    }
    let folder = Path::from("single-tenant/log");
    let listed: Vec<_> = store
        .list_with_offset(Some(&folder), &path("b"))
        .try_collect()
        .await
        .unwrap();
    let mut names: Vec<_> = listed
        .iter()
        .filter_map(|object| object.location.filename())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["c", "d", "raced"]);
    let tenants = store.list_with_delimiter(None).await.unwrap().common_prefixes;
    assert!(tenants.contains(&Path::from("single-tenant")), "{tenants:?}");

    let known = tempo_block::store::tenants(store).await.unwrap();
    assert_eq!(
        known,
        [TenantId::single()],
        "folders that are no tenant's are left out"
    );

    store.delete(&path("b")).await.unwrap();
    assert!(matches!(
        store.head(&path("b")).await,
        Err(Error::NotFound { .. })
    ));
    probe(&Environment::system(), &**store).await.unwrap();
}

async fn read(store: &Store, path: &Path) -> Bytes {
    store.get(path).await.unwrap().bytes().await.unwrap()
}

const KEY: &str = "AKEXAMPLE";
const SECRET: &str = "secret-example";

/// An S3 server on loopback that keeps `bucket` in a folder; it ends with the test's runtime.
async fn s3_server(folder: &FilePath) -> SocketAddr {
    std::fs::create_dir_all(folder.join("bucket")).unwrap();
    let files = s3s_fs::FileSystem::new(folder).unwrap();
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // This server looks whether a key is there and then writes it; one request at a time makes that one step.
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (service, turn) = (service.clone(), Arc::clone(&turn));
            let serve = hyper::service::service_fn(move |request| {
                let (service, turn) = (service.clone(), Arc::clone(&turn));
                async move {
                    let _turn = turn.lock().await;
                    hyper::service::Service::call(&service, request).await
                }
            });
            tokio::spawn(async move {
                let server =
                    hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                // A client that hangs up ends its connection, no more.
                let _ = server
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), serve)
                    .await;
            });
        }
    });
    address
}

fn s3_settings(address: SocketAddr) -> S3Settings {
    S3Settings {
        endpoint: address.to_string(),
        bucket: "bucket".to_owned(),
        prefix: "stack/one".to_owned(),
        insecure: true,
        credentials: S3Credentials::Static {
            access_key: KEY.to_owned(),
            secret_key: SECRET.to_owned(),
            session_token: String::new(),
        },
        ..S3Settings::default()
    }
}

async fn s3_problem(settings: S3Settings) -> (Option<Problem>, String) {
    let store = open(&Settings::S3(settings)).unwrap();
    let error = probe(&Environment::system(), &*store).await.unwrap_err();
    (error.problem(), error.to_string())
}

#[tokio::test]
async fn memory_fulfils_the_contract() {
    contract(&open(&Settings::Memory).unwrap()).await;
}

#[tokio::test]
async fn a_local_folder_fulfils_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(
        &open(&Settings::Local {
            folder: dir.path().join("new/folder"),
        })
        .unwrap(),
    )
    .await;
}

#[tokio::test]
async fn s3_below_a_prefix_fulfils_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let address = s3_server(dir.path()).await;
    contract(&open(&Settings::S3(s3_settings(address))).unwrap()).await;
    assert!(
        dir.path().join("bucket/stack/one/single-tenant").is_dir(),
        "the prefix is used"
    );
}

#[tokio::test]
async fn decorators_fulfil_the_contract_and_count() {
    #[derive(Debug)]
    struct Harmless;
    #[async_trait]
    impl Faults for Harmless {
        async fn before(&self, _: Operation, _: &Path) -> Fault {
            Fault::None
        }
    }
    let metrics = Arc::new(StoreMetrics::default());
    let faulty: Store = Arc::new(Faulty::new(open(&Settings::Memory).unwrap(), Arc::new(Harmless)));
    let store: Store = Arc::new(Metered::new(faulty, Arc::clone(&metrics)));
    contract(&store).await;
    let before = metrics.count(Operation::Put);
    store.put(&Path::from("x"), "12345".into()).await.unwrap();
    let after = metrics.count(Operation::Put);
    assert_eq!(
        (after.requests - before.requests, after.bytes - before.bytes),
        (1, 5)
    );
    assert_eq!(after.failures, 0, "a refused create is an answer");
    assert!(metrics.count(Operation::List).requests > 0 && metrics.count(Operation::Delete).requests > 0);
}

#[derive(Debug)]
struct Always(Fault);

#[async_trait]
impl Faults for Always {
    async fn before(&self, operation: Operation, _: &Path) -> Fault {
        if operation == Operation::Put {
            self.0
        } else {
            Fault::None
        }
    }
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused() {
    let store = Faulty::new(
        open(&Settings::Memory).unwrap(),
        Arc::new(Always(Fault::ConditionIgnored)),
    );
    let error = probe(&Environment::system(), &store).await.unwrap_err();
    assert_eq!(error.problem(), Some(Problem::ConditionIgnored));
    assert!(error.to_string().contains("upgrade the server"), "{error}");
}

#[tokio::test]
async fn injected_faults_do_what_they_say() {
    let inner = open(&Settings::Memory).unwrap();
    let put = async |fault: Fault, name: &str| {
        let store = Faulty::new(Arc::clone(&inner), Arc::new(Always(fault)));
        store.put(&Path::from(name), "content".into()).await.unwrap_err();
    };
    put(Fault::AnswerLost, "lost").await;
    put(Fault::Refused, "refused").await;
    put(Fault::Torn, "torn").await;
    assert_eq!(read(&inner, &Path::from("lost")).await, "content");
    assert!(inner.get(&Path::from("refused")).await.is_err());
    assert_eq!(read(&inner, &Path::from("torn")).await, "con");
}

#[tokio::test]
async fn wrong_settings_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let address = s3_server(dir.path()).await;
    let right = s3_settings(address);

    let credentials = |access_key: &str, secret_key: &str| S3Credentials::Static {
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
        session_token: String::new(),
    };
    let secret = S3Settings {
        credentials: credentials(KEY, "wrong"),
        ..right.clone()
    };
    let (problem, text) = s3_problem(secret).await;
    assert_eq!(problem, Some(Problem::Credentials), "{text}");
    assert!(!text.contains("wrong"), "secrets stay secret: {text}");

    let tls = S3Settings {
        endpoint: format!("https://{address}"),
        ..right
    };
    let (problem, text) = s3_problem(tls).await;
    assert_eq!(problem, Some(Problem::Tls), "{text}");
}

#[tokio::test]
async fn an_endpoint_that_nobody_answers_is_named() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (problem, text) = s3_problem(s3_settings(closed)).await;
    assert_eq!(problem, Some(Problem::Unreachable), "{text}");
    assert!(text.contains("check its address"), "{text}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(&Settings::Local {
        folder: file.path().join("below"),
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("below"), "{error}");
}
