//! The configuration: OpenTelemetry Collector YAML, read, expanded and checked before anything starts.
//!
//! Errors carry the path of what is wrong (`exporters::otlp_grpc::timeout`); all that are found are reported at once.

pub mod expand;
mod id;
mod service;
mod telemetry;
pub mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

pub use self::id::{ComponentId, Kind};
pub use self::service::{Pipeline, ServiceSettings};
pub use self::telemetry::Telemetry;
use crate::exporter::ExporterSettings;
use crate::health::HealthSettings;
use crate::processor::ProcessorSettings;
use crate::receiver::ReceiverSettings;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("read configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is not YAML.
    #[error("parse configuration {}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        source: serde_yaml::Error,
    },
    /// Values that cannot be used.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// All of them.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Problem {
    /// Where, for example `exporters::otlp_grpc::timeout`.
    pub path: String,
    /// What.
    pub reason: String,
}

impl Problem {
    /// A problem at `path`.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// By id.
    pub receivers: BTreeMap<ComponentId, ReceiverSettings>,
    /// By id.
    pub processors: BTreeMap<ComponentId, ProcessorSettings>,
    /// By id.
    pub exporters: BTreeMap<ComponentId, ExporterSettings>,
    /// By id.
    pub extensions: BTreeMap<ComponentId, HealthSettings>,
    /// Which of these run, and how they are joined.
    pub service: ServiceSettings,
}

/// The sections, before anyone has looked into them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sections {
    receivers: Option<Mapping>,
    processors: Option<Mapping>,
    exporters: Option<Mapping>,
    extensions: Option<Mapping>,
    connectors: Option<Mapping>,
    service: Option<Value>,
}

/// Reads and joins files: what a later one says wins, maps are joined, lists are replaced.
pub fn load(paths: &[PathBuf]) -> Result<Config, ConfigError> {
    let mut tree = Value::Mapping(Mapping::new());
    for path in paths {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?;
        let document: Value = serde_yaml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.clone(),
            source,
        })?;
        merge(&mut tree, document);
    }
    from_tree(tree, &expand::System)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Mapping(into), Value::Mapping(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Checks a configuration that is a YAML tree.
pub fn from_tree(mut tree: Value, sources: &dyn expand::Sources) -> Result<Config, ConfigError> {
    let mut problems = Problems::default();
    if let Err((path, reason)) = expand::expand(&mut tree, "", sources) {
        problems.add(path, reason);
    }
    let sections: Sections = problems.section("", tree).unwrap_or_default();
    if sections
        .connectors
        .is_some_and(|connectors| !connectors.is_empty())
    {
        problems.add("connectors", "no connector is supported yet");
    }
    let config = Config {
        receivers: problems.components(Kind::Receiver, sections.receivers),
        processors: problems.components(Kind::Processor, sections.processors),
        exporters: problems.components(Kind::Exporter, sections.exporters),
        extensions: problems.components(Kind::Extension, sections.extensions),
        service: problems.service(sections.service),
    };
    problems.references(&config);
    problems.into_result(config)
}

/// Settings of the components of one kind.
pub trait Settings: Sized {
    /// Reads the settings of a component of `type_name`, which is one of its kind's types.
    fn read(type_name: &str, path: &str, value: Value) -> Result<Self, Problem>;
}

/// Reads `value`; an error names the key that it is about. Nothing at all is as good as an empty map.
pub fn read<T: DeserializeOwned>(path: &str, value: Value) -> Result<T, Problem> {
    let value = if value.is_null() {
        Value::Mapping(Mapping::new())
    } else {
        value
    };
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string().replace('.', "::");
        let steps = [path, inner.as_str()];
        let steps = steps.iter().filter(|step| !step.is_empty() && **step != "::");
        let path = steps.copied().collect::<Vec<_>>().join("::");
        Problem::new(path, error.inner().to_string())
    })
}

/// What was found to be wrong so far.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Problem::new(path, reason));
    }

    fn section<T: DeserializeOwned>(&mut self, path: &str, value: Value) -> Option<T> {
        read(path, value).map_err(|problem| self.0.push(problem)).ok()
    }

    /// Reads a component's name; an old spelling is taken with a warning.
    fn id(&mut self, kind: Kind, path: &str, text: &str) -> Option<ComponentId> {
        match ComponentId::parse(kind, text) {
            Ok((id, renamed)) => {
                if let Some(today) = renamed {
                    tracing::warn!(path, "'{text}' is an old spelling; write '{today}'");
                }
                Some(id)
            }
            Err(reason) => {
                self.add(path, reason);
                None
            }
        }
    }

    fn components<S: Settings>(&mut self, kind: Kind, section: Option<Mapping>) -> BTreeMap<ComponentId, S> {
        let mut components = BTreeMap::new();
        for (key, value) in section.unwrap_or_default() {
            let name = key.as_str().unwrap_or("?");
            let path = format!("{}::{name}", kind.section());
            let Some(id) = self.id(kind, &path, name) else {
                continue;
            };
            match S::read(&id.type_name, &path, value) {
                Ok(settings) => {
                    if components.insert(id.clone(), settings).is_some() {
                        self.add(
                            path,
                            format!("is a second component called {id}; give one another name"),
                        );
                    }
                }
                Err(problem) => self.0.push(problem),
            }
        }
        components
    }

    fn into_result(self, config: Config) -> Result<Config, ConfigError> {
        if self.0.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Invalid { problems: self.0 })
        }
    }
}
