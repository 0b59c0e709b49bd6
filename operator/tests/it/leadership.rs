//! Several instances of the operator: only one of them reconciles.

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::{Patch, PatchParams};
use tempo_operator::run::{Options, lease::LEASE};

use crate::cluster::{Space, eventually, manifest};

async fn allow_leases(space: &Space) {
    let mut role: Role = manifest("leader_election_role.yaml");
    role.metadata.namespace = Some(space.namespace.clone());
    let name = role.metadata.name.clone().unwrap();
    let parameters = PatchParams::apply("test");
    space
        .api::<Role>()
        .patch(&name, &parameters, &Patch::Apply(&role))
        .await
        .unwrap();
    let binding = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}],
    });
    space
        .api::<RoleBinding>()
        .patch(&name, &parameters, &Patch::Apply(&binding))
        .await
        .unwrap();
}

fn options(space: &Space, pod_name: &str) -> Options {
    Options {
        leader_election: true,
        leader_election_namespace: Some(space.namespace.clone()),
        pod_name: pod_name.to_owned(),
        ..space.options()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_instance_takes_over_when_the_first_one_stops() {
    let Some(space) = Space::new("leadership").await else {
        return;
    };
    allow_leases(&space).await;
    let leads = |metrics: &str| metrics.contains("leader_election_master_status 1");
    let first = space.launch(options(&space, "first")).await;
    eventually("the first leads", || async {
        if leads(&first.ask("/metrics").await.1) {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    let second = space.launch(options(&space, "second")).await;
    eventually("the second is ready", || async {
        if second.ask("/readyz").await.0 == 200 {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    assert!(!leads(&second.ask("/metrics").await.1), "one of them leads");

    first.stop().await;
    eventually("the second leads", || async {
        if leads(&second.ask("/metrics").await.1) {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    let lease: Lease = space.get(LEASE).await;
    let spec = lease.spec.unwrap();
    assert!(spec.holder_identity.unwrap().starts_with("second_"));
    assert_eq!(spec.lease_transitions, Some(1));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_ends() {
    let Some(space) = Space::new("lost-lease").await else {
        return;
    };
    allow_leases(&space).await;
    let operator = space.launch(options(&space, "first")).await;
    space
        .wait::<Lease>(LEASE, "held", |lease| lease.spec.is_some())
        .await;
    let stolen = serde_json::json!({"spec": {
        "holderIdentity": "thief", "renewTime": MicroTime(jiff::Timestamp::now()),
    }});
    space
        .api::<Lease>()
        .patch(LEASE, &PatchParams::default(), &Patch::Merge(stolen))
        .await
        .unwrap();
    let error = operator.end().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("taken over by \"thief\""), "{cause}");
}
