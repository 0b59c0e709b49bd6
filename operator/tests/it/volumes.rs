//! What becomes of the volumes of custom resources.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
};
use kube::{ResourceExt, api::ListParams};
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
    space.apply(SECRET).await.unwrap();
    space.apply(&stack("")).await.unwrap();
    let pod = "tempo-shop-ingester-0";
    let old = space.wait::<Pod>(pod, "made", |_| true).await;
    space.condition::<TempoStack>("shop", "Pending").await;
    space.apply(&stack("").replace("200M", "1Gi")).await.unwrap();
    space
        .wait::<StatefulSet>("tempo-shop-ingester", "the new size", |set| {
            let claims = set.spec.volume_claim_templates.as_ref().unwrap();
            let requests = claims[0]
                .spec
                .as_ref()
                .unwrap()
                .resources
                .as_ref()
                .unwrap()
                .requests
                .as_ref()
                .unwrap();
            requests["storage"].0 == "1Gi"
        })
        .await;
    let pod: Pod = space.get(pod).await;
    assert_eq!(pod.uid(), old.uid());
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
