//! What the overlay changes, and that it changes nothing else.

use super::*;
use crate::{
    environment::Environment,
    manifest::{Manifests, offline},
    standalone::process::{Directory, Sources, processes},
};

const MANIFESTS: &str = "
apiVersion: tempo.grafana.com/v1alpha1
kind: TempoStack
metadata: {name: shop}
spec:
  storage: {minio: {}}
  hashRing: {memberlist: {instanceAddrType: podIP}}
  extraConfig:
    tempo:
      ingester: {max_block_duration: 5m}
      compactor: {compaction: {compaction_cycle: 10s}}
      unknown: ['0.0.0.0:1', '/var/other', 'tempo-shop-distributor']
---
apiVersion: tempo.grafana.com/v1alpha1
kind: Collector
metadata: {name: edge}
spec:
  tempoRef: {name: shop}
  env: [{name: TARGET, value: 'tempo-shop-distributor.default.svc:4317'}, {name: NOTE, value: '0.0.0.0:99'}]
  config:
    receivers: {otlp: {protocols: {grpc: {max_recv_msg_size_mib: 8}}}}
    exporters: {otlp_http: {endpoint: 'http://tempo-shop-distributor:4318/x', headers: {a: /conf}}}
    service:
      pipelines:
        traces: {receivers: [otlp], exporters: [otlp_http]}
        traces/stack: {receivers: [otlp]}
";

/// The process of a component as Kubernetes would start it.
fn process(component: &str) -> Process {
    let manifests = Manifests::parse("test", MANIFESTS).unwrap();
    let environment = Environment::from_variables(|_| None).unwrap();
    for manifest in &manifests.resources {
        let found = offline::find(manifest.resource.as_ref(), &manifests).dereferenced;
        let built = manifest.resource.plan(&found, &environment).unwrap().resources;
        let all = processes(&built, &Sources::of(found, &built)).unwrap();
        if let Some(process) = all.into_iter().find(|process| process.component() == component) {
            return process;
        }
    }
    panic!("no process of component {component}");
}

fn placement() -> Placement {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect()
    };
    Placement {
        ports: [
            (3200, 20_001),
            (9095, 20_002),
            (7946, 20_003),
            (4317, 20_004),
            (4318, 20_005),
            (8888, 20_006),
        ]
        .into(),
        peers: pairs(&[
            ("tempo-shop-distributor:4318", "127.0.0.1:21000"),
            ("tempo-shop-distributor.default.svc:4317", "127.0.0.1:21001"),
            ("tempo-shop-query-frontend-discovery:9095", "127.0.0.1:21002"),
        ]),
        gossip: vec!["127.0.0.1:22000".to_owned(), "127.0.0.1:22001".to_owned()],
        paths: pairs(&[("/conf", "/here/conf"), ("/var/tempo", "/here/data")]),
        storage: Some("/here/blocks".to_owned()),
    }
}

/// Every single value of a process by its place.
fn values(process: &Process) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (index, word) in process.command.iter().enumerate() {
        values.insert(format!("command/{index}"), word.clone());
    }
    for (name, value) in &process.environment {
        values.insert(format!("environment/{name}"), value.clone());
    }
    for (path, text) in &process.files {
        let name = path.rsplit('/').next().unwrap();
        values.insert(format!("path/{name}"), path.clone());
        leaves(name, &serde_yaml::from_str(text).unwrap(), &mut values);
    }
    values
}

fn leaves(place: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| leaves(&format!("{place}/{key}"), value, into)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| leaves(&format!("{place}/{index}"), value, into)),
        Value::String(text) => drop(into.insert(place.to_owned(), text.clone())),
        other => drop(into.insert(place.to_owned(), other.to_string())),
    }
}

/// The places whose values differ, with the value after.
fn differences(component: &str) -> BTreeMap<String, String> {
    let before = process(component);
    let after = overlay(&before, &placement());
    let (before, mut after) = (values(&before), values(&after));
    for (place, value) in &before {
        assert!(after.contains_key(place), "{place} is gone");
        if after[place] == *value {
            after.remove(place);
        }
    }
    after
}

