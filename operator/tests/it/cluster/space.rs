//! A namespace of the cluster that belongs to one test, and the operator in it.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Display},
    future::Future,
    net::SocketAddr,
    time::Duration,
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::Namespace,
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempo_operator::{
    environment::Environment,
    run::{Operator, Options, RunError},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Cluster, PATIENCE};

/// How long nothing may happen before it counts as quiet.
const QUIET: Duration = Duration::from_secs(4);

/// A namespace with its operator.
pub(crate) struct Space {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    cluster: &'static Cluster,
    operator: Option<Running>,
}

/// A running operator.
pub(crate) struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// What it answers at a path.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", self.address);
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Stops it, which must end well.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.end().await.unwrap();
    }

    /// Waits until it ends.
    pub(crate) async fn end(self) -> Result<(), RunError> {
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the operator ends in time").unwrap()
    }
}

impl Space {
    /// A new namespace, or nothing where there is no cluster.
    pub(crate) async fn new(name: &str) -> Option<Self> {
        let cluster = Cluster::get().await?;
        let client = cluster.admin();
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        Some(Self {
            client,
            namespace: name.to_owned(),
            cluster,
            operator: None,
        })
    }

    /// A new namespace in which an operator runs.
    pub(crate) async fn with_operator(name: &str) -> Option<Self> {
        let mut space = Self::new(name).await?;
        space.start_operator().await;
        Some(space)
    }

    /// How an operator of this namespace runs.
    pub(crate) fn options(&self) -> Options {
        Options {
            listen: ([127, 0, 0, 1], 0).into(),
            namespace: Some(self.namespace.clone()),
            leader_election: false,
            leader_election_namespace: None,
            pod_name: "operator".to_owned(),
        }
    }

    /// Starts an operator.
    pub(crate) async fn launch(&self, options: Options) -> Running {
        let environment = Environment::from_variables(|_| None).unwrap();
        let operator = Operator::bind(self.cluster.operator_config(), options, environment)
            .await
            .unwrap();
        let (address, stop) = (operator.address(), CancellationToken::new());
        Running {
            address,
            task: tokio::spawn(operator.run(stop.clone())),
            stop,
        }
    }

    /// Starts the operator of this namespace.
    pub(crate) async fn start_operator(&mut self) {
        self.operator = Some(self.launch(self.options()).await);
    }

    /// Stops it, which must end well.
    pub(crate) async fn stop_operator(&mut self) {
        self.operator.take().unwrap().stop().await;
    }

    /// Objects of a kind.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// An object that is there.
    pub(crate) async fn get<K>(&self, name: &str) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        self.api()
            .get(name)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Waits for an object that fulfils a condition.
    pub(crate) async fn wait<K>(&self, name: &str, what: &str, holds: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let what = format!("{} {name}: {what}", K::kind(&()));
        eventually(&what, || async {
            let found: Option<K> = self.api().get_opt(name).await.unwrap();
            match found {
                Some(object) if holds(&object) => Ok(object),
                other => Err(format!("not so yet: {other:?}")),
            }
        })
        .await
    }

    /// Waits until a condition of a resource is true, and returns it.
    pub(crate) async fn condition<K>(&self, name: &str, kind: &str) -> Condition
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + serde::Serialize,
    {
        let find = |object: &K| {
            let status = serde_json::to_value(object).unwrap();
            let conditions: Vec<Condition> =
                serde_json::from_value(status.pointer("/status/conditions")?.clone()).ok()?;
            conditions
                .into_iter()
                .find(|condition| condition.type_ == kind && condition.status == "True")
        };
        let object = self.wait::<K>(name, kind, |object| find(object).is_some()).await;
        find(&object).unwrap()
    }

