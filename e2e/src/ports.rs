//! Ports of loopback for programs under test. Other test binaries take this file in by its path.
//!
//! A program is told its port before it binds it, so that somebody else may bind it first. Outgoing connections do
//! not: the ports lie below those that Linux gives to them. Other tests do not, of this or any other test binary on
//! this machine: whoever is given a port holds a lock on a file of its name until it ends.

use std::fs::File;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Mutex;

/// What tests have for themselves: above the ports that a standalone chooses.
const PORTS: Range<u16> = 32_001..32_768;

/// The locks of all ports that this process was given.
static LOCKS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port that is free, and that no other test is given until this process ends.
pub(crate) fn reserve_port() -> Result<u16> {
    first(PORTS, |port| [*port].into()).ok_or_else(|| Error::other(format!("no port of {PORTS:?} is free")))
}

/// The first candidate all of whose ports are free and were given to nobody else. Where to begin depends on the
/// process, so that those who look at the same moment do not all try the same ones.
pub(crate) fn first(candidates: Range<u16>, ports: impl Fn(&u16) -> Vec<u16>) -> Option<u16> {
    let count = usize::from(candidates.end - candidates.start);
    let begin = std::process::id() as usize * 37 % count;
    candidates
        .clone()
        .cycle()
        .skip(begin)
        .take(count)
        .find(|candidate| reserve(&ports(candidate)))
}

/// Takes all of some ports, or none.
fn reserve(ports: &[u16]) -> bool {
    let locks: Option<Vec<File>> = ports
        .iter()
        .map(|port| lock(*port).filter(|_| is_free(*port)))
        .collect();
    let is_reserved = locks.is_some();
    if let (Some(locks), Ok(mut all)) = (locks, LOCKS.lock()) {
        all.extend(locks);
    }
    is_reserved
}

fn lock(port: u16) -> Option<File> {
    let folder = std::env::temp_dir().join("tempo-rs-test-ports");
    std::fs::create_dir_all(&folder).ok()?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(port.to_string()))
        .ok()?;
    file.try_lock().ok()?;
    Some(file)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
