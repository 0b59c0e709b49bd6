//! TempoMonolithics, valid and not, through validation and build.

use serde_json::{Value, json};

use super::*;
use crate::kind::Kind;

fn monolithic(spec: &Value) -> TempoMonolithic {
    serde_json::from_value(json!({"metadata": {"name": "small", "namespace": "shop"}, "spec": spec})).unwrap()
}

fn environment() -> Environment {
    Environment::from_variables(|_| None).unwrap()
}

fn found() -> Dereferenced {
    let data = |keys: &[(&str, &str)]| {
        keys.iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
            .collect()
    };
    Dereferenced {
        secrets: [
            (
                "bucket".to_owned(),
                data(&[
                    ("endpoint", "https://s3.example"),
                    ("bucket", "traces"),
                    ("access_key_id", "a"),
                    ("access_key_secret", "b"),
                ]),
            ),
            ("cert".to_owned(), data(&[("tls.crt", "x"), ("tls.key", "y")])),
        ]
        .into(),
        ..Dereferenced::default()
    }
}

/// All objects by kind and name.
fn objects(spec: &Value) -> Vec<Value> {
    let plan = monolithic(spec).plan(&found(), &environment());
    plan.unwrap_or_else(|error| panic!("{error}"))
        .resources
        .to_json()
        .unwrap()
}

fn object(objects: &[Value], kind: &str, name: &str) -> Value {
    let matches = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects
        .iter()
        .find(matches)
        .unwrap_or_else(|| panic!("{kind} {name}"))
        .clone()
}

fn names(objects: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    objects
        .iter()
        .map(|object| format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"])))
        .collect()
}

fn config(objects: &[Value]) -> Value {
    let text = object(objects, "ConfigMap", "tempo-small-config")["data"]["tempo.yaml"].clone();
    serde_yaml::from_str(text.as_str().unwrap()).unwrap()
}

fn error(spec: &Value) -> (String, String) {
    let error = validate(&monolithic(spec), &found(), &environment()).unwrap_err();
    (error.path, error.message)
}

#[test]
fn an_empty_spec_runs_in_memory() {
    let objects = objects(&json!({}));
    assert_eq!(
        names(&objects),
        [
            "ServiceAccount tempo-small",
            "ConfigMap tempo-small-config",
            "Service tempo-small",
            "StatefulSet tempo-small"
        ]
    );
    let set = object(&objects, "StatefulSet", "tempo-small");
    assert_eq!(set["spec"].get("volumeClaimTemplates"), None);
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(
        pod["volumes"][1],
        json!({"name": "tempo-storage", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}})
    );
    assert_eq!(pod["containers"][0]["name"], "tempo");
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    let ports = object(&objects, "Service", "tempo-small")["spec"]["ports"].clone();
    let ports: Vec<_> = ports
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["port"].clone())
        .collect();
    assert_eq!(ports, [3200, 4317, 4318]);
}

#[test]
fn a_volume_outlives_the_pod() {
    let spec = json!({"storage": {"traces": {"backend": "pv", "size": "5Gi", "storageClassName": "fast"}}});
    let set = object(&objects(&spec), "StatefulSet", "tempo-small");
    let claim = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(claim["metadata"]["name"], "tempo-storage");
    assert_eq!(claim["spec"]["storageClassName"], "fast");
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "5Gi");
}

