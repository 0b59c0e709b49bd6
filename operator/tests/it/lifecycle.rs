//! The life of custom resources in a cluster: what the operator does when something changes.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ConfigMap, Secret, Service},
    networking::v1::Ingress,
};
use kube::ResourceExt;
use tempo_operator::{
    crd::TempoStack,
    pod::{CONFIG_HASH, SECRETS_HASH},
    reconcile::finalizer::FINALIZER,
};

use crate::cluster::{Space, eventually};

pub(crate) const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: bucket}
stringData: {endpoint: 'http://minio:9000', bucket: tempo, access_key_id: tempo, access_key_secret: supersecret}
";

pub(crate) fn stack(spec: &str) -> String {
    format!(
        "{{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {{name: shop}}, \
         spec: {{storage: {{secret: {{name: bucket, type: s3}}}}, storageSize: 200M, {spec}}}}}"
    )
}

fn pod_annotation(deployment: &Deployment, name: &str) -> String {
    let metadata = deployment.spec.template.metadata.as_ref().unwrap();
    metadata.annotations.as_ref().unwrap()[name].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_up_and_is_reported() {
    let Some(space) = Space::with_operator("comes-up").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space
        .apply(&stack(
            "template: {metricsGenerator: {enabled: true, remoteWriteURLs: [http://prometheus]}}",
        ))
        .await
        .unwrap();
    let pending = space.condition::<TempoStack>("shop", "Pending").await;
    assert_eq!(pending.reason, "PendingComponents");
    assert!(pending.message.contains("ingester"), "{}", pending.message);
    let not_built = space.condition::<TempoStack>("shop", "NotBuilt").await;
    assert!(
        not_built.message.contains("spec.template.metricsGenerator"),
        "{}",
        not_built.message
    );

    let stack = space
        .wait::<TempoStack>("shop", "pods of all components", |stack| {
            let components = &stack.status.as_ref().unwrap().components;
            [
                &components.distributor,
                &components.ingester,
                &components.querier,
                &components.query_frontend,
                &components.compactor,
            ]
            .iter()
            .all(|pods| pods.contains_key("Pending"))
        })
        .await;
    let status = stack.status.clone().unwrap();
    assert_eq!(status.observed_generation, stack.metadata.generation);
    assert_eq!(status.tempo_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.operator_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(stack.finalizers(), [FINALIZER], "its volumes stay");
    assert!(space.event("PendingComponents").await.contains("ingester"));

    let (code, metrics) = space.ask("/metrics").await;
    assert_eq!(code, 200);
    let line = "tempostack_status_condition{stack_namespace=\"comes-up\",stack_name=\"shop\",condition=\"Pending\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert_eq!(space.ask("/readyz").await.0, 200);
    assert_eq!(space.ask("/healthz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_or_deleted_by_others_comes_back() {
    let Some(space) = Space::with_operator("comes-back").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space.apply(&stack("")).await.unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
    let old: Service = space.get("tempo-shop-distributor").await;
    space.delete::<Service>("tempo-shop-distributor").await;
    space
        .wait::<Service>("tempo-shop-distributor", "made again", |service| {
            service.uid() != old.uid()
        })
        .await;

    let name = "tempo-shop-querier";
    space
        .apply(&format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: 5}}}}"
        ))
        .await
        .unwrap();
    space
        .wait::<Deployment>(name, "its replicas again", |querier| {
            querier.spec.replicas == Some(1)
        })
        .await;

    // What others add is theirs.
    space.apply(&format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, annotations: {{owner: me}}}}}}")).await.unwrap();
    let before = space.quiet().await;
    let querier: Deployment = space.get(name).await;
    assert_eq!(querier.annotations()["owner"], "me");

    // An object that lost its labels is still the stack's own.
    space
        .apply("{apiVersion: v1, kind: Service, metadata: {name: tempo-shop-querier, labels: null}}")
        .await
        .unwrap();
    space
        .wait::<Service>("tempo-shop-querier", "its labels again", |service| {
            !service.labels().is_empty()
        })
        .await;
    assert_ne!(space.quiet().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_secret_rolls_the_pods_and_the_configuration() {
    let Some(space) = Space::with_operator("rolls").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space.apply(&stack("")).await.unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
    let name = "tempo-shop-distributor";
    let first: Deployment = space.get(name).await;

    space.apply("{apiVersion: v1, kind: Secret, metadata: {name: bucket}, stringData: {access_key_secret: other}}").await.unwrap();
    let second = space
        .wait::<Deployment>(name, "another hash of the secrets", |deployment| {
            pod_annotation(deployment, SECRETS_HASH) != pod_annotation(&first, SECRETS_HASH)
        })
        .await;
    assert_eq!(
        pod_annotation(&second, CONFIG_HASH),
        pod_annotation(&first, CONFIG_HASH)
    );

    space
        .apply("{apiVersion: v1, kind: Secret, metadata: {name: bucket}, stringData: {bucket: other}}")
        .await
        .unwrap();
    space
        .wait::<Deployment>(name, "another hash of the configuration", |deployment| {
            pod_annotation(deployment, CONFIG_HASH) != pod_annotation(&first, CONFIG_HASH)
        })
        .await;
    let config: ConfigMap = space.get("tempo-shop").await;
    assert!(config.data.unwrap()["tempo.yaml"].contains("bucket: other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_broken_secret_is_reported_and_then_picked_up() {
    let Some(space) = Space::with_operator("secret").await else {
        return;
    };
    space.apply(&stack("")).await.unwrap();
    let missing = space.condition::<TempoStack>("shop", "ConfigurationError").await;
    assert_eq!(missing.reason, "InvalidStorageConfig");
    assert!(
        missing.message.contains("Secret \"bucket\" not found"),
        "{}",
        missing.message
    );
    assert!(space.event("InvalidStorageConfig").await.contains("not found"));
    assert_eq!(space.names::<StatefulSet>().await, Vec::<String>::new());
    let writes = space.quiet().await;

    space
        .apply("{apiVersion: v1, kind: Secret, metadata: {name: bucket}, stringData: {bucket: tempo}}")
        .await
        .unwrap();
    let broken = eventually("another message", || async {
        let condition = space.condition::<TempoStack>("shop", "ConfigurationError").await;
        if condition.message == missing.message {
            Err("the old one")
        } else {
            Ok(condition)
        }
    })
    .await;
    assert!(broken.message.contains("endpoint"), "{}", broken.message);
    assert_eq!(broken.last_transition_time, missing.last_transition_time);
    assert_ne!(space.quiet().await, writes);

    space.apply(SECRET).await.unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_resource_is_refused_or_reported() {
    let Some(space) = Space::with_operator("invalid").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    let refused = |text: String, part: &'static str| {
        let space = &space;
        async move {
            let error = space.apply(&text).await.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    };
    refused(stack("size: 2x.huge"), "spec.size").await;
    refused(
        stack("template: {gateway: {enabled: true}}"),
        "please configure tenants",
    )
    .await;
    refused(
        stack("").replace("secret:", "minio: {}, secret:"),
        "exactly one of storage.secret and storage.minio",
    )
    .await;
    space
        .apply(&stack(
            "replicationFactor: 3, template: {ingester: {replicas: 1}}",
        ))
        .await
        .unwrap();
    let reported = space.condition::<TempoStack>("shop", "ConfigurationError").await;
    assert_eq!(reported.reason, "InvalidConfiguration");
    assert!(reported.message.contains("quorum"), "{}", reported.message);
    space
        .apply(&stack(
            "replicationFactor: 3, template: {ingester: {replicas: 3}}",
        ))
        .await
        .unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_mind_prunes() {
    let Some(space) = Space::with_operator("prunes").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    // Not the operator's, in spite of its labels.
    space
        .apply(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: mine, labels: {app.kubernetes.io/name: tempo, \
             app.kubernetes.io/instance: shop, app.kubernetes.io/managed-by: tempo-operator}}}",
        )
        .await
        .unwrap();
    space
        .apply(&stack(
            "template: {queryFrontend: {jaegerQuery: {enabled: true, ingress: {type: ingress}}}}",
        ))
        .await
        .unwrap();
    space
        .wait::<Ingress>("tempo-shop-query-frontend", "made", |_| true)
        .await;
    space
        .apply(&stack(
            "template: {queryFrontend: {jaegerQuery: {enabled: false, ingress: {type: none}}}}",
        ))
        .await
        .unwrap();
    eventually("no Ingress", || async {
        let left = space.names::<Ingress>().await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    })
    .await;
    let front: Service = space.get("tempo-shop-query-frontend").await;
    let ports: Vec<_> = front
        .spec
        .unwrap()
        .ports
        .unwrap()
        .into_iter()
        .map(|port| port.name.unwrap())
        .collect();
    assert_eq!(ports, ["http", "grpc"]);
    assert!(space.names::<ConfigMap>().await.contains(&"mine".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_left_alone() {
    let Some(space) = Space::with_operator("foreign").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: tempo-shop}, data: {mine: 'yes'}}")
        .await
        .unwrap();
    space.apply(&stack("")).await.unwrap();
    let failed = space.condition::<TempoStack>("shop", "Failed").await;
    assert!(
        failed.message.contains("ConfigMap \"tempo-shop\" exists"),
        "{}",
        failed.message
    );
    let config: ConfigMap = space.get("tempo-shop").await;
    assert_eq!(config.data.unwrap().len(), 1);
    space.delete::<ConfigMap>("tempo-shop").await;
    space.condition::<TempoStack>("shop", "Pending").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_controller_has_is_never_touched() {
    let Some(space) = Space::with_operator("controlled").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: other}}")
        .await
        .unwrap();
    let other: ConfigMap = space.get("other").await;
    // With every label of the stack's own objects: one under a name that the stack wants, one under a name of its own.
    for name in ["tempo-shop-querier", "tempo-shop-leftover"] {
        let service = serde_json::json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": name,
                "labels": {
                    "app.kubernetes.io/name": "tempo", "app.kubernetes.io/instance": "shop",
                    "app.kubernetes.io/managed-by": "tempo-operator", "app.kubernetes.io/component": "querier",
                },
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": other.uid(), "controller": true,
                }],
            },
            "spec": {"ports": [{"port": 1}]},
        });
        space.apply(&service.to_string()).await.unwrap();
    }
    let versions = || async {
        let services = space.api::<Service>();
        let mut versions = Vec::new();
        for name in ["tempo-shop-querier", "tempo-shop-leftover"] {
            versions.push(services.get(name).await.unwrap().resource_version());
        }
        versions
    };
    let before = versions().await;
    space.apply(&stack("")).await.unwrap();
    let failed = space.condition::<TempoStack>("shop", "Failed").await;
    assert_eq!(failed.reason, "FailedReconciliation");
    for part in [
        "Service \"tempo-shop-querier\" exists",
        "belongs to ConfigMap \"other\"",
        "delete or rename it",
    ] {
        assert!(failed.message.contains(part), "{}", failed.message);
    }
    assert!(
        space
            .event("FailedReconciliation")
            .await
            .contains("ConfigMap \"other\"")
    );
    assert_eq!(versions().await, before);

    space.delete::<Service>("tempo-shop-querier").await;
    space.condition::<TempoStack>("shop", "Pending").await;
    space.quiet().await;
    assert_eq!(versions().await[1], before[1], "nor is it pruned");
    let querier: Service = space.get("tempo-shop-querier").await;
    assert_eq!(querier.owner_references()[0].kind, "TempoStack");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_minio_keeps_its_password() {
    let Some(mut space) = Space::with_operator("minio").await else {
        return;
    };
    let text = "{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {name: shop}, \
                spec: {storage: {minio: {storageSize: 1Gi}}}}";
    space.apply(text).await.unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
    let secret: Secret = space.get("tempo-shop-minio").await;
    assert_eq!(secret.data.as_ref().unwrap()["rootPassword"].0.len(), 32);
    assert_eq!(space.names::<Job>().await.len(), 1);
    let before = space.quiet().await;
    space.apply("{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {name: shop, annotations: {look: again}}}").await.unwrap();
    assert_eq!(space.quiet().await, before);

    space.stop_operator().await;
    space.start_operator().await;
    let writes = space.quiet().await;
    assert!(writes.is_empty(), "a restart writes nothing: {writes:?}");
    let again: Secret = space.get("tempo-shop-minio").await;
    assert_eq!(again.data, secret.data);
}
