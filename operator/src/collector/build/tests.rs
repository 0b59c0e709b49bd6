//! Every field of a Collector reaches the object that it is about.

mod pods;

use serde_json::{Value, json};

use crate::{
    crd::Collector, environment::Environment, kind::Kind, references::Dereferenced, validation::Notice,
};

/// The objects of a Collector with `fields` besides a configuration, as `Kind/name`, and what its owner should know.
fn built(fields: &Value) -> (Value, Vec<Notice>) {
    planned(fields, &json!({}))
}

fn planned(fields: &Value, status: &Value) -> (Value, Vec<Notice>) {
    let mut spec = json!({"config": {
        "receivers": {"otlp": {"protocols": {"grpc": {}, "http": {}}}},
        "exporters": {"debug": {}},
        "extensions": {"health_check": {"path": "/alive"}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}},
        },
    }});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let resource = json!({"metadata": {"name": "edge", "namespace": "shop"}, "spec": spec, "status": status});
    let collector: Collector = serde_json::from_value(resource).unwrap();
    let found = Dereferenced {
        config_maps: [("settings".to_owned(), [].into())].into(),
        service_accounts: ["mine".to_owned()].into(),
        ..Dereferenced::default()
    };
    let environment = Environment::from_variables(|_| None).unwrap();
    let plan = collector.plan(&found, &environment).unwrap();
    let mut objects = json!({});
    for object in plan.resources.to_json().unwrap() {
        let kind = object["kind"].as_str().unwrap();
        // The digest in the name of the ConfigMap is tested by itself.
        let name = match kind {
            "ConfigMap" => "CONFIG",
            _ => object["metadata"]["name"].as_str().unwrap(),
        };
        let key = format!("{kind}/{name}");
        objects[key] = object;
    }
    (objects, plan.notices)
}

/// Asserts that an object has these values, and perhaps others.
fn assert_has(found: &Value, wanted: &Value, place: &str) {
    match wanted {
        Value::Object(fields) => {
            for (field, wanted) in fields {
                assert_has(&found[field], wanted, &format!("{place}/{field}"));
            }
        }
        _ => assert_eq!(found, wanted, "{place}"),
    }
}

/// The Deployment's pod, and its container.
fn pod_and_container(fields: &Value) -> (Value, Value) {
    let (mut objects, notices) = built(fields);
    assert_eq!(notices, []);
    let pod = objects["Deployment/edge-collector"]["spec"]["template"].take();
    let container = pod["spec"]["containers"][0].clone();
    (pod, container)
}

#[test]
fn a_plain_collector_has_these_objects() {
    let (objects, notices) = built(&json!({}));
    assert_eq!(notices, []);
    let names: Vec<&String> = objects.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "ServiceAccount/edge-collector",
            "ConfigMap/CONFIG",
            "Service/edge-collector",
            "Service/edge-collector-extension",
            "Service/edge-collector-headless",
            "Service/edge-collector-monitoring",
            "PodDisruptionBudget/edge-collector",
            "Deployment/edge-collector",
        ]
    );
    for (service, kind, port) in [
        (
            "edge-collector",
            "base",
            json!({"name": "otlp-grpc", "port": 4317}),
        ),
        (
            "edge-collector-headless",
            "headless",
            json!({"name": "otlp-grpc", "port": 4317}),
        ),
        (
            "edge-collector-monitoring",
            "monitoring",
            json!({"name": "metrics", "port": 8888}),
        ),
        (
            "edge-collector-extension",
            "extension",
            json!({"name": "health-check", "port": 13133}),
        ),
    ] {
        let service = &objects[format!("Service/{service}")];
        assert_eq!(
            service["metadata"]["labels"]["tempo.grafana.com/collector-service-type"],
            kind
        );
        assert_has(&service["spec"]["ports"][0], &port, kind);
        assert!(service["spec"]["selector"]["tempo.grafana.com/collector-service-type"].is_null());
    }
}

