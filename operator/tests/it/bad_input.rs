//! Resources and Secrets that cannot be used: each is said in a condition, with what to change, and nothing is deployed.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::ServiceAccount,
};
use kube::api::PostParams;
use tempo_operator::crd::{Collector, TempoMonolithic, TempoStack};

use crate::{cluster::Space, lifecycle::SECRET};

const SECRETS: &str = "
{apiVersion: v1, kind: Secret, metadata: {name: empty}, stringData: {endpoint: 'http://minio', bucket: ' ', access_key_id: a, access_key_secret: b}}
---
{apiVersion: v1, kind: Secret, metadata: {name: no-scheme}, stringData: {endpoint: 'minio:9000', bucket: b, access_key_id: a, access_key_secret: b}}
---
{apiVersion: v1, kind: Secret, metadata: {name: mixed}, stringData: {endpoint: 'http://minio', role_arn: a, bucket: b}}
---
{apiVersion: v1, kind: Secret, metadata: {name: binary}, data: {bucket: /w==}, stringData: {endpoint: 'http://minio', access_key_id: a, access_key_secret: b}}
---
{apiVersion: v1, kind: Secret, metadata: {name: broken-key}, stringData: {bucketname: b, key.json: '{'}}
---
{apiVersion: v1, kind: Secret, metadata: {name: half-root}, stringData: {rootUser: me}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: no-ca}, data: {other: ''}}
";

/// Name of the stack, its storage, the rest of its spec, and what its condition says: the reason and parts of the message.
const STACKS: &[(&str, &str, &str, &str, &[&str])] = &[
    (
        "s-empty",
        "secret: {name: empty, type: s3}",
        "",
        "InvalidStorageConfig",
        &["\"bucket\" field"],
    ),
    (
        "s-scheme",
        "secret: {name: no-scheme, type: s3}",
        "",
        "InvalidStorageConfig",
        &["\"endpoint\"", "valid URL"],
    ),
    (
        "s-mixed",
        "secret: {name: mixed, type: s3}",
        "",
        "InvalidStorageConfig",
        &["long lived and short lived"],
    ),
    (
        "s-binary",
        "secret: {name: binary, type: s3}",
        "",
        "InvalidStorageConfig",
        &["\"bucket\"", "UTF-8"],
    ),
    (
        "s-kind",
        "secret: {name: bucket, type: azure}",
        "",
        "InvalidStorageConfig",
        &["\"container\" field"],
    ),
    (
        "s-key",
        "secret: {name: broken-key, type: gcs}",
        "",
        "InvalidStorageConfig",
        &["JSON"],
    ),
    (
        "s-ca",
        "secret: {name: bucket, type: s3}, tls: {enabled: true, caName: no-ca}",
        "",
        "InvalidStorageConfig",
        &["spec.storage", "ca.crt"],
    ),
    (
        "s-root",
        "minio: {rootSecret: half-root}",
        "",
        "InvalidStorageConfig",
        &["spec.storage.minio.rootSecret", "rootPassword"],
    ),
    (
        "s-account",
        "secret: {name: bucket, type: s3}",
        "serviceAccount: ghost",
        "InvalidConfiguration",
        &["spec.serviceAccount", "\"ghost\" not found"],
    ),
    (
        "s-timeout",
        "secret: {name: bucket, type: s3}",
        "timeout: soon",
        "InvalidConfiguration",
        &["spec.timeout", "soon"],
    ),
    (
        "s-limit",
        "secret: {name: bucket, type: s3}",
        "limits: {global: {ingestion: {maxBytesPerTrace: -1}}}",
        "InvalidConfiguration",
        &["spec.limits.global", "negative"],
    ),
    (
        "s-extra",
        "secret: {name: bucket, type: s3}",
        "extraConfig: {tempo: {server: {http_listen_port: many}}}",
        "InvalidConfiguration",
        &["spec.extraConfig", "http_listen_port"],
    ),
    (
        "s-cert",
        "secret: {name: bucket, type: s3}",
        "template: {distributor: {tls: {enabled: true, certName: ghost}}}",
        "InvalidConfiguration",
        &["spec.template.distributor.tls", "ghost"],
    ),
    (
        "s-a-name-that-is-longer-than-any-service-can-have",
        "secret: {name: bucket, type: s3}",
        "",
        "InvalidConfiguration",
        &["metadata.name", "too long", "63 are allowed"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_said_and_deploys_nothing() {
    let Some(space) = Space::with_operator("bad-input").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space.apply(SECRETS).await.unwrap();
    for (name, storage, spec, _, _) in STACKS {
        let stack = format!(
            "{{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {{name: {name}}}, \
             spec: {{storage: {{{storage}}}, {spec}}}}}"
        );
        space
            .apply(&stack)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (name, _, _, reason, parts) in STACKS {
        let condition = space.condition::<TempoStack>(name, "ConfigurationError").await;
        assert_eq!(condition.reason, *reason, "{name}: {}", condition.message);
        for part in *parts {
            assert!(
                condition.message.contains(part),
                "{name}: {part:?} is not in {:?}",
                condition.message
            );
        }
    }
    assert_eq!(space.names::<StatefulSet>().await, Vec::<String>::new());
    assert_eq!(space.names::<Deployment>().await, Vec::<String>::new());
    let writes = space.quiet().await;
    assert_eq!(space.quiet().await, writes, "it waits for a change");

    // What was missing comes: the stack goes on without being touched.
    let account = ServiceAccount {
        metadata: kube::core::ObjectMeta {
            name: Some("ghost".to_owned()),
            ..kube::core::ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    space
        .api::<ServiceAccount>()
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    space.condition::<TempoStack>("s-account", "Pending").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_contradict_each_other_are_said() {
    let Some(space) = Space::with_operator("bad-pairs").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space
        .apply("{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoMonolithic, metadata: {name: twin}, spec: {}}")
        .await
        .unwrap();
    space.condition::<TempoMonolithic>("twin", "Pending").await;
    space
        .apply(
            "{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {name: twin}, \
             spec: {storage: {secret: {name: bucket, type: s3}}}}",
        )
        .await
        .unwrap();
    let second = space.condition::<TempoStack>("twin", "ConfigurationError").await;
    assert!(second.message.contains("already exists"), "{}", second.message);
    space
        .apply(
            "{apiVersion: tempo.grafana.com/v1alpha1, kind: Collector, metadata: {name: edge}, spec: {config: {receivers: \
             {otlp: {protocols: {grpc: {}}}}, service: {pipelines: {traces: {receivers: [otlp], exporters: [ghost]}}}}}}",
        )
        .await
        .unwrap();
    let unknown = space.condition::<Collector>("edge", "ConfigurationError").await;
    assert!(unknown.message.contains("ghost"), "{}", unknown.message);
    assert_eq!(space.names::<Deployment>().await, Vec::<String>::new());
}
