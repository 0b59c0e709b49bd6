//! One process a role, joined by gossip.

use tempo_core::load::engine::{Engine, Ports};
use tempo_core::load::shop::Shop;

use crate::support::{binary, client, search, spans_of, traces};

const ROLES: [&str; 5] = [
    "ingester",
    "querier",
    "query-frontend",
    "distributor",
    "compactor",
];

#[tokio::test]
async fn processes_of_single_roles_answer_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let ports: Vec<Ports> = ROLES.iter().map(|_| Ports::free().unwrap()).collect();
    let seed = format!("-memberlist.cluster_label=test-{}", ports[0].gossip);
    let mut engines = Vec::new();
    for (role, own) in ROLES.iter().zip(&ports) {
        let configuration = Engine::configuration(folder.path(), *own).replace(
            "memberlist: {",
            &format!(
                "memberlist: {{gossip_interval: 50ms, join_members: ['127.0.0.1:{}'], ",
                ports[0].gossip
            ),
        );
        let target = format!("-target={role}");
        let arguments = [target.as_str(), seed.as_str()];
        engines.push(
            Engine::spawn(binary(), &arguments, folder.path(), &configuration, *own)
                .await
                .unwrap(),
        );
    }
    for engine in &mut engines {
        engine.wait_until_ready().await.unwrap();
    }
    let [ingester, querier, frontend, distributor, compactor] = &mut engines[..] else {
        panic!("five roles");
    };
    let (request, ids) = traces(&mut Shop::new(4), 25);
    client(distributor).await.export(request).await.unwrap();
    for flushed in [false, true] {
        if flushed {
            assert_eq!(
                ingester.get("/flush", &[]).await.unwrap().0,
                204,
                "{}",
                ingester.log()
            );
            assert_eq!(distributor.get("/flush", &[]).await.unwrap().0, 404);
        }
        assert_eq!(
            search(frontend, "{}").await,
            ids.iter().cloned().collect(),
            "flushed: {flushed}"
        );
        assert!(spans_of(frontend, &ids[0]).await > 0);
    }
    let (_, members) = querier.get("/memberlist", &[]).await.unwrap();
    assert!(
        ROLES.iter().all(|role| members.contains(&format!("| {role} "))),
        "{members}"
    );
    let (_, metrics) = querier.get("/metrics", &[]).await.unwrap();
    for line in [
        "tempo_memberlist_client_cluster_members_count 5",
        "tempodb_backend_request_duration_seconds_bucket{",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    for engine in [distributor, frontend, querier, compactor, ingester] {
        assert!(engine.stop().await.unwrap().success(), "{}", engine.log());
    }
}