#[test]
fn of_the_engine_only_addresses_ports_and_paths_change() {
    let mut expected = vec![
        ("command/2", "-config.file=/here/conf/tempo.yaml"),
        ("path/overrides.yaml", "/here/conf/overrides.yaml"),
        (
            "path/tempo-query-frontend.yaml",
            "/here/conf/tempo-query-frontend.yaml",
        ),
        ("path/tempo.yaml", "/here/conf/tempo.yaml"),
    ]
    .into_iter()
    .map(|(place, value)| (place.to_owned(), value.to_owned()))
    .collect::<BTreeMap<_, _>>();
    for file in ["tempo.yaml", "tempo-query-frontend.yaml"] {
        for (place, value) in [
            ("server/http_listen_address", "127.0.0.1"),
            ("server/http_listen_port", "20001"),
            ("server/grpc_listen_address", "127.0.0.1"),
            ("server/grpc_listen_port", "20002"),
            ("memberlist/bind_addr/0", "127.0.0.1"),
            ("memberlist/bind_port", "20003"),
            ("memberlist/join_members/0", "127.0.0.1:22000"),
            ("memberlist/join_members/1", "127.0.0.1:22001"),
            (
                "distributor/receivers/otlp/protocols/grpc/endpoint",
                "127.0.0.1:20004",
            ),
            (
                "distributor/receivers/otlp/protocols/http/endpoint",
                "127.0.0.1:20005",
            ),
            ("querier/frontend_worker/frontend_address", "127.0.0.1:21002"),
            ("ingester/lifecycler/tokens_file_path", "/here/data/tokens.json"),
            (
                "overrides/per_tenant_override_config",
                "/here/conf/overrides.yaml",
            ),
            ("storage/trace/backend", "local"),
            ("storage/trace/local/path", "/here/blocks"),
            ("storage/trace/wal/path", "/here/data/wal"),
        ] {
            expected.insert(format!("{file}/{place}"), value.to_owned());
        }
    }
    assert_eq!(differences("distributor"), expected);
}

#[test]
fn of_the_collector_only_addresses_ports_and_paths_change() {
    let expected = [
        ("command/1", "--config=/here/conf/collector.yaml"),
        ("environment/TARGET", "127.0.0.1:21001"),
        ("path/collector.yaml", "/here/conf/collector.yaml"),
        (
            "collector.yaml/receivers/otlp/protocols/grpc/endpoint",
            "127.0.0.1:20004",
        ),
        (
            "collector.yaml/exporters/otlp_grpc~1tempo/endpoint",
            "127.0.0.1:21001",
        ),
        (
            "collector.yaml/exporters/otlp_http/endpoint",
            "http://127.0.0.1:21000/x",
        ),
        ("collector.yaml/exporters/otlp_http/headers/a", "/here/conf"),
        (
            "collector.yaml/service/telemetry/metrics/readers/0/pull/exporter/prometheus/host",
            "127.0.0.1",
        ),
        (
            "collector.yaml/service/telemetry/metrics/readers/0/pull/exporter/prometheus/port",
            "20006",
        ),
    ];
    let expected: BTreeMap<String, String> = expected
        .into_iter()
        .map(|(place, value)| (place.replace("~1", "/"), value.to_owned()))
        .collect();
    assert_eq!(differences("collector"), expected);
}

#[test]
fn directories_and_probes_move_along() {
    let before = process("ingester");
    let after = overlay(&before, &placement());
    assert_eq!(
        after.directories,
        [("/here/data".to_owned(), Directory::Kept)].into()
    );
    assert_eq!(after.readiness.unwrap().port, 20_001);
    assert_eq!(
        (&after.name, &after.labels, after.grace, &after.revision),
        (&before.name, &before.labels, before.grace, &before.revision)
    );
}

#[test]
fn a_store_that_answers_stays() {
    let mut placement = placement();
    placement.storage = None;
    let after = overlay(&process("ingester"), &placement);
    let tree: Value = serde_yaml::from_str(&after.files["/here/conf/tempo.yaml"]).unwrap();
    assert_eq!(tree["storage"]["trace"]["backend"], "s3");
    assert_eq!(tree["storage"]["trace"]["s3"]["bucket"], "tempo");
}
