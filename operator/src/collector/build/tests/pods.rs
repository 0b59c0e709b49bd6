//! Fields of the pods and of the container.

use super::*;

#[test]
fn fields_of_the_pod_reach_the_pod() {
    for (field, value, pod) in [
        (
            "hostNetwork",
            json!(true),
            json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}),
        ),
        ("hostPID", json!(true), json!({"hostPID": true})),
        ("hostUsers", json!(false), json!({"hostUsers": false})),
        (
            "shareProcessNamespace",
            json!(true),
            json!({"shareProcessNamespace": true}),
        ),
        (
            "hostAliases",
            json!([{"ip": "10.0.0.1", "hostnames": ["db"]}]),
            json!({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}]}),
        ),
        ("dnsPolicy", json!("Default"), json!({"dnsPolicy": "Default"})),
        (
            "podDnsConfig",
            json!({"nameservers": ["10.0.0.2"]}),
            json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.2"]}}),
        ),
        (
            "podDnsConfig",
            json!({"searches": ["shop"]}),
            json!({"dnsPolicy": null, "dnsConfig": {"searches": ["shop"]}}),
        ),
        (
            "initContainers",
            json!([{"name": "first", "image": "busybox"}]),
            json!({"initContainers": [{"name": "first", "image": "busybox"}]}),
        ),
        (
            "priorityClassName",
            json!("high"),
            json!({"priorityClassName": "high"}),
        ),
        (
            "terminationGracePeriodSeconds",
            json!(90),
            json!({"terminationGracePeriodSeconds": 90}),
        ),
        (
            "nodeSelector",
            json!({"disk": "ssd"}),
            json!({"nodeSelector": {"disk": "ssd"}}),
        ),
        (
            "tolerations",
            json!([{"operator": "Exists"}]),
            json!({"tolerations": [{"operator": "Exists"}]}),
        ),
        (
            "affinity",
            json!({"nodeAffinity": {}}),
            json!({"affinity": {"nodeAffinity": {}}}),
        ),
        (
            "serviceAccount",
            json!("mine"),
            json!({"serviceAccountName": "mine"}),
        ),
        (
            "podSecurityContext",
            json!({"runAsUser": 7}),
            json!({"securityContext": {"runAsUser": 7}}),
        ),
    ] {
        let (found, _) = pod_and_container(&json!({field: value}));
        assert_has(&found["spec"], &pod, field);
    }
    let (pod, _) = pod_and_container(&json!({"additionalContainers": [{"name": "second"}]}));
    let names: Vec<_> = pod["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["otc-container", "second"]);
}

#[test]
fn fields_of_the_container_reach_the_container() {
    for (field, value, container) in [
        ("image", json!("other:1"), json!({"image": "other:1"})),
        (
            "imagePullPolicy",
            json!("Always"),
            json!({"imagePullPolicy": "Always"}),
        ),
        ("command", json!(["/otelcol"]), json!({"command": ["/otelcol"]})),
        (
            "args",
            json!({"drain-timeout": "5"}),
            json!({"args": ["--config=/conf/collector.yaml", "--drain-timeout=5"]}),
        ),
        (
            "env",
            json!([{"name": "POD_NAME", "value": "x"}]),
            json!({"env": [{"name": "POD_NAME", "value": "x"}]}),
        ),
        (
            "envFrom",
            json!([{"secretRef": {"name": "keys"}}]),
            json!({"envFrom": [{"secretRef": {"name": "keys"}}]}),
        ),
        (
            "resources",
            json!({"limits": {"memory": "1Gi"}}),
            json!({"resources": {"limits": {"memory": "1Gi"}}}),
        ),
        (
            "securityContext",
            json!({"privileged": true}),
            json!({"securityContext": {"privileged": true}}),
        ),
        (
            "lifecycle",
            json!({"preStop": {"sleep": {"seconds": 5}}}),
            json!({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}),
        ),
        (
            "livenessProbe",
            json!({"periodSeconds": 9, "failureThreshold": 4}),
            json!({
                "livenessProbe": {"periodSeconds": 9, "failureThreshold": 4, "timeoutSeconds": 1, "httpGet": {"path": "/alive"}},
                "readinessProbe": {"periodSeconds": 5},
                "startupProbe": null,
            }),
        ),
        (
            "readinessProbe",
            json!({"timeoutSeconds": 3}),
            json!({"readinessProbe": {"timeoutSeconds": 3}}),
        ),
        (
            "startupProbe",
            json!({"initialDelaySeconds": 2, "terminationGracePeriodSeconds": 8}),
            json!({"startupProbe": {"initialDelaySeconds": 2, "terminationGracePeriodSeconds": 8, "httpGet": {"port": "health-check"}}}),
        ),
    ] {
        let (_, found) = pod_and_container(&json!({field: value}));
        assert_has(&found, &container, field);
    }
    let mounted = json!({
        "configmaps": [{"name": "settings", "mountpath": "etc"}],
        "volumes": [{"name": "queue", "emptyDir": {}}],
        "volumeMounts": [{"name": "queue", "mountPath": "/queue"}],
    });
    let (pod, container) = pod_and_container(&mounted);
    let paths: Vec<_> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["mountPath"])
        .collect();
    assert_eq!(paths, ["/conf", "/queue", "/var/conf/etc/configmap-settings"]);
    assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 3);
}

#[test]
fn prometheus_is_told_where_the_metrics_are() {
    let (pod, _) = pod_and_container(&json!({"podAnnotations": {"prometheus.io/path": "/mine"}}));
    assert_has(
        &pod["metadata"]["annotations"],
        &json!({"prometheus.io/scrape": "true", "prometheus.io/port": "8888", "prometheus.io/path": "/mine"}),
        "annotations",
    );
    let silent = json!({"observability": {"metrics": {"disablePrometheusAnnotations": true}}});
    let (pod, _) = pod_and_container(&silent);
    assert!(pod["metadata"]["annotations"]["prometheus.io/scrape"].is_null());
}

#[test]
fn pods_keep_their_image_when_upgrades_are_not_wanted() {
    let image = |strategy: &str, running: &str| {
        let (objects, notices) = planned(&json!({"upgradeStrategy": strategy}), &json!({"image": running}));
        let container = &objects["Deployment/edge-collector"]["spec"]["template"]["spec"]["containers"][0];
        (container["image"].as_str().unwrap().to_owned(), notices.len())
    };
    let own = format!("tempo-rs:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(image("none", "tempo-rs:0.0.1"), ("tempo-rs:0.0.1".to_owned(), 1));
    assert_eq!(image("automatic", "tempo-rs:0.0.1"), (own.clone(), 0));
    assert_eq!(image("none", ""), (own.clone(), 0));
    assert_eq!(image("none", "otel/collector:0.0.1"), (own, 0));
}
