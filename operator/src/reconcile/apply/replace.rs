//! Objects whose fields cannot be changed in place: they are deleted, and made anew once they are gone.

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Preconditions, PropagationPolicy},
};
use tracing::info;

use super::{ApplyError, Object, kind, write_error};

/// Whether the API server refused a change because it cannot be made in place.
pub(super) fn is_needed(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let says_so = |text: &str| text.contains("immutable") || text.contains("updates to statefulset spec");
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 422
        && (says_so(&status.message) || causes.into_iter().any(|cause| says_so(&cause.message)))
}

/// Asks for an object to go, and waits for nothing. It is this very object, and not another one that has taken its
/// name meanwhile.
pub(super) async fn remove<K: Object>(api: &Api<K>, object: &K) -> Result<(), ApplyError> {
    let name = object.name_any();
    info!(
        kind = kind::<K>(),
        name, "deleting, to make it anew: fields changed that cannot be changed in place"
    );
    delete(api, object, propagation(&kind::<K>())).await
}

/// What becomes of what an object has made.
fn propagation(kind: &str) -> PropagationPolicy {
    match kind {
        // The new one takes over pods and volumes; nothing stops, and no volume can get lost.
        "StatefulSet" => PropagationPolicy::Orphan,
        // Its selector has changed: the new one would not know the old pods, which must not go on beside its own.
        "Deployment" | "DaemonSet" => PropagationPolicy::Foreground,
        _ => PropagationPolicy::Background,
    }
}

/// Deletes an object unless it is gone, or another one of its name is there.
pub(super) async fn delete<K: Object>(
    api: &Api<K>,
    object: &K,
    propagation: PropagationPolicy,
) -> Result<(), ApplyError> {
    let name = object.name_any();
    let parameters = DeleteParams {
        propagation_policy: Some(propagation),
        ..DeleteParams::default()
    }
    .preconditions(Preconditions {
        uid: object.uid(),
        resource_version: None,
    });
    match api.delete(&name, &parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(write_error::<K>("delete", &name)(error)),
    }
}