#[test]
fn a_bucket_is_wired_to_the_container() {
    let spec = json!({"storage": {"traces": {"backend": "s3", "s3": {"secret": "bucket"}}}});
    let objects = objects(&spec);
    let trace = config(&objects)["storage"]["trace"].clone();
    assert_eq!(
        (&trace["backend"], &trace["s3"]["bucket"]),
        (&json!("s3"), &json!("traces"))
    );
    let set = object(&objects, "StatefulSet", "tempo-small");
    let args = set["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains("$(S3_SECRET_KEY)"), "{args}");
}

#[test]
fn a_minio_can_be_deployed_for_it() {
    let spec = json!({"storage": {"traces": {"backend": "s3"}, "minio": {}}});
    let objects = objects(&spec);
    let sets: Vec<_> = names(&objects)
        .into_iter()
        .filter(|name| name.starts_with("StatefulSet"))
        .collect();
    assert_eq!(sets, ["StatefulSet tempo-small", "StatefulSet tempo-small-minio"]);
    assert_eq!(
        config(&objects)["storage"]["trace"]["s3"]["endpoint"],
        "tempo-small-minio.shop.svc:9000"
    );
}

#[test]
fn receivers_can_be_turned_off_and_have_tls() {
    let spec = json!({"ingestion": {"otlp": {
        "grpc": {"enabled": true, "tls": {"enabled": true, "certName": "cert"}},
        "http": {"enabled": false},
    }}});
    let objects = objects(&spec);
    let protocols = config(&objects)["distributor"]["receivers"]["otlp"]["protocols"].clone();
    assert_eq!(
        protocols["grpc"]["tls"]["cert_file"],
        "/var/run/tls/receiver/grpc/tls.crt"
    );
    assert_eq!(protocols.get("http"), None);
    let service = object(&objects, "Service", "tempo-small");
    assert_eq!(service["spec"]["ports"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_not_built_is_told() {
    let spec = json!({"jaegerui": {"enabled": true, "ingress": {"enabled": true, "host": "ui"}}});
    let plan = monolithic(&spec).plan(&found(), &environment()).unwrap();
    let paths: Vec<_> = plan.notices.iter().map(|notice| notice.path).collect();
    assert_eq!(paths, ["spec.jaegerui", "spec.jaegerui"]);
    let objects = plan.resources.to_json().unwrap();
    let ingress = object(&objects, "Ingress", "tempo-small-jaegerui");
    assert_eq!(ingress["spec"]["rules"][0]["host"], "ui");
}

#[test]
fn impossible_specs_name_the_field() {
    for (spec, path, part) in [
        (
            json!({"storage": {"traces": {"backend": "s3"}}}),
            "spec.storage.traces.s3",
            "name of a Secret",
        ),
        (
            json!({"storage": {"traces": {"backend": "gcs", "gcs": {"secret": "missing"}}}}),
            "spec.storage.traces",
            "not found",
        ),
        (
            json!({"storage": {"traces": {"backend": "pv", "size": "much"}}}),
            "spec.storage.traces.size",
            "much",
        ),
        (
            json!({"serviceAccount": "mine"}),
            "spec.serviceAccount",
            "not found",
        ),
        (
            json!({"query": {"rbac": {"enabled": true}}}),
            "spec.query.rbac.enabled",
            "multitenancy",
        ),
        (
            json!({"jaegerui": {"enabled": false, "ingress": {"enabled": true}}}),
            "spec.jaegerui.enabled",
            "turn the Jaeger UI on",
        ),
        (json!({"timeout": "soon"}), "spec.timeout", "soon"),
        (
            json!({"ingestion": {"otlp": {"http": {"enabled": true, "tls": {"enabled": true}}}}}),
            "spec.ingestion.otlp.http.tls.certName",
            "secret",
        ),
        (
            json!({"extraConfig": {"tempo": {"server": {"http_listen_port": "many"}}}}),
            "spec.extraConfig.tempo",
            "http_listen_port",
        ),
    ] {
        let (found_path, message) = error(&spec);
        assert_eq!(found_path, path, "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn it_points_to_all_that_it_needs() {
    let spec = json!({
        "storage": {"traces": {"backend": "s3", "s3": {"secret": "bucket", "tls": {"enabled": true, "caName": "ca"}}}},
        "ingestion": {"otlp": {"grpc": {"enabled": true, "tls": {"enabled": true, "certName": "cert"}}}},
        "serviceAccount": "mine",
    });
    let references = references(&monolithic(&spec));
    let secrets: Vec<_> = references.secrets.iter().map(String::as_str).collect();
    assert_eq!(secrets, ["bucket", "cert"]);
    assert!(references.config_maps.contains("ca") && references.service_accounts.contains("mine"));
    let stack = (TempoKind::TempoStack, "small".to_owned());
    assert!(references.stacks.contains(&stack), "which must not exist");
}

#[test]
fn volumes_stay_unless_the_policy_says_otherwise() {
    let plan = |policy: &Value| {
        let spec = json!({
            "storage": {"traces": {"backend": "s3"}, "minio": {}},
            "persistentVolumeClaimRetentionPolicy": policy,
        });
        monolithic(&spec)
            .plan(&found(), &environment())
            .unwrap()
            .resources
    };
    assert!(plan(&json!({})).keeps_volumes());
    let deleted = plan(&json!({"whenDeleted": "Delete"}));
    assert!(!deleted.keeps_volumes());
    let policies = deleted.to_json().unwrap();
    let policies = policies
        .iter()
        .filter_map(|object| object.pointer("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted"));
    assert_eq!(policies.count(), 2, "also that of MinIO");
}
