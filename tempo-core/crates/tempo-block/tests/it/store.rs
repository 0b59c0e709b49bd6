//! One contract for every store, and what users are told when theirs does not fulfil it. Real servers: `e2e`.

mod contract;
mod uploads;

use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempo_block::store::faulty::{Fault, Faults, Faulty};
use tempo_block::store::metered::{Metered, Operation, StoreMetrics};
use tempo_block::store::{Problem, S3Credentials, S3Settings, Settings, Store, open, probe};
use tempo_runtime::Environment;

use contract::{contract, read};

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
    let folder = dir.path().join("new/folder");
    let settings = Settings::Local {
        folder: folder.clone(),
    };
    contract(&open(&settings).unwrap()).await;
    // What was uploaded and dropped is cleared up in the background.
    let staged = || {
        let files = std::fs::read_dir(folder.join("single-tenant/log")).unwrap();
        let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.find(|name| name.contains("dropped"))
    };
    while staged().is_some() {
        tokio::task::yield_now().await;
    }
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

/// Whatever goes wrong when a store is looked at, it is not taken for one that works.
#[tokio::test]
async fn a_store_that_fails_is_not_taken_for_one_that_works() {
    for fault in [Fault::Refused, Fault::AnswerLost, Fault::Torn] {
        let faults = Arc::new(Always(fault));
        let store = Faulty::new(open(&Settings::Memory).unwrap(), faults);
        let error = probe(&Environment::system(), &store).await.unwrap_err();
        assert_eq!(error.problem(), Some(Problem::Other), "{error}");
        assert!(error.to_string().contains("injected fault"), "{error}");
    }
}

/// Latency changes nothing but the time.
#[tokio::test(start_paused = true)]
async fn a_slow_store_fulfils_the_contract() {
    #[derive(Debug)]
    struct Slow;
    #[async_trait]
    impl Faults for Slow {
        async fn before(&self, _: Operation, _: &Path) -> Fault {
            tokio::time::sleep(std::time::Duration::from_secs(7)).await;
            Fault::None
        }
    }
    let store: Store = Arc::new(Faulty::new(open(&Settings::Memory).unwrap(), Arc::new(Slow)));
    contract(&store).await;
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
