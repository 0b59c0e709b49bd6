//! Collectors in a cluster: what is refused, what becomes of every field, what a change leaves behind.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, Service},
    networking::v1::{Ingress, NetworkPolicy},
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tempo_operator::crd::Collector;

use crate::{
    cluster::{Space, eventually},
    lifecycle::{SECRET, stack},
};

/// A Collector that sends to the stack `shop`.
const COLLECTOR: &str = "
apiVersion: tempo.grafana.com/v1alpha1
kind: Collector
metadata: {name: gateway}
spec:
  tempoRef: {kind: TempoStack, name: shop}
  config:
    receivers: {otlp: {protocols: {grpc: {}, http: {}}}}
    service: {pipelines: {traces: {receivers: [otlp]}}}
";

/// A Collector that needs nobody, with `fields` besides.
fn collector(fields: &str) -> String {
    let config = "{receivers: {otlp: {protocols: {grpc: {}}}}, exporters: {debug: {}}, \
                  service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}}";
    format!(
        "{{apiVersion: tempo.grafana.com/v1alpha1, kind: Collector, metadata: {{name: gateway}}, \
         spec: {{config: {config}, {fields}}}}}"
    )
}

/// Name of the ConfigMap that the pods mount.
async fn mounted(space: &Space) -> String {
    let deployment: Deployment = space.get("gateway-collector").await;
    let volumes = deployment.spec.template.spec.unwrap().volumes.unwrap();
    volumes[0].config_map.as_ref().unwrap().name.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_follows_its_stack() {
    let Some(space) = Space::with_operator("collector").await else {
        return;
    };
    space.apply(COLLECTOR).await.unwrap();
    let waits = space
        .condition::<Collector>("gateway", "ConfigurationError")
        .await;
    assert_eq!(waits.reason, "StackNotFound");
    space.apply(SECRET).await.unwrap();
    space.apply(&stack("")).await.unwrap();
    let pending = space.condition::<Collector>("gateway", "Pending").await;
    assert_eq!(pending.reason, "PendingComponents");
    let config: ConfigMap = space.get(&mounted(&space).await).await;
    let text = &config.data.unwrap()["collector.yaml"];
    assert!(
        text.contains("tempo-shop-distributor.collector.svc:4317"),
        "{text}"
    );
    let collector = space
        .wait::<Collector>("gateway", "its scale", |collector| {
            collector
                .status
                .as_ref()
                .is_some_and(|status| status.scale.status_replicas == "0/1")
        })
        .await;
    assert_eq!(
        collector.finalizers(),
        Vec::<String>::new(),
        "nothing of it stays"
    );
    let ports: Vec<i32> = space
        .get::<Service>("gateway-collector")
        .await
        .spec
        .unwrap()
        .ports
        .unwrap()
        .into_iter()
        .map(|port| port.port)
        .collect();
    assert_eq!(ports, [4317, 4318]);

    space.delete::<Collector>("gateway").await;
    eventually("no Deployment of the Collector", || async {
        let left = space.names::<Deployment>().await;
        if left.iter().any(|name| name == "gateway-collector") {
            Err("still there")
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_cannot_be_is_refused_by_the_api_server() {
    let Some(space) = Space::new("refused-collector").await else {
        return;
    };
    for (fields, part) in [
        (
            "volumeClaimTemplates: [{metadata: {name: data}}]",
            "need mode statefulset",
        ),
        (
            "persistentVolumeClaimRetentionPolicy: {}",
            "needs mode statefulset",
        ),
        ("serviceName: mine", "needs mode statefulset"),
        ("podManagementPolicy: Parallel", "needs mode statefulset"),
        ("podManagementPolicy: Sometimes", "podManagementPolicy"),
        (
            "daemonSetUpdateStrategy: {type: OnDelete}",
            "needs mode daemonset",
        ),
        (
            "mode: daemonset, deploymentUpdateStrategy: {type: Recreate}",
            "needs mode deployment",
        ),
        (
            "mode: daemonset, autoscaler: {maxReplicas: 2}",
            "needs mode deployment or statefulset",
        ),
        ("autoscaler: {minReplicas: 2}", "autoscaler.maxReplicas"),
        (
            "autoscaler: {minReplicas: 3, maxReplicas: 2}",
            "must not be above autoscaler.maxReplicas",
        ),
        (
            "replicas: 3, autoscaler: {maxReplicas: 2}",
            "must not be above autoscaler.maxReplicas",
        ),
        ("mode: sidecar, priorityClassName: high", "mode sidecar takes no"),
        (
            "mode: sidecar, ingress: {type: ingress}",
            "cannot lead to sidecars",
        ),
        (
            "ingress: {type: ingress, ruleType: subdomain}",
            "needs ingress.hostname",
        ),
        ("targetAllocator: {enabled: true}", "leave it out"),
        ("configVersions: 0", "spec.configVersions"),
        ("ports: [{name: a, port: 99999}]", "spec.ports[0].port"),
        ("dnsPolicy: Best", "spec.dnsPolicy"),
    ] {
        let error = space.apply(&collector(fields)).await.unwrap_err().to_string();
        assert!(error.contains(part), "{fields}: {error}");
    }
    let empty =
        "{apiVersion: tempo.grafana.com/v1alpha1, kind: Collector, metadata: {name: gateway}, spec: {}}";
    let error = space.apply(empty).await.unwrap_err().to_string();
    assert!(error.contains("unless spec.tempoRef"), "{error}");

    space.apply(&collector("")).await.unwrap();
    let error = space
        .apply(&collector("mode: daemonset"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("spec.mode is immutable"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_taken_by_the_api_server() {
    let Some(space) = Space::with_operator("full-collector").await else {
        return;
    };
    let fields = "
      autoscaler: {minReplicas: 2, maxReplicas: 5, targetCPUUtilization: 60, behavior: {scaleDown: {stabilizationWindowSeconds: 30}},
        metrics: [{type: Pods, pods: {metric: {name: spans}, target: {type: AverageValue, averageValue: '100'}}}]},
      upgradeStrategy: none, configVersions: 2, podAnnotations: {a: b}, args: {drain-timeout: '5'},
      env: [{name: A, value: b}], envFrom: [{secretRef: {name: keys, optional: true}}],
      lifecycle: {preStop: {exec: {command: [sleep, '1']}}},
      initContainers: [{name: first, image: 'busybox:1', resources: {limits: {memory: 64Mi}}}],
      additionalContainers: [{name: second, image: 'busybox:1', ports: [{containerPort: 99}]}],
      livenessProbe: {periodSeconds: 9}, readinessProbe: {timeoutSeconds: 2}, startupProbe: {failureThreshold: 9},
      hostAliases: [{ip: 10.0.0.1, hostnames: [db]}], shareProcessNamespace: true, dnsPolicy: None,
      podDnsConfig: {nameservers: [10.0.0.2], searches: [shop]},
      ports: [{name: traces, port: 80, targetPort: otlp-grpc, hostPort: 4317, protocol: TCP, appProtocol: grpc}],
      ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, trafficDistribution: PreferClose,
      sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}},
      deploymentUpdateStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}},
      ingress: {type: ingress, hostname: otlp.example.org, tls: [{hosts: [otlp.example.org], secretName: cert}]},
      networkPolicy: {enabled: true}, observability: {metrics: {enableMetrics: true}},
      podDisruptionBudget: {minAvailable: 1}, httpRoute: {enabled: true, gateway: public}";
    space.apply(&collector(fields)).await.unwrap();
    space.condition::<Collector>("gateway", "Pending").await;
    let not_built = space.condition::<Collector>("gateway", "NotBuilt").await;
    for path in ["spec.httpRoute", "spec.observability.metrics"] {
        assert!(not_built.message.contains(path), "{}", not_built.message);
    }
    let autoscaler: HorizontalPodAutoscaler = space.get("gateway-collector").await;
    assert_eq!(autoscaler.spec.scale_target_ref.kind, "Collector");
    let _: Ingress = space.get("gateway-ingress").await;
    let _: NetworkPolicy = space.get("gateway-collector-networkpolicy").await;
    let before = space.quiet().await;
    space
        .apply("{apiVersion: tempo.grafana.com/v1alpha1, kind: Collector, metadata: {name: gateway, annotations: {look: again}}}")
        .await
        .unwrap();
    assert_eq!(
        space.quiet().await,
        before,
        "the cluster's defaults are no difference"
    );

    // What the autoscaler does.
    let scale = json!({"spec": {"replicas": 4}});
    space
        .api::<Collector>()
        .patch_scale("gateway", &PatchParams::default(), &Patch::Merge(scale))
        .await
        .unwrap();
    space
        .wait::<Deployment>("gateway-collector", "scaled", |deployment| {
            deployment.spec.replicas == Some(4)
        })
        .await;
    space
        .wait::<Collector>("gateway", "its scale", |collector| {
            let status = collector.status.clone().unwrap_or_default();
            status.scale.status_replicas == "0/4" && status.scale.selector.contains("instance=gateway")
        })
        .await;

    space.apply(&collector("autoscaler: null")).await.unwrap();
    eventually("no autoscaler", || async {
        let left = space.names::<HorizontalPodAutoscaler>().await;
        if left.is_empty() {
            Ok(())
        } else {
            Err("still there")
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_configurations_stay_for_the_pods_that_mount_them() {
    let Some(space) = Space::with_operator("versions").await else {
        return;
    };
    let mut versions = Vec::new();
    for port in [5001, 5002, 5003] {
        let endpoint = format!("grpc: {{endpoint: '0.0.0.0:{port}'}}");
        let text = collector("configVersions: 1").replace("grpc: {}", &endpoint);
        space.apply(&text).await.unwrap();
        space
            .wait::<Service>("gateway-collector", "the new port", |service| {
                let ports = service.spec.as_ref().unwrap().ports.iter().flatten();
                ports.into_iter().any(|it| it.port == port)
            })
            .await;
        let known = versions.clone();
        let deployment = space
            .wait::<Deployment>("gateway-collector", "the new configuration", |deployment| {
                let volumes = deployment
                    .spec
                    .template
                    .spec
                    .as_ref()
                    .unwrap()
                    .volumes
                    .as_ref()
                    .unwrap();
                !known.contains(&volumes[0].config_map.as_ref().unwrap().name)
            })
            .await;
        assert!(deployment.uid().is_some());
        versions.push(mounted(&space).await);
        // Objects of one second have no order.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    eventually("the first configuration is gone, the second stays", || async {
        let names = space.names::<ConfigMap>().await;
        let is_there = |index: usize| names.contains(&versions[index]);
        if !is_there(0) && is_there(1) && is_there(2) {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    })
    .await;
}
