//! Ports of this machine: which are free, and who has one that is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{TcpListener, UdpSocket},
    path::Path,
};

use super::overlay::LOOPBACK;

/// Inner ports are looked for from here on: above what is documented, below what Linux gives to outgoing connections.
const FIRST_INNER: u16 = 20_000;
const LAST_INNER: u16 = 32_000;
/// Inner ports of two offsets are that far apart for each step between them: two standalones that start at the same
/// moment do not choose the same ones.
const SPREAD: u32 = 31;

/// A port that is needed and taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PortError {
    /// Somebody else listens on a published port.
    #[error(
        "port {port} ({what}) is taken by {owner}; end that, or move every port: --port-offset {offset} (make run PORT_OFFSET={offset})"
    )]
    Taken {
        /// The port.
        port: u16,
        /// What it is for.
        what: String,
        /// The process that has it.
        owner: String,
        /// An offset at which every published port is free.
        offset: u16,
    },
    /// The offset leads beyond the last port.
    #[error("--port-offset {offset} moves port {documented} beyond 65535; choose a smaller one")]
    TooFar {
        /// The offset.
        offset: u16,
        /// The documented port.
        documented: u16,
    },
    /// No port is left.
    #[error("no free port between {FIRST_INNER} and {LAST_INNER} on {LOOPBACK}; end what takes them")]
    NoneFree,
}

/// A port of a process: the process's name, and the port's number in its pod.
pub(super) type Slot = (String, u16);

/// A slot, and the documented number under which it is published, if it is.
type Wanted = (Slot, Option<u16>);

/// The ports that have been given out. A slot keeps its port as long as this lives, and as long as it is published
/// under the same number, or not at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    offset: u16,
    given: BTreeMap<Wanted, u16>,
}

impl Ports {
    /// Nothing is given out; published ports are moved by `offset`.
    pub(super) fn new(offset: u16) -> Self {
        Self {
            offset,
            given: BTreeMap::new(),
        }
    }

    /// The ports of slots: published ones at their documented number plus the offset, the others anywhere.
    ///
    /// Nothing changes when one cannot be had.
    pub(super) fn assign(&mut self, slots: &[Wanted]) -> Result<BTreeMap<Slot, u16>, PortError> {
        let mut given = self.given.clone();
        let published: Vec<u16> = slots.iter().filter_map(|(_, documented)| *documented).collect();
        given.retain(|wanted, _| slots.contains(wanted));
        for wanted in slots {
            let (slot, Some(documented)) = wanted else {
                continue;
            };
            if given.contains_key(wanted) {
                continue;
            }
            let port = moved(*documented, self.offset)?;
            if !is_free(port) && !self.given.values().any(|own| *own == port) {
                return Err(PortError::Taken {
                    port,
                    what: slot.0.clone(),
                    owner: owner_of(port).unwrap_or_else(|| "a process of another user".to_owned()),
                    offset: free_offset(&published, self.offset),
                });
            }
            // An inner port that an offset made a published one.
            given.retain(|_, inner| *inner != port);
            given.insert(wanted.clone(), port);
        }
        let mut taken: BTreeSet<u16> = given.values().copied().collect();
        for wanted in slots {
            if !given.contains_key(wanted) {
                let port = inner(self.offset)
                    .find(|port| !taken.contains(port) && is_free(*port))
                    .ok_or(PortError::NoneFree)?;
                taken.insert(port);
                given.insert(wanted.clone(), port);
            }
        }
        self.given = given;
        let assigned = self.given.iter().map(|((slot, _), port)| (slot.clone(), *port));
        Ok(assigned.collect())
    }
}

fn moved(documented: u16, offset: u16) -> Result<u16, PortError> {
    documented
        .checked_add(offset)
        .ok_or(PortError::TooFar { offset, documented })
}

/// The inner ports in the order in which a standalone with an offset tries them.
fn inner(offset: u16) -> impl Iterator<Item = u16> {
    let all = u32::from(LAST_INNER - FIRST_INNER);
    let start = u32::from(offset) * SPREAD;
    (0..all).map(move |step| FIRST_INNER + ((start + step) % all) as u16)
}

