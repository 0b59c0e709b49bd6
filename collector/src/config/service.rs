//! The `service` section: which components run, how pipelines join them, and what the process tells about itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Value;

use super::telemetry::{RawTelemetry, Telemetry};
use super::{ComponentId, Config, Kind, Problems};

/// The `service` section.
#[derive(Debug, Clone, Default)]
pub struct ServiceSettings {
    /// The extensions that run.
    pub extensions: Vec<ComponentId>,
    /// By name, for example `traces/checkout`.
    pub pipelines: BTreeMap<String, Pipeline>,
    /// Logs and metrics of the process.
    pub telemetry: Telemetry,
}

/// The way of spans from receivers through processors to exporters.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// Every one feeds the pipeline.
    pub receivers: Vec<ComponentId>,
    /// In order.
    pub processors: Vec<ComponentId>,
    /// Every one gets everything.
    pub exporters: Vec<ComponentId>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawService {
    extensions: Option<Vec<String>>,
    pipelines: Option<BTreeMap<String, RawPipeline>>,
    telemetry: Option<RawTelemetry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPipeline {
    receivers: Option<Vec<String>>,
    processors: Option<Vec<String>>,
    exporters: Option<Vec<String>>,
}

impl Problems {
    /// Reads the `service` section.
    pub(super) fn service(&mut self, section: Option<Value>) -> ServiceSettings {
        let raw: RawService = self
            .section("service", section.unwrap_or_default())
            .unwrap_or_default();
        let mut pipelines = BTreeMap::new();
        for (name, pipeline) in raw.pipelines.unwrap_or_default() {
            if let Some(pipeline) = self.pipeline(&name, pipeline) {
                pipelines.insert(name, pipeline);
            }
        }
        if pipelines.is_empty() && self.0.is_empty() {
            self.add(
                "service::pipelines",
                "there is no pipeline; add one called traces",
            );
        }
        let telemetry = raw.telemetry.unwrap_or_default().checked();
        let telemetry = telemetry.unwrap_or_else(|problem| {
            self.0.push(problem);
            Telemetry::default()
        });
        ServiceSettings {
            extensions: self.ids(
                Kind::Extension,
                "service::extensions",
                raw.extensions.unwrap_or_default(),
            ),
            pipelines,
            telemetry,
        }
    }

    fn pipeline(&mut self, name: &str, raw: RawPipeline) -> Option<Pipeline> {
        let path = format!("service::pipelines::{name}");
        let signal = name.split('/').next().unwrap_or_default();
        if signal != "traces" {
            self.add(
                path,
                format!("'{signal}' is not supported; pipelines here are called traces or traces/NAME"),
            );
            return None;
        }
        let receivers = self.ids(
            Kind::Receiver,
            &format!("{path}::receivers"),
            raw.receivers.unwrap_or_default(),
        );
        let processors = self.ids(
            Kind::Processor,
            &format!("{path}::processors"),
            raw.processors.unwrap_or_default(),
        );
        let exporters = self.ids(
            Kind::Exporter,
            &format!("{path}::exporters"),
            raw.exporters.unwrap_or_default(),
        );
        for (what, is_empty) in [
            ("receiver", receivers.is_empty()),
            ("exporter", exporters.is_empty()),
        ] {
            if is_empty {
                self.add(path.as_str(), format!("has no {what}; it needs at least one"));
            }
        }
        Some(Pipeline {
            receivers,
            processors,
            exporters,
        })
    }

    fn ids(&mut self, kind: Kind, path: &str, names: Vec<String>) -> Vec<ComponentId> {
        let mut ids = Vec::new();
        for name in names {
            let Some(id) = self.id(kind, path, &name) else {
                continue;
            };
            if ids.contains(&id) {
                self.add(path, format!("lists {id} twice"));
            } else {
                ids.push(id);
            }
        }
        ids
    }

    /// Everything that the service section names must have settings.
    pub(super) fn references(&mut self, config: &Config) {
        let service = &config.service;
        self.known(
            Kind::Extension,
            "service::extensions",
            &service.extensions,
            &config.extensions,
        );
        for (name, pipeline) in &service.pipelines {
            let path = format!("service::pipelines::{name}");
            self.known(Kind::Receiver, &path, &pipeline.receivers, &config.receivers);
            self.known(Kind::Processor, &path, &pipeline.processors, &config.processors);
            self.known(Kind::Exporter, &path, &pipeline.exporters, &config.exporters);
        }
    }

    fn known<S>(&mut self, kind: Kind, path: &str, ids: &[ComponentId], settings: &BTreeMap<ComponentId, S>) {
        // A component whose settings are wrong has had its own error.
        let prefix = format!("{}::", kind.section());
        if self.0.iter().any(|problem| problem.path.starts_with(&prefix)) {
            return;
        }
        for id in ids.iter().filter(|id| !settings.contains_key(id)) {
            let section = kind.section();
            self.add(
                path,
                format!("references {id}, which is not configured; add it under {section}"),
            );
        }
    }
}
