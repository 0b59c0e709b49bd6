//! Who else is there: gossip among the processes of one stack. What it says is a hint that may be late or wrong.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use chitchat::transport::UdpTransport;
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, ProtocolVersion,
    spawn_chitchat,
};
use tokio::sync::watch;

use crate::shutdown::Shutdown;

/// The port of gossip where none is given.
pub const DEFAULT_PORT: u16 = 7946;

const ROLE: &str = "role";
const GRPC_ADDRESS: &str = "grpc";
/// Set by a process that is going: others do not wait until they find out by its silence, which takes seconds.
const LEAVING: &str = "leaving";
/// How many rounds of gossip a process that leaves stays for: in the first one it tells everyone, and at the next one
/// they look.
const FAREWELL_ROUNDS: u32 = 2;

/// A process of the stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// A name that no other process of the stack has.
    pub id: String,
    /// The role it plays, as in `-target`.
    pub role: String,
    /// Where its internal gRPC listens, as `host:port`.
    pub grpc_address: String,
}

/// How to join.
#[derive(Debug, Clone)]
pub struct GossipSettings {
    /// The stack: members of different stacks ignore each other.
    pub cluster: String,
    /// Where to listen (UDP).
    pub listen: SocketAddr,
    /// Where others reach this process: the listening address unless that is unspecified.
    pub advertise: SocketAddr,
    /// Names of processes to meet first, each `host` or `host:port`; looked up again and again.
    pub seeds: Vec<String>,
    /// A number that grows with each start of this process.
    pub generation: u64,
    /// How often to gossip.
    pub interval: Duration,
}

/// Gossip that cannot start.
#[derive(Debug, thiserror::Error)]
#[error("start gossip on {listen} (UDP): {reason}; is another process using the port?")]
pub struct GossipError {
    listen: SocketAddr,
    reason: String,
}

/// The live members of the stack, this process included. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Members(watch::Receiver<Arc<[Member]>>);

impl Members {
    /// Members that never change: one process, or a simulation.
    pub fn fixed(members: Vec<Member>) -> Self {
        Self(watch::channel(members.into()).1)
    }

    /// Members that whoever holds the sender decides on.
    pub fn watched(members: watch::Receiver<Arc<[Member]>>) -> Self {
        Self(members)
    }

    /// All live members now.
    pub fn all(&self) -> Arc<[Member]> {
        Arc::clone(&self.0.borrow())
    }

    /// The live members of a role now, sorted by id.
    pub fn of_role(&self, role: &str) -> Vec<Member> {
        self.0
            .borrow()
            .iter()
            .filter(|member| member.role == role)
            .cloned()
            .collect()
    }