/// Whether a port is free for TCP and for UDP.
fn is_free(port: u16) -> bool {
    TcpListener::bind((LOOPBACK, port)).is_ok() && UdpSocket::bind((LOOPBACK, port)).is_ok()
}

/// The next offset, in hundreds, at which all documented ports are free.
fn free_offset(documented: &[u16], from: u16) -> u16 {
    let all_free = |offset: &u16| {
        documented
            .iter()
            .all(|port| port.checked_add(*offset).is_some_and(is_free))
    };
    let next = (from / 100 + 1) * 100;
    (next..60_000).step_by(100).find(all_free).unwrap_or(next)
}

/// The process that listens on a port: its id and command line.
fn owner_of(port: u16) -> Option<String> {
    let sockets = listening_sockets(port);
    for entry in std::fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let process = entry.path();
        // Besides the processes there are names for the one that asks.
        let is_process = entry
            .file_name()
            .to_str()
            .is_some_and(|id| id.parse::<u32>().is_ok());
        if is_process && has_socket(&process, &sockets) {
            let id = entry.file_name().to_string_lossy().into_owned();
            let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            return Some(format!("process {id} ({})", shortened(&command)));
        }
    }
    None
}

fn shortened(command: &str) -> String {
    const LONGEST: usize = 80;
    let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
    if command.chars().count() <= LONGEST {
        return command;
    }
    let kept: String = command.chars().take(LONGEST).collect();
    format!("{kept}…")
}

/// The inodes of the sockets that listen on a port.
fn listening_sockets(port: u16) -> BTreeSet<String> {
    const LISTENING: &str = "0A";
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice()
                && *state == LISTENING
                && local.ends_with(&format!(":{port:04X}"))
            {
                inodes.insert(format!("socket:[{inode}]"));
            }
        }
    }
    inodes
}

fn has_socket(process: &Path, sockets: &BTreeSet<String>) -> bool {
    let Ok(files) = std::fs::read_dir(process.join("fd")) else {
        return false;
    };
    files.filter_map(Result::ok).any(|file| {
        std::fs::read_link(file.path())
            .is_ok_and(|target| sockets.contains(target.to_string_lossy().as_ref()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, port: u16) -> Slot {
        (name.to_owned(), port)
    }

    #[test]
    fn a_slot_keeps_its_port_and_no_two_share_one() {
        let mut ports = Ports::new(0);
        let slots = [
            (slot("a", 3200), None),
            (slot("a", 9095), None),
            (slot("b", 3200), None),
        ];
        let first = ports.assign(&slots).unwrap();
        let distinct: BTreeSet<u16> = first.values().copied().collect();
        assert_eq!(distinct.len(), 3);
        assert_eq!(ports.assign(&slots).unwrap(), first);
    }

    #[test]
    fn a_port_is_given_up_to_the_slot_that_publishes_it_now() {
        let free = TcpListener::bind((LOOPBACK, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut ports = Ports::new(0);
        let (distributor, collector) = (slot("distributor", 4317), slot("collector", 4317));
        let alone = [(distributor.clone(), Some(free))];
        assert_eq!(ports.assign(&alone).unwrap()[&distributor], free);
        let both = [(distributor.clone(), None), (collector.clone(), Some(free))];
        let assigned = ports.assign(&both).unwrap();
        assert_eq!(assigned[&collector], free);
        assert_ne!(assigned[&distributor], free);
        assert_eq!(ports.assign(&alone).unwrap()[&distributor], free);
    }

    #[test]
    fn a_taken_port_is_named_with_its_owner_and_a_way_out() {
        let other = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let error = Ports::new(0)
            .assign(&[(slot("front", 3200), Some(port))])
            .unwrap_err();
        let PortError::Taken { owner, offset, .. } = &error else {
            panic!("{error}")
        };
        assert!(
            owner.contains(&format!("process {}", std::process::id())),
            "{owner}"
        );
        assert!(*offset >= 100, "{offset}");
        assert!(
            error.to_string().contains(&format!("--port-offset {offset}")),
            "{error}"
        );
    }

    #[test]
    fn an_offset_beyond_the_last_port_is_refused() {
        let error = Ports::new(65_000).assign(&[(slot("front", 3200), Some(3200))]);
        assert!(matches!(error, Err(PortError::TooFar { .. })));
    }
}