#[test]
fn ports_of_the_user_reach_pods_and_services() {
    let ports = json!([
        {"name": "zipkin", "port": 9411, "hostPort": 9411, "protocol": "TCP", "appProtocol": "http"},
        {"name": "traces", "port": 80, "targetPort": "otlp-http"},
    ]);
    let (objects, _) = built(&json!({"ports": ports}));
    let service = &objects["Service/edge-collector"]["spec"]["ports"];
    let numbers: Vec<_> = service
        .as_array()
        .unwrap()
        .iter()
        .map(|port| {
            (
                port["name"].as_str().unwrap(),
                port["port"].as_i64().unwrap(),
                &port["targetPort"],
            )
        })
        .collect();
    assert_eq!(
        numbers,
        [
            ("otlp-grpc", 4317, &json!(4317)),
            ("traces", 80, &json!(4318)),
            ("zipkin", 9411, &json!(9411))
        ]
    );
    let container = &objects["Deployment/edge-collector"]["spec"]["template"]["spec"]["containers"][0];
    let ports = container["ports"].as_array().unwrap();
    let zipkin = ports.iter().find(|port| port["name"] == "zipkin").unwrap();
    assert_eq!(zipkin["hostPort"], 9411);
}

#[test]
fn fields_of_services_reach_all_services() {
    let fields = json!({
        "ipFamilies": ["IPv6", "IPv4"],
        "ipFamilyPolicy": "PreferDualStack",
        "trafficDistribution": "PreferClose",
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
    });
    let (objects, notices) = built(&fields);
    assert_eq!(notices, []);
    for service in [
        "edge-collector",
        "edge-collector-headless",
        "edge-collector-monitoring",
    ] {
        assert_has(&objects[format!("Service/{service}")]["spec"], &fields, service);
    }
}

#[test]
fn an_autoscaler_scales_the_collector_itself() {
    let pods = json!({"metric": {"name": "spans"}, "target": {"type": "AverageValue", "averageValue": "1k"}});
    let autoscaler = json!({
        "minReplicas": 2, "maxReplicas": 5, "targetMemoryUtilization": 70, "targetCPUUtilization": 60,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
        "metrics": [{"type": "Pods", "pods": pods}],
    });
    let (objects, _) = built(&json!({"autoscaler": autoscaler, "replicas": 1}));
    let utilization = |resource: &str, percent: i32| json!({"type": "Resource", "resource": {"name": resource, "target": {"type": "Utilization", "averageUtilization": percent}}});
    assert_has(
        &objects["HorizontalPodAutoscaler/edge-collector"]["spec"],
        &json!({
            "scaleTargetRef": {"apiVersion": "tempo.grafana.com/v1alpha1", "kind": "Collector", "name": "edge"},
            "minReplicas": 2, "maxReplicas": 5,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
            "metrics": [utilization("memory", 70), utilization("cpu", 60), {"type": "Pods", "pods": pods}],
        }),
        "autoscaler",
    );
    assert_eq!(
        objects["Deployment/edge-collector"]["spec"]["replicas"], 2,
        "at least as many as the autoscaler wants"
    );
    let (objects, _) = built(&json!({"autoscaler": {"maxReplicas": 3}, "replicas": 3}));
    let spec = &objects["HorizontalPodAutoscaler/edge-collector"]["spec"];
    assert_has(
        spec,
        &json!({"minReplicas": 1, "metrics": [utilization("cpu", 90)]}),
        "defaults",
    );
    assert_eq!(objects["Deployment/edge-collector"]["spec"]["replicas"], 3);
}