    /// Completes when the members have changed since the last call; `false` when they will not change again.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// Joins the gossip as `member`. At shutdown the others are told that it leaves; when `shutdown` is finished, two rounds
/// of gossip later, they know, unless the network has lost it.
pub async fn join(
    settings: GossipSettings,
    member: Member,
    shutdown: Shutdown,
) -> Result<Members, GossipError> {
    let (listen, interval) = (settings.listen, settings.interval);
    let facts = vec![
        (ROLE.to_owned(), member.role.clone()),
        (GRPC_ADDRESS.to_owned(), member.grpc_address.clone()),
    ];
    let handle = spawn_chitchat(config(settings, &member), facts, &UdpTransport)
        .await
        .map_err(|error| GossipError {
            listen,
            reason: format!("{error:#}"),
        })?;
    let (sender, members) = watch::channel(Arc::from([member]));
    tokio::spawn(async move {
        let _guard = shutdown.guard();
        follow(&handle, &sender, &shutdown).await;
        leave(&handle, interval * FAREWELL_ROUNDS).await;
        if let Err(error) = handle.shutdown().await {
            tracing::debug!(%error, "gossip ended with an error");
        }
    });
    Ok(Members(members))
}

fn config(settings: GossipSettings, member: &Member) -> ChitchatConfig {
    ChitchatConfig {
        chitchat_id: ChitchatId::new(member.id.as_str(), settings.generation, settings.advertise),
        cluster_id: settings.cluster,
        gossip_interval: settings.interval,
        listen_addr: settings.listen,
        seed_nodes: settings.seeds.iter().map(|seed| with_port(seed)).collect(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_hours(1),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V1,
    }
}

/// `host:port` of a seed as Tempo's `join_members` names it: the port may be missing, a look-up prefix may be there.
fn with_port(seed: &str) -> String {
    let seed = ["dns+", "dnssrv+", "dnssrvnoa+"]
        .iter()
        .find_map(|prefix| seed.strip_prefix(prefix))
        .unwrap_or(seed);
    let has_port = seed
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port {
        seed.to_owned()
    } else {
        format!("{seed}:{DEFAULT_PORT}")
    }
}

/// Keeps the members as gossip knows them, until shutdown.
async fn follow(handle: &ChitchatHandle, members: &watch::Sender<Arc<[Member]>>, shutdown: &Shutdown) {
    let mut live = handle
        .with_chitchat(|chitchat| chitchat.live_nodes_watcher())
        .await;
    loop {
        let now = members_of(&live.borrow_and_update());
        members.send_if_modified(|before| {
            let changed = before[..] != now[..];
            if changed {
                *before = now.into();
            }
            changed
        });
        tokio::select! {
            () = shutdown.triggered() => return,
            changed = live.changed() => if changed.is_err() { return },
        }
    }
}

/// Tells everyone that this process goes, and stays for so long, or until nobody else is there.
async fn leave(handle: &ChitchatHandle, farewell: Duration) {
    let (own, others, mut live) = handle
        .with_chitchat(|chitchat| {
            chitchat.self_node_state().set(LEAVING, "true");
            let own = chitchat.self_chitchat_id().clone();
            let others = chitchat.live_nodes().filter(|id| **id != own);
            let others: Vec<SocketAddr> = others.map(|id| id.gossip_advertise_addr).collect();
            (own, others, chitchat.live_nodes_watcher())
        })
        .await;
    for other in others {
        if let Err(error) = handle.gossip(other) {
            tracing::debug!(%error, %other, "could not say that this process leaves");
        }
    }
    let is_own = |member: &Member| member.id == *own.node_id;
    let all_gone = live.wait_for(|live| members_of(live).iter().all(is_own));
    // Either way there is nobody left to be told.
    let _ = tokio::time::timeout(farewell, all_gone).await;
}

/// The members among live nodes that are not about to go. A process that was started again counts once, with its newest
/// generation.
fn members_of(live: &BTreeMap<ChitchatId, NodeState>) -> Vec<Member> {
    let mut newest: BTreeMap<&str, (&ChitchatId, &NodeState)> = BTreeMap::new();
    for (id, state) in live {
        let entry = newest.entry(&id.node_id).or_insert((id, state));
        if entry.0.generation_id < id.generation_id {
            *entry = (id, state);
        }
    }
    let stays = |(_, state): &(&ChitchatId, &NodeState)| state.get(LEAVING).is_none();
    let members = newest.into_values().filter(stays);
    members
        .filter_map(|(id, state)| {
            Some(Member {
                id: id.node_id.to_string(),
                role: state.get(ROLE)?.to_owned(),
                grpc_address: state.get(GRPC_ADDRESS)?.to_owned(),
            })
        })
        .collect()
}

/// The address under which others reach this process when it listens on `listen`: itself, or, when that is
/// unspecified, the address of the interface through which `seeds` (or else the internet) would be reached.
pub fn advertised_ip(listen: IpAddr, seeds: &[String]) -> IpAddr {
    if !listen.is_unspecified() {
        return listen;
    }
    let outside = "192.0.2.1:9".to_owned();
    let route = |target: &String| {
        let socket = UdpSocket::bind((listen, 0)).ok()?;
        // Connecting a UDP socket sends nothing; it only picks the route.
        socket.connect(with_port(target)).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    seeds
        .iter()
        .chain([&outside])
        .find_map(route)
        .unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free_port() -> u16 {
        UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    }

    fn settings(cluster: &str, port: u16, seed: u16) -> GossipSettings {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        GossipSettings {
            cluster: cluster.to_owned(),
            listen: address,
            advertise: address,
            seeds: vec![format!("127.0.0.1:{seed}")],
            generation: 1,
            interval: Duration::from_millis(50),
        }
    }

    fn member(id: &str, role: &str) -> Member {
        Member {
            id: id.to_owned(),
            role: role.to_owned(),
            grpc_address: "127.0.0.1:9095".to_owned(),
        }
    }

    async fn until(members: &mut Members, count: usize) {
        let seen = async {
            while members.all().len() != count {
                members.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), seen)
            .await
            .expect("members did not converge");
    }

    #[tokio::test]
    async fn members_of_one_stack_meet_and_part() {
        let (one, other, stranger) = (free_port(), free_port(), free_port());
        let shutdown = Shutdown::new();
        let leaving = Shutdown::new();
        let mut first = join(
            settings("a", one, one),
            member("one", "ingester"),
            shutdown.clone(),
        )
        .await
        .unwrap();
        let mut second = join(
            settings("a", other, one),
            member("two", "querier"),
            leaving.clone(),
        )
        .await
        .unwrap();
        let foreign = join(
            settings("b", stranger, one),
            member("three", "querier"),
            shutdown.clone(),
        )
        .await
        .unwrap();
        until(&mut first, 2).await;
        until(&mut second, 2).await;
        assert_eq!(first.of_role("querier"), [member("two", "querier")]);
        assert_eq!(foreign.all().len(), 1);
        leaving.trigger();
        leaving.finished().await;
        until(&mut first, 1).await;
        shutdown.trigger();
        shutdown.finished().await;
    }

    #[tokio::test]
    async fn one_that_leaves_is_not_counted_although_it_is_still_there() {
        let (one, other) = (free_port(), free_port());
        let shutdown = Shutdown::new();
        let mut members = join(
            settings("a", one, one),
            member("one", "ingester"),
            shutdown.clone(),
        )
        .await
        .unwrap();
        let facts = vec![
            (ROLE.to_owned(), "querier".to_owned()),
            (GRPC_ADDRESS.to_owned(), "127.0.0.1:9095".to_owned()),
        ];
        let own = config(settings("a", other, one), &member("two", "querier"));
        let handle = spawn_chitchat(own, facts, &UdpTransport).await.unwrap();
        until(&mut members, 2).await;
        // It goes on to gossip all the while, so that it does not fall silent.
        let leaving = leave(&handle, Duration::from_mins(2));
        tokio::select! {
            () = leaving => panic!("the other one is still there"),
            () = until(&mut members, 1) => {}
        }
        shutdown.trigger();
        shutdown.finished().await;
    }

    #[test]
    fn seeds_get_the_default_port() {
        assert_eq!(with_port("gossip"), "gossip:7946");
        assert_eq!(with_port("dns+gossip:1"), "gossip:1");
    }
}
