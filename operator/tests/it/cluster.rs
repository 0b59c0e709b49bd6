//! A real API server: etcd, kube-apiserver and kube-controller-manager on loopback.
//!
//! It is started once for all tests of this binary, from the folder that `KUBEBUILDER_ASSETS` names, and ends with
//! it. There are no nodes: pods are made, but nothing runs them. Each test has a namespace of its own, and in it
//! an operator with exactly the permissions of `config/rbac`.

mod processes;
mod space;

use std::{path::PathBuf, time::Duration};

use k8s_openapi::{
    api::rbac::v1::{ClusterRole, ClusterRoleBinding},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, Client, Config, api::Patch, api::PatchParams, config::AuthInfo};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use self::processes::Processes;
pub(crate) use self::space::{Space, documents, eventually};
use crate::repository;

/// How long anything may take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);
/// Who applies things in the tests.
pub(crate) const ADMIN_TOKEN: &str = "admin-token";
/// Who the operator is.
const OPERATOR_TOKEN: &str = "operator-token";

static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

/// A running API server.
pub(crate) struct Cluster {
    processes: Processes,
}

impl Cluster {
    /// The cluster, or nothing, with a note, where its programs are not there.
    pub(crate) async fn get() -> Option<&'static Self> {
        // What the operator logs, with RUST_LOG.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_writer(std::io::stderr)
            .try_init();
        let cluster = CLUSTER.get_or_init(Self::start).await.as_ref();
        if cluster.is_none() {
            println!(
                "skipped: KUBEBUILDER_ASSETS names no folder with etcd, kube-apiserver and kube-controller-manager"
            );
        }
        cluster
    }

    async fn start() -> Option<Self> {
        let programs = PathBuf::from(std::env::var_os("KUBEBUILDER_ASSETS")?);
        let mut cluster = Self {
            processes: Processes::start(&programs).await,
        };
        cluster.install().await;
        cluster.processes.start_controllers();
        Some(cluster)
    }

    /// Installs the custom resource definitions and the operator's permissions.
    async fn install(&self) {
        let client = self.admin();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in tempo_operator::crd::definitions() {
            let name = definition.metadata.name.clone().unwrap();
            definitions
                .patch(&name, &PatchParams::apply("test"), &Patch::Apply(&definition))
                .await
                .unwrap();
            let is_established = kube::runtime::wait::conditions::is_crd_established();
            tokio::time::timeout(
                PATIENCE,
                kube::runtime::wait::await_condition(definitions.clone(), &name, is_established),
            )
            .await
            .expect("the definition is established in time")
            .unwrap();
        }
        let roles: Api<ClusterRole> = Api::all(client.clone());
        let role: ClusterRole = manifest("role.yaml");
        roles
            .patch(
                "tempo-operator",
                &PatchParams::apply("test"),
                &Patch::Apply(&role),
            )
            .await
            .unwrap();
        let binding = serde_json::json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "test-operators"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tempo-operator"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}],
        });
        Api::<ClusterRoleBinding>::all(client)
            .patch(
                "test-operators",
                &PatchParams::apply("test"),
                &Patch::Apply(&binding),
            )
            .await
            .unwrap();
    }

    /// A client that may do everything.
    pub(crate) fn admin(&self) -> Client {
        Client::try_from(self.config(ADMIN_TOKEN)).unwrap()
    }

    /// What operators have asked to write in a namespace, as the API server wrote it down.
    pub(crate) fn audit(&self, namespace: &str) -> Vec<Value> {
        let mut requests = self.processes.audit();
        requests.retain(|request| request["objectRef"]["namespace"] == namespace);
        requests
    }

    /// The text of a kubeconfig for whoever has a token.
    pub(crate) fn kubeconfig(&self, token: &str, namespace: &str) -> String {
        self.processes.kubeconfig(token, namespace)
    }

    /// How the operator reaches the cluster.
    pub(crate) fn operator_config(&self) -> Config {
        self.config(OPERATOR_TOKEN)
    }

    fn config(&self, token: &str) -> Config {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::new(self.processes.url().parse().unwrap());
        config.root_cert = Some(vec![self.processes.authority()]);
        config.auth_info = AuthInfo {
            token: Some(token.to_owned().into()),
            ..AuthInfo::default()
        };
        config
    }
}

/// A manifest of `config/rbac`.
pub(crate) fn manifest<K: DeserializeOwned>(name: &str) -> K {
    let path = repository().join("config/rbac").join(name);
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