#[test]
fn each_mode_has_its_own_workload() {
    let (objects, _) = built(&json!({
        "mode": "statefulset", "replicas": 3, "serviceName": "mine", "podManagementPolicy": "OrderedReady",
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        "volumeClaimTemplates": [{"metadata": {"name": "queue"}}],
    }));
    assert_has(
        &objects["StatefulSet/edge-collector"]["spec"],
        &json!({
            "replicas": 3, "serviceName": "mine", "podManagementPolicy": "OrderedReady",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        }),
        "statefulset",
    );
    let (objects, _) = built(&json!({"mode": "statefulset"}));
    assert_has(
        &objects["StatefulSet/edge-collector"]["spec"],
        &json!({"serviceName": "edge-collector-headless", "podManagementPolicy": "Parallel"}),
        "defaults",
    );
    let rolling = json!({"rollingUpdate": {"maxUnavailable": 3}});
    let (objects, _) = built(&json!({"mode": "daemonset", "daemonSetUpdateStrategy": rolling}));
    assert_has(
        &objects["DaemonSet/edge-collector"]["spec"],
        &json!({"updateStrategy": rolling}),
        "daemonset",
    );
    assert_eq!(
        objects["Service/edge-collector"]["spec"]["internalTrafficPolicy"],
        "Local"
    );
    assert!(objects["PodDisruptionBudget/edge-collector"].is_null());
    let (objects, _) = built(&json!({"deploymentUpdateStrategy": {"type": "Recreate"}}));
    assert_eq!(
        objects["Deployment/edge-collector"]["spec"]["strategy"]["type"],
        "Recreate"
    );
}

#[test]
fn receivers_are_published_by_path_or_by_name() {
    let ingress = json!({
        "type": "ingress", "hostname": "otlp.example.org", "annotations": {"a": "b"}, "ingressClassName": "nginx",
        "tls": [{"hosts": ["otlp.example.org"], "secretName": "cert"}],
    });
    let (objects, _) = built(&json!({"ingress": ingress}));
    let found = &objects["Ingress/edge-ingress"];
    assert_eq!(found["metadata"]["annotations"], json!({"a": "b"}));
    let backend = |port: &str| json!({"service": {"name": "edge-collector", "port": {"name": port}}});
    let path = |path: &str, port: &str| json!({"path": path, "pathType": "Prefix", "backend": backend(port)});
    let paths = json!([path("/otlp-grpc", "otlp-grpc"), path("/otlp-http", "otlp-http")]);
    assert_eq!(
        found["spec"],
        json!({
            "ingressClassName": "nginx",
            "rules": [{"host": "otlp.example.org", "http": {"paths": paths}}],
            "tls": ingress["tls"],
        })
    );
    let subdomains = json!({"type": "ingress", "ruleType": "subdomain", "hostname": "example.org"});
    let (objects, _) = built(&json!({"ingress": subdomains}));
    let rule = |host: &str, port: &str| json!({"host": host, "http": {"paths": [path("/", port)]}});
    assert_eq!(
        objects["Ingress/edge-ingress"]["spec"]["rules"],
        json!([
            rule("otlp-grpc.example.org", "otlp-grpc"),
            rule("otlp-http.example.org", "otlp-http")
        ])
    );
    let (objects, _) = built(&json!({"ingress": {"hostname": "example.org"}}));
    assert!(objects["Ingress/edge-ingress"].is_null(), "it has no type");
}

#[test]
fn pods_are_closed_but_for_their_ports_when_that_is_wanted() {
    let (objects, _) = built(&json!({"networkPolicy": {"enabled": true}}));
    let spec = &objects["NetworkPolicy/edge-collector-networkpolicy"]["spec"];
    let ports: Vec<_> = spec["ingress"][0]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| &port["port"])
        .collect();
    assert_eq!(ports, [4317, 4318, 8888, 13133]);
    assert_eq!(spec["egress"], json!([{}]));
    let (objects, _) = built(&json!({}));
    assert!(objects["NetworkPolicy/edge-collector-networkpolicy"].is_null());
}

#[test]
fn another_configuration_has_another_config_map_that_the_pods_mount() {
    let name = |fields: &Value| {
        let (objects, _) = built(fields);
        let pod = &objects["Deployment/edge-collector"]["spec"]["template"];
        let name = objects["ConfigMap/CONFIG"]["metadata"]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(pod["spec"]["volumes"][0]["configMap"]["name"], name);
        assert_eq!(name.len(), "edge-collector-12345678".len());
        name
    };
    let other = json!({"config": {
        "receivers": {"otlp": {"protocols": {"grpc": {}}}},
        "exporters": {"debug": {}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}},
    }});
    assert_eq!(name(&json!({})), name(&json!({"replicas": 2})));
    assert_ne!(name(&json!({})), name(&other));
}
