//! `memberlist` and the rings: how processes find each other.

use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

/// A ring's section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ring {
    /// Where upstream keeps its ring; read and ignored.
    pub kvstore: KeyValueStore,
    /// How many ingesters keep each record.
    pub replication_factor: usize,
    /// Keep replicas in different zones.
    pub zone_awareness_enabled: bool,
    /// The address that other members should use.
    pub instance_addr: String,
    /// Use IPv6.
    pub enable_inet6: bool,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            kvstore: KeyValueStore::default(),
            replication_factor: 1,
            zone_awareness_enabled: false,
            instance_addr: String::new(),
            enable_inet6: false,
        }
    }
}

/// Where upstream keeps a ring.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyValueStore {
    /// `memberlist` or `inmemory`.
    pub store: String,
}

/// `memberlist`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memberlist {
    /// Host and port (7946 when left out) of members to start from; the headless Service in a cluster.
    pub join_members: Vec<String>,
    /// The addresses that gossip listens on; all when empty.
    pub bind_addr: Vec<String>,
    /// The port that gossip listens on.
    pub bind_port: u16,
    /// The address that other members should use.
    pub advertise_addr: String,
    /// Only members of the same label gossip with each other.
    pub cluster_label: String,
    /// Whether a process ends when it finds nobody; ours goes on looking.
    pub abort_if_cluster_join_fails: bool,
    /// How often members talk.
    pub gossip_interval: GoDuration,
}

impl Default for Memberlist {
    fn default() -> Self {
        Self {
            join_members: Vec::new(),
            bind_addr: Vec::new(),
            bind_port: 7946,
            advertise_addr: String::new(),
            cluster_label: String::new(),
            abort_if_cluster_join_fails: false,
            gossip_interval: GoDuration::seconds(1),
        }
    }
}
