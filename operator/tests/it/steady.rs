//! The steady state writes nothing, whatever a spec says out loud: the API server leaves `false`, `0` and empty texts
//! out of some fields, and keeps them in others.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::ServiceAccount,
};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tempo_operator::crd::{Collector, TempoMonolithic, TempoStack};

use crate::{
    cluster::Space,
    lifecycle::{SECRET, stack},
};

const POD: &str = "
    nodeSelector: {}
    tolerations: [{key: '', operator: Exists, value: '', effect: NoExecute, tolerationSeconds: 0}, {key: a, operator: '', value: '', effect: ''}]
    podSecurityContext: {runAsNonRoot: false, runAsUser: 0, fsGroup: 0, supplementalGroups: [], sysctls: []}
    resources: {limits: {}, requests: {cpu: '0', memory: 0}}
";

const COLLECTOR: &str = "
apiVersion: tempo.grafana.com/v1alpha1
kind: Collector
metadata: {name: edge}
spec:
  replicas: 0
  hostNetwork: false
  serviceAccount: ''
  env: [{name: EMPTY, value: ''}, {name: KEY, valueFrom: {secretKeyRef: {name: bucket, key: bucket, optional: false}}}]
  envFrom: [{prefix: '', secretRef: {name: bucket, optional: false}}]
  volumes:
    - {name: none, emptyDir: {medium: '', sizeLimit: 0}}
    - {name: keys, secret: {secretName: bucket, optional: false, items: [{key: bucket, path: b, mode: 0}]}}
  volumeMounts:
    - {name: none, mountPath: /none, readOnly: false, subPath: '', subPathExpr: ''}
    - {name: keys, mountPath: /keys, readOnly: false}
  resources: {limits: {cpu: 0}}
  securityContext: {privileged: false, allowPrivilegeEscalation: false, readOnlyRootFilesystem: false, runAsUser: 0}
  podSecurityContext: {runAsNonRoot: false, fsGroup: 0}
  tolerations: [{key: a, operator: '', value: '', effect: NoExecute, tolerationSeconds: 0}]
  affinity: {nodeAffinity: {}, podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
  config:
    receivers: {otlp: {protocols: {grpc: {}}}}
    exporters: {debug: {}}
    service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
";

const MONOLITHIC: &str = "
apiVersion: tempo.grafana.com/v1alpha1
kind: TempoMonolithic
metadata: {name: one}
spec:
  env: [{name: EMPTY, value: ''}]
  nodeSelector: {}
  tolerations: [{key: '', operator: Exists, value: '', effect: NoExecute, tolerationSeconds: 0}, {key: a, operator: '', value: '', effect: ''}]
  podSecurityContext: {runAsNonRoot: false, fsGroup: 0, supplementalGroups: []}
  resources: {requests: {cpu: '0'}}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_leaves_out_is_not_written_again_and_again() {
    let Some(mut space) = Space::with_operator("steady").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    let components = ["ingester", "querier", "compactor"].map(|name| format!("{name}: {{{}}}", inline(POD)));
    let outer =
        ["distributor", "queryFrontend"].map(|name| format!("{name}: {{component: {{{}}}}}", inline(POD)));
    let spec = format!(
        "env: [{{name: EMPTY, value: ''}}], envFrom: [{{prefix: '', configMapRef: {{name: tempo-shop, optional: false}}}}], \
         template: {{{}, {}}}",
        components.join(", "),
        outer.join(", ")
    );
    space.apply(&stack(&spec)).await.unwrap();
    space.apply(COLLECTOR).await.unwrap();
    space.apply(MONOLITHIC).await.unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
    space.condition::<TempoMonolithic>("one", "Pending").await;
    space
        .wait::<Collector>("edge", "reconciled", |collector| {
            collector
                .status
                .as_ref()
                .is_some_and(|status| status.observed_generation.is_some())
        })
        .await;
    space.wait::<Deployment>("edge-collector", "made", |_| true).await;
    space.wait::<StatefulSet>("tempo-one", "made", |_| true).await;
    let before = space.quiet().await;
    for kind in ["TempoStack", "TempoMonolithic", "Collector"] {
        let name = match kind {
            "TempoStack" => "shop",
            "TempoMonolithic" => "one",
            _ => "edge",
        };
        let look = format!(
            "{{apiVersion: tempo.grafana.com/v1alpha1, kind: {kind}, metadata: {{name: {name}, annotations: {{look: again}}}}}}"
        );
        space.apply(&look).await.unwrap();
    }
    assert_eq!(space.quiet().await, before);
    space.stop_operator().await;
    space.start_operator().await;
    let writes = space.quiet().await;
    assert!(writes.is_empty(), "a restart writes nothing: {writes:?}");
}

/// A block of YAML lines as the content of a flow mapping.
fn inline(block: &str) -> String {
    let lines: Vec<&str> = block
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_that_means_something_comes_back() {
    let Some(space) = Space::with_operator("false").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space.apply(&stack("")).await.unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
    space.quiet().await;
    let take_away = Patch::Merge(json!({"automountServiceAccountToken": null}));
    space
        .api::<ServiceAccount>()
        .patch("tempo-shop", &PatchParams::default(), &take_away)
        .await
        .unwrap();
    space
        .wait::<ServiceAccount>("tempo-shop", "without a token again", |account| {
            account.automount_service_account_token == Some(false)
        })
        .await;
}
