//! One process a role, joined by gossip.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tempo_core::load::engine::{Engine, Ports};
use tempo_core::load::shop::Shop;

use crate::support::{binary, client, eventually, search, spans_of, traces};

/// A process for each of `roles`, all of them ready. They share a store; each has its own WAL.
async fn stack(folder: &Path, roles: &[&str]) -> Vec<Engine> {
    let ports: Vec<Ports> = roles.iter().map(|_| Ports::free().unwrap()).collect();
    let label = format!("-memberlist.cluster_label=test-{}", ports[0].gossip);
    let gossip = format!(
        "memberlist: {{gossip_interval: 50ms, join_members: ['127.0.0.1:{}'], ",
        ports[0].gossip
    );
    let mut engines = Vec::new();
    for (number, (role, own)) in roles.iter().zip(&ports).enumerate() {
        let own_folder = folder.join(number.to_string());
        std::fs::create_dir(&own_folder).unwrap();
        let configuration = Engine::configuration(&own_folder, *own)
            .replace(
                &format!("{}/traces", own_folder.display()),
                &format!("{}/traces", folder.display()),
            )
            .replace("memberlist: {", &gossip);
        let target = format!("-target={role}");
        let arguments = [target.as_str(), label.as_str()];
        engines.push(
            Engine::spawn(binary(), &arguments, &own_folder, &configuration, *own)
                .await
                .unwrap(),
        );
    }
    for engine in &mut engines {
        engine.wait_until_ready().await.unwrap();
    }
    engines
}

#[tokio::test]
async fn processes_of_single_roles_answer_as_one() {
    const ROLES: [&str; 5] = [
        "ingester",
        "querier",
        "query-frontend",
        "distributor",
        "compactor",
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut engines = stack(folder.path(), &ROLES).await;
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

/// Asks a frontend all the time, by search and by id; every answer must be there and lack nothing.
struct Asking<'a> {
    frontend: &'a Engine,
    acknowledged: Mutex<BTreeSet<String>>,
    rounds: AtomicUsize,
    over: AtomicBool,
}

impl Asking<'_> {
    async fn ask(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let must = self.acknowledged.lock().clone();
            let found = search(self.frontend, "{}").await;
            let missing: Vec<_> = must.difference(&found).collect();
            assert!(missing.is_empty(), "not found: {missing:?}");
            let round = self.rounds.fetch_add(1, Ordering::Relaxed);
            let one = must.iter().nth(round % must.len()).unwrap();
            assert!(spans_of(self.frontend, one).await > 0, "trace {one} is not found");
        }
    }

    /// Waits until so many more rounds have been asked.
    async fn more(&self, rounds: usize) {
        let until = self.rounds.load(Ordering::Relaxed) + rounds;
        eventually("asking", async || self.rounds.load(Ordering::Relaxed) >= until).await;
    }

    /// Sends requests, each of which must be acknowledged.
    async fn send(&self, distributor: &Engine, shop: &mut Shop, requests: usize) {
        let client = client(distributor).await;
        for _ in 0..requests {
            let (request, ids) = traces(shop, 20);
            client.export(request).await.unwrap();
            self.acknowledged.lock().extend(ids);
        }
    }
}

#[tokio::test]
async fn an_ingester_that_ends_in_order_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let roles = ["ingester", "ingester", "querier", "query-frontend", "distributor"];
    let mut engines = stack(folder.path(), &roles).await;
    let [first, second, _, frontend, distributor] = &mut engines[..] else {
        panic!("five processes");
    };
    let (distributor, mut shop) = (&*distributor, Shop::new(12));
    let asking = Asking {
        frontend,
        acknowledged: Mutex::default(),
        rounds: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    // Enough that blocks are not made in a moment.
    asking.send(distributor, &mut shop, 40).await;
    let leaving = async {
        asking.more(1).await;
        // Others take what the one that leaves does not.
        first.terminate().unwrap();
        let (left, ()) = tokio::join!(first.wait(), asking.send(distributor, &mut shop, 20));
        assert!(left.unwrap().success(), "{}", first.log());
        asking.send(distributor, &mut shop, 5).await;
        asking.more(2).await;
        // Now nobody is left who might take any; what is there is found all the same.
        assert!(second.stop().await.unwrap().success(), "{}", second.log());
        asking.more(2).await;
        asking.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(asking.ask(), leaving);
    let left = std::fs::read_dir(folder.path().join("0/wal")).unwrap();
    let segments = left.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "wal")
    });
    assert_eq!(segments.count(), 0, "all of it is in blocks");
}
