//! The processes of the cluster, with certificates and tokens made for them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{ADMIN_TOKEN, OPERATOR_TOKEN, PATIENCE};
use crate::ports::reserve_port;

const CLUSTER_ADDRESSES: &str = "10.96.0.0/16";

/// What the API server writes down: the writes of the operator, and of Events what they are about.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Request, users: [operator], verbs: [create, update, patch, delete], resources: [{group: events.k8s.io}]}
  - {level: Metadata, users: [operator], verbs: [create, update, patch, delete]}
  - {level: None}
";

/// Runs a program until standard input ends, which it does when this process ends in whatever way; whoever is last
/// to go takes the folder along.
const LEASH: &str = r#""$@" & child=$!; read -r _; kill -9 "$child"; wait "$child"; rm -rf "$FOLDER""#;

/// The running processes.
pub(crate) struct Processes {
    folder: TempDir,
    programs: PathBuf,
    children: Vec<Child>,
    authority: Vec<u8>,
    port: u16,
}

impl Processes {
    /// Starts etcd and the API server, and waits until that is ready.
    pub(crate) async fn start(programs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let etcd = reserve_port().unwrap();
        let port = reserve_port().unwrap();
        let authority = write_files(folder.path(), port);
        let start = |name: &str, arguments: Vec<String>| start(programs, name, &arguments, folder.path());
        let children = vec![
            start("etcd", etcd_arguments(folder.path(), etcd)),
            start("kube-apiserver", api_server_arguments(folder.path(), etcd, port)),
        ];
        let processes = Self {
            folder,
            programs: programs.to_owned(),
            children,
            authority,
            port,
        };
        processes.wait_until_ready().await;
        processes
    }

    /// Starts the controllers, best after all definitions are there: they look for new kinds only now and then.
    pub(crate) fn start_controllers(&mut self) {
        let folder = self.folder.path();
        let arguments = controller_arguments(folder);
        let child = start(&self.programs, "kube-controller-manager", &arguments, folder);
        self.children.push(child);
    }

    /// Where the API server is.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificate authority of the API server, in DER.
    pub(crate) fn authority(&self) -> Vec<u8> {
        self.authority.clone()
    }

    /// A kubeconfig for whoever has a token.
    pub(crate) fn kubeconfig(&self, token: &str, namespace: &str) -> String {
        kubeconfig(&path(self.folder.path(), "ca.crt"), self.port, token, namespace)
    }

    /// What the operator has asked the API server to write, in the order of the answers.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    async fn wait_until_ready(&self) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_der(&self.authority).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .build()
            .unwrap();
        let started = Instant::now();
        loop {
            let request = client
                .get(format!("{}/readyz", self.url()))
                .bearer_auth(ADMIN_TOKEN);
            let answer = request.send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the API server is not ready: {answer:?}\n{}",
                fs::read_to_string(self.folder.path().join("kube-apiserver.log")).unwrap()
            );
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn start(programs: &Path, name: &str, arguments: &[String], folder: &Path) -> Child {
    let log = File::create(folder.join(format!("{name}.log"))).unwrap();
    Command::new("sh")
        .args(["-c", LEASH, "sh"])
        .arg(programs.join(name))
        .args(arguments)
        .env("FOLDER", folder)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {name}: {error}"))
}

/// Certificates, keys, tokens and the kubeconfig of the controllers. Returns the authority in DER.
fn write_files(folder: &Path, port: u16) -> Vec<u8> {
    let write = |name: &str, content: &str| fs::write(folder.join(name), content).unwrap();
    let authority_key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(parameters, authority_key);
    let server_key = KeyPair::generate().unwrap();
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc", "10.96.0.1"].map(ToOwned::to_owned);
    let server = CertificateParams::new(names).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    write("ca.crt", &authority.pem());
    write("server.crt", &server.pem());
    write("server.key", &server_key.serialize_pem());
    let accounts_key = KeyPair::generate().unwrap();
    write("accounts.key", &accounts_key.serialize_pem());
    write("accounts.pub", &accounts_key.public_key_pem());
    write(
        "tokens.csv",
        &format!("{ADMIN_TOKEN},admin,1,\"system:masters\"\n{OPERATOR_TOKEN},operator,2\n"),
    );
    write("audit.yaml", AUDIT_POLICY);
    write(
        "kubeconfig",
        &kubeconfig(&path(folder, "ca.crt"), port, ADMIN_TOKEN, "default"),
    );
    authority.der().to_vec()
}

fn kubeconfig(authority: &str, port: u16, token: &str, namespace: &str) -> String {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": authority}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
    })
    .to_string()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn etcd_arguments(folder: &Path, port: u16) -> Vec<String> {
    let (client, peer) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{}", reserve_port().unwrap()),
    );
    vec![
        format!("--data-dir={}", path(folder, "etcd")),
        "--name=test".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=test={peer}"),
        "--unsafe-no-fsync=true".to_owned(),
    ]
}

fn api_server_arguments(folder: &Path, etcd: u16, port: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--service-cluster-ip-range={CLUSTER_ADDRESSES}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", path(folder, "certificates")),
        format!("--tls-cert-file={}", path(folder, "server.crt")),
        format!("--tls-private-key-file={}", path(folder, "server.key")),
        format!("--token-auth-file={}", path(folder, "tokens.csv")),
        format!("--service-account-key-file={}", path(folder, "accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            path(folder, "accounts.key")
        ),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--audit-policy-file={}", path(folder, "audit.yaml")),
        format!("--audit-log-path={}", path(folder, "audit.log")),
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
    ]
}

fn controller_arguments(folder: &Path) -> Vec<String> {
    let kubeconfig = PathBuf::from(path(folder, "kubeconfig"));
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!(
            "--service-account-private-key-file={}",
            path(folder, "accounts.key")
        ),
        format!("--root-ca-file={}", path(folder, "ca.crt")),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ]
}
