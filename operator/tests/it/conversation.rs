//! Reconciles against an API server that is played: what a real one does not do on demand.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use kube::{Client, client::Body, core::DeserializeGuard, runtime::controller::Action};
use serde_json::{Value, json};
use tempo_operator::{
    crd::TempoStack,
    environment::Environment,
    metrics::Metrics,
    reconcile::{self, Context, finalizer::FINALIZER},
    run::definitions,
};

/// What was asked, as `METHOD PATH`, and what it is answered with, in order; at the end of the answers, always 503.
#[derive(Clone, Default)]
struct Conversation {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
}

impl Conversation {
    fn with(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            ..Self::default()
        }
    }

    fn client(&self) -> Client {
        let conversation = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let asked = format!("{} {}", request.method(), request.uri().path());
            conversation.asked.lock().unwrap().push(asked);
            let answer = conversation.answers.lock().unwrap().pop_front();
            let (code, body) = answer.unwrap_or_else(|| (503, status(503, "busy")));
            let response = Response::builder()
                .status(code)
                .body(Body::from(body.to_string().into_bytes()));
            std::future::ready(Ok::<_, std::convert::Infallible>(response.unwrap()))
        });
        Client::new(service, "shop")
    }

    fn answer(&self, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": ""})
}

fn context(client: Client) -> Arc<Context> {
    let environment = Environment::from_variables(|_| None).unwrap();
    Arc::new(Context::new(
        client,
        environment,
        Metrics::new(),
        "operator".to_owned(),
    ))
}

fn guarded(resource: &Value) -> Arc<DeserializeGuard<TempoStack>> {
    Arc::new(serde_json::from_value(resource.clone()).unwrap())
}

fn stack() -> Value {
    json!({
        "apiVersion": "tempo.grafana.com/v1alpha1", "kind": "TempoStack",
        "metadata": {"name": "shop", "namespace": "shop", "uid": "1", "generation": 1},
        "spec": {"storage": {"secret": {"name": "bucket", "type": "s3"}}},
    })
}

#[tokio::test]
async fn a_resource_that_cannot_be_read_is_told_and_waits_for_a_change() {
    let conversation = Conversation::with([(201, json!({"metadata": {}}))]);
    let mut resource = stack();
    resource["spec"]["replicationFactor"] = json!("two");
    let action = reconcile::reconcile(guarded(&resource), context(conversation.client()))
        .await
        .unwrap();
    assert_eq!(action, Action::await_change());
    assert_eq!(
        conversation.asked(),
        ["POST /apis/events.k8s.io/v1/namespaces/shop/events"]
    );
}

#[tokio::test]
async fn an_unmanaged_resource_is_not_even_looked_at() {
    let conversation = Conversation::default();
    let mut resource = stack();
    resource["spec"]["managementState"] = json!("Unmanaged");
    let action = reconcile::reconcile(guarded(&resource), context(conversation.client()))
        .await
        .unwrap();
    assert_eq!(action, Action::await_change());
    assert_eq!(conversation.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn trouble_that_goes_on_is_reported_but_not_at_once() {
    let conversation = Conversation::default();
    let context = context(conversation.client());
    let resource = guarded(&stack());
    let secret = "GET /api/v1/namespaces/shop/secrets/bucket";
    let mut delays = Vec::new();
    for attempt in 1..=3 {
        let error = reconcile::reconcile(resource.clone(), context.clone())
            .await
            .unwrap_err();
        delays.push(reconcile::retry(resource.clone(), &error, context.clone()));
        let asked = conversation.asked();
        assert_eq!(asked[0], secret);
        let reads_status = asked.iter().any(|request| request.ends_with("/tempostacks/shop"));
        assert_eq!(reads_status, attempt == 3, "attempt {attempt}: {asked:?}");
    }
    let seconds = [1, 2, 4].map(|seconds| Action::requeue(std::time::Duration::from_secs(seconds)));
    assert_eq!(delays, seconds);
}

#[tokio::test]
async fn a_deleted_resource_that_cannot_be_let_go_is_tried_again() {
    let conversation = Conversation::default();
    let context = context(conversation.client());
    let mut resource = stack();
    resource["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    resource["metadata"]["finalizers"] = json!(["example.org/other", FINALIZER]);
    let resource = guarded(&resource);
    let claims = "GET /api/v1/namespaces/shop/persistentvolumeclaims";
    let mut delays = Vec::new();
    for _ in 0..4 {
        let error = reconcile::reconcile(resource.clone(), context.clone())
            .await
            .unwrap_err();
        delays.push(reconcile::retry(resource.clone(), &error, context.clone()));
        assert_eq!(
            conversation.asked(),
            [claims],
            "it has no status any longer to report it in"
        );
    }
    let seconds = [1, 2, 4, 8].map(|seconds| Action::requeue(std::time::Duration::from_secs(seconds)));
    assert_eq!(delays, seconds);
    let counted = "controller_runtime_reconcile_errors_total{controller=\"tempostack\"} 4";
    assert!(
        context.metrics.text().contains(counted),
        "{}",
        context.metrics.text()
    );

    let none = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": []});
    conversation.answer([(200, none), (200, stack())]);
    let action = reconcile::reconcile(resource.clone(), context.clone())
        .await
        .unwrap();
    assert_eq!(action, Action::await_change());
    let error = reconcile::reconcile(resource.clone(), context.clone())
        .await
        .unwrap_err();
    assert_eq!(
        reconcile::retry(resource, &error, context),
        Action::requeue(std::time::Duration::from_secs(1)),
        "the failures before are forgotten"
    );
}

#[tokio::test]
async fn a_refusal_is_reported_at_once() {
    let refusal = (403, status(403, "secrets is forbidden"));
    let no_pods = (
        200,
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}),
    );
    let current = (200, stack());
    let conversation = Conversation::with([
        refusal,
        no_pods,
        current.clone(),
        current,
        (201, json!({"metadata": {}})),
    ]);
    let error = reconcile::reconcile(guarded(&stack()), context(conversation.client()))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot read Secret \"bucket\""),
        "{error}"
    );
    assert_eq!(
        conversation.asked(),
        [
            "GET /api/v1/namespaces/shop/secrets/bucket",
            "GET /api/v1/namespaces/shop/pods",
            "GET /apis/tempo.grafana.com/v1alpha1/namespaces/shop/tempostacks/shop",
            "PATCH /apis/tempo.grafana.com/v1alpha1/namespaces/shop/tempostacks/shop/status",
            "POST /apis/events.k8s.io/v1/namespaces/shop/events",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn missing_definitions_are_waited_for_and_how_to_install_them_is_said() {
    let missing = || {
        (
            404,
            status(404, "the server could not find the requested resource"),
        )
    };
    let empty = || {
        (
            200,
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": []}),
        )
    };
    let conversation = Conversation::with([missing(), missing(), missing(), empty(), empty(), empty()]);
    let told = Mutex::new(Vec::new());
    definitions::wait(&conversation.client(), None, |obstacle| {
        told.lock().unwrap().push(obstacle.to_owned());
    })
    .await;
    let told = told.into_inner().unwrap();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("TempoStack") && told[0].contains("tempo-operator crds | kubectl apply"),
        "{told:?}"
    );
}
