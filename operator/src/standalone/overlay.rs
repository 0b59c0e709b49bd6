//! The one difference between a process here and in a cluster: where it listens, whom it talks to, where its data
//! lies (pure).
//!
//! Every word of the command, every variable and every value in a YAML file is looked at as a whole:
//!
//! | it is | it becomes |
//! |---|---|
//! | an address on all interfaces with a port of the pod (`0.0.0.0:4317`) | the loopback address and the port there |
//! | a Service and a port (`tempo-shop-distributor.shop.svc:4317`) | the loopback address of a pod behind it |
//! | a path on a volume (`/var/tempo/wal`) | the path on this machine |
//!
//! Besides, the settings are written out that the engine, the Collector and MinIO have defaults for.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempo_config::merge;

use super::process::Process;
use crate::{
    collector,
    configuration::{GOSSIP_PORT, GRPC_PORT, HTTP_PORT, local_storage},
    minio,
    pod::CONFIG_DIRECTORY,
};

/// Where everything listens.
pub(super) const LOOPBACK: &str = "127.0.0.1";

/// Where a process and its peers are on this machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Placement {
    /// Port on this machine by port of the pod.
    pub(super) ports: BTreeMap<u16, u16>,
    /// Address on this machine by `service:port`, in every spelling of the Service's name.
    pub(super) peers: BTreeMap<String, String>,
    /// Addresses of the members of the gossip.
    pub(super) gossip: Vec<String>,
    /// Path on this machine by path of a volume in the container.
    pub(super) paths: BTreeMap<String, String>,
    /// The folder that takes the object store's place, if one does.
    pub(super) storage: Option<String>,
}

/// The process as it runs on this machine.
pub(super) fn overlay(process: &Process, placement: &Placement) -> Process {
    let mut process = process.clone();
    for word in &mut process.command {
        *word = placement.word(word);
    }
    for value in process.environment.values_mut() {
        *value = placement.text(value);
    }
    if process.is_minio() {
        process.environment.extend(placement.minio());
    }
    process.files = process
        .files
        .iter()
        .map(|(path, text)| (placement.path(path), placement.file(path, text)))
        .collect();
    process.directories = process
        .directories
        .iter()
        .map(|(path, directory)| (placement.path(path), *directory))
        .collect();
    for port in &mut process.ports {
        port.number = placement.port(port.number);
    }
    if let Some(readiness) = &mut process.readiness {
        readiness.port = placement.port(readiness.port);
    }
    process
}

impl Placement {
    fn port(&self, number: u16) -> u16 {
        self.ports.get(&number).copied().unwrap_or(number)
    }

    fn port_of(&self, documented: i32) -> u16 {
        u16::try_from(documented).map_or(0, |number| self.port(number))
    }

    /// A word of a command: a value, or `flag=value`.
    fn word(&self, word: &str) -> String {
        match word.split_once('=') {
            Some((flag, value)) => format!("{flag}={}", self.text(value)),
            None => self.text(word),
        }
    }

    /// A whole value.
    fn text(&self, text: &str) -> String {
        self.listening(text)
            .or_else(|| self.peer(text))
            .unwrap_or_else(|| self.path(text))
    }

    /// `0.0.0.0:PORT`, `[::]:PORT` or `:PORT`, for a port of the pod.
    fn listening(&self, text: &str) -> Option<String> {
        let (host, port) = text.rsplit_once(':')?;
        let everywhere = ["", "0.0.0.0", "[::]"].contains(&host);
        let port = self.ports.get(&port.parse().ok()?).filter(|_| everywhere)?;
        Some(format!("{LOOPBACK}:{port}"))
    }

    /// `SERVICE:PORT`, perhaps as a URL.
    fn peer(&self, text: &str) -> Option<String> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), text),
        };
        let (address, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        Some(format!("{scheme}{}{path}", self.peers.get(address)?))
    }

    /// A path on a volume; the longest mount wins.
    fn path(&self, text: &str) -> String {
        let mounts = self.paths.iter().rev();
        for (mount, here) in mounts {
            if let Some(rest) = text.strip_prefix(mount.as_str())
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return format!("{here}{rest}");
            }
        }
        text.to_owned()
    }

    /// A file: YAML is rewritten value by value, anything else left as it is.
    fn file(&self, path: &str, text: &str) -> String {
        let Some(tree) = self.settings(path, text) else {
            return text.to_owned();
        };
        serde_yaml::to_string(&tree).unwrap_or_else(|_| text.to_owned())
    }

    fn settings(&self, path: &str, text: &str) -> Option<Value> {
        let name = path.strip_prefix(CONFIG_DIRECTORY)?.strip_prefix('/')?;
        let mut tree: Value = serde_yaml::from_str(text).ok()?;
        let engine = name.starts_with("tempo");
        if engine {
            let mut complete = json!({"storage": {"trace": paths_of_engine()}});
            merge(&mut complete, &tree);
            tree = complete;
        }
        self.rewrite(&mut tree);
        if engine {
            merge(&mut tree, &self.engine());
        } else if name == collector::build::CONFIG_FILE {
            self.collector(&mut tree);
        }
        Some(tree)
    }

    fn rewrite(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.rewrite(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.rewrite(field)),
            _ => {}
        }
    }

    /// What the engine listens on and whom it meets.
    fn engine(&self) -> Value {
        let mut settings = json!({
            "server": {
                "http_listen_address": LOOPBACK,
                "http_listen_port": self.port_of(HTTP_PORT),
                "grpc_listen_address": LOOPBACK,
                "grpc_listen_port": self.port_of(GRPC_PORT),
            },
            "memberlist": {
                "bind_addr": [LOOPBACK],
                "bind_port": self.port_of(GOSSIP_PORT),
                "join_members": self.gossip,
            },
        });
        if let Some(folder) = &self.storage {
            settings["storage"] = json!({"trace": {"backend": "local", "local": {"path": folder}}});
        }
        settings
    }

    /// What MinIO listens on, without its console, and where it looks for settings besides: not at home.
    fn minio(&self) -> [(String, String); 3] {
        [
            (
                "MINIO_ADDRESS",
                format!("{LOOPBACK}:{}", self.port_of(minio::API_PORT)),
            ),
            ("MINIO_BROWSER", "off".to_owned()),
            ("HOME", self.path(minio::SCRATCH_DIRECTORY)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// The address of the Collector's metrics stands in two values.
    fn collector(&self, tree: &mut Value) {
        let readers = tree.pointer_mut("/service/telemetry/metrics/readers");
        for reader in readers.and_then(Value::as_array_mut).into_iter().flatten() {
            let prometheus = reader.pointer_mut("/pull/exporter/prometheus");
            if let Some(prometheus) = prometheus.and_then(Value::as_object_mut) {
                let port = prometheus.get("port").and_then(Value::as_i64).unwrap_or_default();
                let here = self.port_of(i32::try_from(port).unwrap_or_default());
                prometheus.insert("port".to_owned(), json!(here));
                prometheus.insert("host".to_owned(), json!(LOOPBACK));
            }
        }
    }
}

/// The paths that the engine has when its file says nothing.
fn paths_of_engine() -> Value {
    let defaults = local_storage("traces");
    json!({"local": {"path": defaults.local.path}, "wal": {"path": defaults.wal.path}})
}

#[cfg(test)]
mod tests;
