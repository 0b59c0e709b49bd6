//! One controller for each kind: which changes in the cluster make it look at a resource again.
//!
//! Everything but the custom resources themselves is watched by its metadata alone.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Client, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        Controller,
        controller::{self, Error},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{api, states::States};
use crate::{
    crd::{TempoMonolithic, TempoStack, collector::TempoKind},
    kubernetes::labels::{self, INSTANCE},
    reconcile::{self, Context, report::Reconciled},
    references::References,
};

/// Resources of one kind that are reconciled at the same time.
const CONCURRENCY: u16 = 8;
/// For how long changes that come close upon each other are gathered.
const DEBOUNCE: Duration = Duration::from_millis(300);

type Guarded<K> = DeserializeGuard<K>;

/// Reconciles all resources of a kind until it is told to stop, and then ends what it has begun.
pub async fn run<K: Reconciled>(
    client: &Client,
    namespace: Option<&str>,
    context: Arc<Context>,
    stop: &CancellationToken,
) {
    let config = controller::Config::default()
        .concurrency(CONCURRENCY)
        .debounce(DEBOUNCE);
    let controller =
        Controller::new(api::<Guarded<K>>(client, namespace), watcher::Config::default()).with_config(config);
    let store = controller.store();
    context.metrics.add(Box::new(States::<K>::new(store.clone())));
    let controller = watch_owned(controller, client, namespace);
    let failing = context.clone();
    let work = watch_referenced(controller, client, namespace)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile::reconcile::<K>, reconcile::retry::<K>, context)
        .for_each(|result| async {
            match result {
                // Reported where they happened, or gone before it was their turn.
                Ok(_) | Err(Error::ReconcilerFailed(..)) => {}
                Err(Error::ObjectNotFound(object)) => {
                    debug!(%object, "resource is gone");
                    failing.forget(&K::kind(&()), object.namespace.as_deref(), &object.name);
                }
                Err(error) => warn!(kind = %K::kind(&()), %error, "cannot watch"),
            }
        });
    tokio::select! {
        () = work => {}
        () = told_to_stop_before_start(&store, stop) => {}
    }
}

/// A controller that is told to stop before it knows all resources would wait for them forever.
async fn told_to_stop_before_start<K: Reconciled>(store: &Store<Guarded<K>>, stop: &CancellationToken) {
    tokio::select! {
        _ = store.wait_until_ready() => std::future::pending().await,
        () = stop.cancelled() => {}
    }
}

/// Watches the objects that the operator makes, by their labels.
fn watch_owned<K: Reconciled>(
    controller: Controller<Guarded<K>>,
    client: &Client,
    namespace: Option<&str>,
) -> Controller<Guarded<K>> {
    let selector = labels::selector(&labels::of_all(K::APPLICATION));
    let own = watcher::Config::default().labels(&selector);
    controller
        .owns(api::<ServiceAccount>(client, namespace), own.clone())
        .owns(api::<Secret>(client, namespace), own.clone())
        .owns(api::<ConfigMap>(client, namespace), own.clone())
        .owns(api::<Service>(client, namespace), own.clone())
        .owns(api::<NetworkPolicy>(client, namespace), own.clone())
        .owns(api::<Ingress>(client, namespace), own.clone())
        .owns(api::<PodDisruptionBudget>(client, namespace), own.clone())
        .owns(api::<StatefulSet>(client, namespace), own.clone())
        .owns(api::<Deployment>(client, namespace), own.clone())
        .owns(api::<DaemonSet>(client, namespace), own.clone())
        .owns(api::<Job>(client, namespace), own.clone())
        .owns(api::<HorizontalPodAutoscaler>(client, namespace), own.clone())
        .watches(api::<PartialObjectMeta<Pod>>(client, namespace), own, |pod| {
            instance(&pod)
        })
}

/// Watches what resources may point to.
fn watch_referenced<K: Reconciled>(
    controller: Controller<Guarded<K>>,
    client: &Client,
    namespace: Option<&str>,
) -> Controller<Guarded<K>> {
    let any = watcher::Config::default;
    let store = controller.store();
    let stores = std::array::from_fn::<_, 5, _>(|_| store.clone());
    let [secrets, config_maps, accounts, stacks, monolithics] = stores;
    controller
        .watches(
            api::<PartialObjectMeta<Secret>>(client, namespace),
            any(),
            move |secret| {
                referrers(&secrets, &secret, |references, name| {
                    references.secrets.contains(name)
                })
            },
        )
        .watches(
            api::<PartialObjectMeta<ConfigMap>>(client, namespace),
            any(),
            move |config_map| {
                referrers(&config_maps, &config_map, |references, name| {
                    references.config_maps.contains(name)
                })
            },
        )
        .watches(
            api::<PartialObjectMeta<ServiceAccount>>(client, namespace),
            any(),
            move |account| {
                referrers(&accounts, &account, |references, name| {
                    references.service_accounts.contains(name)
                })
            },
        )
        .watches(
            api::<PartialObjectMeta<TempoStack>>(client, namespace),
            any(),
            move |stack| {
                referrers(&stacks, &stack, |references, name| {
                    references
                        .stacks
                        .contains(&(TempoKind::TempoStack, name.to_owned()))
                })
            },
        )
        .watches(
            api::<PartialObjectMeta<TempoMonolithic>>(client, namespace),
            any(),
            move |monolithic| {
                referrers(&monolithics, &monolithic, |references, name| {
                    references
                        .stacks
                        .contains(&(TempoKind::TempoMonolithic, name.to_owned()))
                })
            },
        )
}

/// The resource that a pod belongs to, by its label.
fn instance<K: Reconciled>(pod: &PartialObjectMeta<Pod>) -> Option<ObjectRef<Guarded<K>>> {
    let instance = pod.labels().get(INSTANCE)?;
    Some(ObjectRef::new(instance).within(&pod.namespace()?))
}

/// The resources in an object's namespace that point to it.
fn referrers<K: Reconciled>(
    store: &Store<Guarded<K>>,
    object: &impl ResourceExt,
    points_to: impl Fn(&References, &str) -> bool,
) -> Vec<ObjectRef<Guarded<K>>> {
    let (name, namespace) = (object.name_any(), object.namespace());
    store
        .state()
        .iter()
        .filter(|resource| resource.namespace() == namespace)
        .filter_map(|resource| resource.0.as_ref().ok())
        .filter(|resource| points_to(&resource.references(), &name))
        .map(|resource| ObjectRef::new(&resource.name_any()).within(&namespace.clone().unwrap_or_default()))
        .collect()
}