    /// Applies documents as `kubectl apply` would: what is there is merged with.
    pub(crate) async fn apply(&self, text: &str) -> Result<(), kube::Error> {
        for document in documents(text) {
            let api = self.dynamic(&document);
            let name = document
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap();
            if api.get_opt(name).await?.is_some() {
                api.patch(name, &PatchParams::default(), &Patch::Merge(&document))
                    .await?;
            } else {
                let object: DynamicObject = serde_json::from_value(document.clone()).unwrap();
                api.create(&PostParams::default(), &object).await?;
            }
        }
        Ok(())
    }

    /// The object that a document is about, as it is now.
    pub(crate) async fn find(&self, document: &Value) -> Option<Value> {
        let name = document
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap();
        let found = self.dynamic(document).get_opt(name).await.unwrap()?;
        Some(serde_json::to_value(found).unwrap())
    }

    fn dynamic(&self, document: &Value) -> Api<DynamicObject> {
        let text = |key: &str| {
            document
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_else(|| panic!("{key} of {document}"))
        };
        let (group, version) = text("apiVersion")
            .rsplit_once('/')
            .unwrap_or_else(|| ("", text("apiVersion")));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Deletes an object.
    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        self.api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Names of all objects of a kind.
    pub(crate) async fn names<K>(&self) -> Vec<String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let list = self
            .api::<K>()
            .list_metadata(&kube::api::ListParams::default())
            .await
            .unwrap();
        list.iter().map(ResourceExt::name_any).collect()
    }

    /// Waits for an Event with a reason, and returns its note.
    pub(crate) async fn event(&self, reason: &str) -> String {
        eventually(&format!("an Event {reason}"), || async {
            let events = self
                .api::<Event>()
                .list(&kube::api::ListParams::default())
                .await
                .unwrap();
            let found = events
                .items
                .into_iter()
                .find(|event| event.reason.as_deref() == Some(reason));
            found
                .map(|event| event.note.unwrap_or_default())
                .ok_or("none yet")
        })
        .await
    }

    /// What the operator answers at a path.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        self.operator.as_ref().unwrap().ask(path).await
    }

    /// Requests of the operator that write, by method and kind, whether or not they changed anything.
    pub(crate) async fn writes(&self) -> BTreeMap<String, u64> {
        let (_, text) = self.ask("/metrics").await;
        let requests = text.lines().filter_map(|line| {
            let (labels, count) = line
                .strip_prefix("rest_client_requests_total{")?
                .split_once("} ")?;
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                rest.split('"').next()
            };
            let method = label("method")?;
            let is_write = method != "GET";
            is_write.then(|| {
                (
                    format!("{method} {}", label("resource").unwrap()),
                    count.parse().unwrap(),
                )
            })
        });
        let mut writes = BTreeMap::new();
        for (request, count) in requests {
            let count: u64 = count;
            *writes.entry(request).or_default() += count;
        }
        writes
    }

    /// The text of a kubeconfig for whoever has a token; its namespace is `namespace`.
    pub(crate) fn kubeconfig(&self, token: &str, namespace: &str) -> String {
        self.cluster.kubeconfig(token, namespace)
    }

    /// Requests of the operator that write, as the API server wrote them down.
    pub(crate) fn audit(&self) -> Vec<Value> {
        self.cluster.audit(&self.namespace)
    }

    /// Waits until the operator has not written for a while, and returns what it has written.
    pub(crate) async fn quiet(&self) -> BTreeMap<String, u64> {
        let (started, mut since, mut writes) = (Instant::now(), Instant::now(), self.writes().await);
        while since.elapsed() < QUIET {
            assert!(
                started.elapsed() < PATIENCE,
                "the operator goes on writing: {writes:?}"
            );
            sleep(QUIET / 8).await;
            let now = self.writes().await;
            if now != writes {
                (since, writes) = (Instant::now(), now);
            }
        }
        writes
    }
}

/// The documents of a YAML text, without empty ones.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect()
}

/// Tries until it works out.
pub(crate) async fn eventually<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if started.elapsed() > PATIENCE => panic!("{what}: {error}"),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}
