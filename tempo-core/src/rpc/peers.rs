//! Who can be called: a role of this process, or the live processes of a role.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempo_runtime::membership::{Member, Members};

use super::client::RemotePeer;
use super::{IngesterApi, QuerierApi};

/// Someone who can be called.
pub struct Peer<A: ?Sized> {
    /// The name that rings know it by.
    pub id: String,
    /// Its contract.
    pub api: Arc<A>,
}

impl<A: ?Sized> Clone for Peer<A> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            api: Arc::clone(&self.api),
        }
    }
}

/// The peers of a role. Cheap to clone.
pub struct Peers<A: ?Sized>(Arc<dyn Fn() -> Vec<Peer<A>> + Send + Sync>);

impl<A: ?Sized> Clone for Peers<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: ?Sized> std::fmt::Debug for Peers<A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_list()
            .entries(self.live().iter().map(|peer| &peer.id))
            .finish()
    }
}

impl<A: ?Sized + Send + Sync + 'static> Peers<A> {
    /// Peers that do not change: roles of this process.
    pub fn fixed(peers: Vec<Peer<A>>) -> Self {
        Self(Arc::new(move || peers.clone()))
    }
}

impl<A: ?Sized> Peers<A> {
    /// Those who are there now, sorted by id.
    pub fn live(&self) -> Vec<Peer<A>> {
        (self.0)()
    }
}

/// The ingesters that the gossip knows.
pub fn ingesters(members: Members, timeout: Duration) -> Peers<dyn IngesterApi> {
    remote(members, "ingester", timeout, |peer| Arc::new(peer))
}

/// The queriers that the gossip knows.
pub fn queriers(members: Members, timeout: Duration) -> Peers<dyn QuerierApi> {
    remote(members, "querier", timeout, |peer| Arc::new(peer))
}

fn remote<A: ?Sized + Send + Sync + 'static>(
    members: Members,
    role: &'static str,
    timeout: Duration,
    as_role: fn(RemotePeer) -> Arc<A>,
) -> Peers<A> {
    let connections: Mutex<HashMap<Member, Arc<A>>> = Mutex::default();
    Peers(Arc::new(move || {
        let live = members.of_role(role);
        let mut connections = connections.lock();
        connections.retain(|member, _| live.contains(member));
        live.into_iter()
            .filter_map(|member| {
                let api = match connections.get(&member) {
                    Some(api) => Arc::clone(api),
                    None => as_role(connect(&member, timeout)?),
                };
                connections.insert(member.clone(), Arc::clone(&api));
                Some(Peer { id: member.id, api })
            })
            .collect()
    }))
}

fn connect(member: &Member, timeout: Duration) -> Option<RemotePeer> {
    RemotePeer::new(&member.grpc_address, timeout)
        .inspect_err(
            |error| tracing::warn!(member = member.id, %error, "a member advertises an unusable address"),
        )
        .ok()
}
