//! What becomes of the volumes of custom resources.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    events::v1::Event,
    policy::v1::PodDisruptionBudget,
    storage::v1::StorageClass,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tempo_operator::crd::TempoStack;

use crate::{
    cluster::{Space, eventually},
    lifecycle::{SECRET, stack},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stack_leaves_its_volumes_and_says_so() {
    let Some(space) = Space::with_operator("deleted").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    space.apply(&stack("")).await.unwrap();
    let claim = "data-tempo-shop-ingester-0";
    space.wait::<PersistentVolumeClaim>(claim, "made", |_| true).await;
    space.delete::<TempoStack>("shop").await;
    let note = space.event("VolumesStay").await;
    assert!(note.contains(claim), "{note}");
    eventually("nothing left", || async {
        let mut left = space.names::<Deployment>().await;
        left.extend(space.names::<StatefulSet>().await);
        left.extend(space.names::<Service>().await);
        left.extend(space.names::<PodDisruptionBudget>().await);
        left.extend(space.names::<TempoStack>().await);
        let others = ["default", "kube-root-ca.crt"];
        let accounts = space.names::<ServiceAccount>().await;
        let config_maps = space.names::<ConfigMap>().await;
        left.extend(
            accounts
                .into_iter()
                .chain(config_maps)
                .filter(|name| !others.contains(&name.as_str())),
        );
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    })
    .await;
    assert_eq!(space.names::<PersistentVolumeClaim>().await, [claim]);
    assert_eq!(space.names::<Secret>().await, ["bucket"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_volume_replaces_the_stateful_set_but_not_its_pods() {
    let Some(space) = Space::with_operator("resized").await else {
        return;
    };
    let name = "tempo-shop-ingester";
    space.apply(SECRET).await.unwrap();
    space.apply(&stack("")).await.unwrap();
    let pod = "tempo-shop-ingester-0";
    let old = space.wait::<Pod>(pod, "made", |_| true).await;
    space.condition::<TempoStack>("shop", "Pending").await;
    // Somebody who keeps the old one from going at once.
    let hold = |finalizers: serde_json::Value| {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        let sets = space.api::<StatefulSet>();
        async move { sets.patch(name, &PatchParams::default(), &patch).await.unwrap() }
    };
    let before = hold(json!(["example.org/hold"])).await;
    space.apply(&stack("").replace("200M", "1Gi")).await.unwrap();
    let waits = eventually("told that the old one must go", || async {
        let condition = space.condition::<TempoStack>("shop", "Pending").await;
        match condition.reason.as_str() {
            "ReplacingObjects" => Ok(condition),
            other => Err(other.to_owned()),
        }
    })
    .await;
    assert!(
        waits.message.contains("StatefulSet \"tempo-shop-ingester\""),
        "{}",
        waits.message
    );
    let writes = space.quiet().await;
    let going: StatefulSet = space.get(name).await;
    assert_eq!(going.uid(), before.uid());
    assert!(going.metadata.deletion_timestamp.is_some());
    hold(json!(null)).await;
    let set = space
        .wait::<StatefulSet>(name, "another one", |set| set.uid() != before.uid())
        .await;
    let claims = set.spec.volume_claim_templates.unwrap();
    assert_eq!(requested(&claims[0]), "1Gi");
    eventually("the ordinary state", || async {
        let condition = space.condition::<TempoStack>("shop", "Pending").await;
        match condition.reason.as_str() {
            "PendingComponents" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    assert_ne!(space.quiet().await, writes);
    let pod: Pod = space.get(pod).await;
    assert_eq!(pod.uid(), old.uid());
    let events = space.api::<Event>().list(&ListParams::default()).await.unwrap();
    let warnings: Vec<_> = events
        .iter()
        .filter(|event| {
            event
                .regarding
                .as_ref()
                .is_some_and(|it| it.kind.as_deref() == Some("TempoStack"))
        })
        .filter(|event| event.type_.as_deref() == Some("Warning"))
        .collect();
    assert!(
        warnings.is_empty(),
        "it was never said to have failed: {warnings:?}"
    );
}

fn requested(claim: &PersistentVolumeClaim) -> &str {
    let resources = claim.spec.as_ref().unwrap().resources.as_ref().unwrap();
    &resources.requests.as_ref().unwrap()["storage"].0
}

/// A storage class with one volume in it, for the first claim that comes.
async fn storage_class(space: &Space, name: &str, grows: bool) {
    let class: StorageClass = serde_json::from_value(json!({
        "metadata": {"name": name}, "provisioner": "example.org/none", "allowVolumeExpansion": grows,
    }))
    .unwrap();
    let volume: PersistentVolume = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "storageClassName": name, "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/none"},
        },
    }))
    .unwrap();
    let parameters = PostParams::default();
    Api::all(space.client.clone())
        .create(&parameters, &class)
        .await
        .unwrap();
    Api::all(space.client.clone())
        .create(&parameters, &volume)
        .await
        .unwrap();
}

/// A stack whose ingester has a bound claim of a class.
async fn stack_with_class(space: &Space, class: &str) {
    space.apply(SECRET).await.unwrap();
    space
        .apply(&stack(&format!("storageClassName: {class}")))
        .await
        .unwrap();
    space
        .wait::<PersistentVolumeClaim>("data-tempo-shop-ingester-0", "bound", |claim| {
            claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
        })
        .await;
    space.condition::<TempoStack>("shop", "Pending").await;
    space.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_grows_where_its_class_allows_it() {
    let Some(space) = Space::with_operator("grows").await else {
        return;
    };
    storage_class(&space, "grows", true).await;
    stack_with_class(&space, "grows").await;
    let larger = stack("storageClassName: grows").replace("200M", "1Gi");
    space.apply(&larger).await.unwrap();
    let claim = "data-tempo-shop-ingester-0";
    space
        .wait::<PersistentVolumeClaim>(claim, "larger", |claim| requested(claim) == "1Gi")
        .await;
    space
        .wait::<StatefulSet>("tempo-shop-ingester", "larger for new pods too", |set| {
            requested(&set.spec.volume_claim_templates.as_ref().unwrap()[0]) == "1Gi"
        })
        .await;
    let writes = space.quiet().await;
    let patches = writes.get("PATCH persistentvolumeclaims");
    assert_eq!(patches, Some(&1), "{writes:?}");

    space.apply(&larger.replace("1Gi", "300M")).await.unwrap();
    let kept = space.condition::<TempoStack>("shop", "VolumeKeepsSize").await;
    for part in [claim, "stays at 1Gi instead of 300M", "cannot shrink"] {
        assert!(kept.message.contains(part), "{}", kept.message);
    }
    let writes = space.quiet().await;
    space.apply("{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {name: shop, annotations: {look: again}}}").await.unwrap();
    assert_eq!(space.quiet().await, writes, "what cannot be is not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_claim_does_not_grow_is_told() {
    let Some(space) = Space::with_operator("grows-not").await else {
        return;
    };
    storage_class(&space, "fixed", false).await;
    stack_with_class(&space, "fixed").await;
    let larger = stack("storageClassName: fixed").replace("200M", "1Gi");
    space.apply(&larger).await.unwrap();
    let kept = space.condition::<TempoStack>("shop", "VolumeKeepsSize").await;
    for part in [
        "data-tempo-shop-ingester-0",
        "stays at 200M",
        "\"fixed\"",
        "allowVolumeExpansion",
    ] {
        assert!(kept.message.contains(part), "{}", kept.message);
    }
    let claim: PersistentVolumeClaim = space.get("data-tempo-shop-ingester-0").await;
    assert_eq!(requested(&claim), "200M");
    let writes = space.quiet().await;
    assert!(!writes.contains_key("PATCH persistentvolumeclaims"), "{writes:?}");

    // The old size again: nothing is left to tell.
    space.apply(&larger.replace("1Gi", "200M")).await.unwrap();
    space
        .wait::<TempoStack>("shop", "no condition about its volume", |stack| {
            let conditions = &stack.status.as_ref().unwrap().conditions;
            conditions
                .iter()
                .all(|condition| condition.type_ != "VolumeKeepsSize")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_go_too_when_the_policy_says_so() {
    let Some(space) = Space::with_operator("volumes-go").await else {
        return;
    };
    space.apply(SECRET).await.unwrap();
    let policy = "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}";
    space.apply(&stack(policy)).await.unwrap();
    let claim = "data-tempo-shop-ingester-0";
    space
        .wait::<PersistentVolumeClaim>(claim, "owned by its StatefulSet", |claim| {
            !claim.owner_references().is_empty()
        })
        .await;
    let stack: TempoStack = space.get("shop").await;
    assert_eq!(stack.finalizers(), Vec::<String>::new());
    space.delete::<TempoStack>("shop").await;
    eventually("no volume", || async {
        let left: Vec<PersistentVolumeClaim> = space.api().list(&ListParams::default()).await.unwrap().items;
        // Without nodes nothing takes the protection of volumes away; being deleted must do.
        if left
            .iter()
            .all(|claim| claim.metadata.deletion_timestamp.is_some())
        {
            Ok(())
        } else {
            Err("still there")
        }
    })
    .await;
}
