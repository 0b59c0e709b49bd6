//! The `service::telemetry` section: what the process tells about itself.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Problem;
use super::values::host_port;

/// Where metrics are served unless the configuration says otherwise.
const DEFAULT_METRICS_ADDRESS: &str = "localhost:8888";

/// What the process tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// `debug`, `info`, `warn` or `error`.
    pub log_level: String,
    /// Whether logs are JSON.
    pub json_logs: bool,
    /// Where Prometheus finds metrics; `None` serves none.
    pub metrics_address: Option<String>,
    /// Whether the address was asked for: then it must be free, else a taken one is passed over.
    pub metrics_address_is_explicit: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_level: "info".to_owned(),
            json_logs: false,
            metrics_address: Some(DEFAULT_METRICS_ADDRESS.to_owned()),
            metrics_address_is_explicit: false,
        }
    }
}

/// Keys of type [`IgnoredAny`] are upstream's and change nothing here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTelemetry {
    logs: Option<RawLogs>,
    metrics: Option<RawMetrics>,
    #[serde(rename = "traces")]
    _traces: IgnoredAny,
    #[serde(rename = "resource")]
    _resource: IgnoredAny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLogs {
    level: Option<LogLevel>,
    encoding: Option<LogEncoding>,
    #[serde(rename = "development")]
    _development: IgnoredAny,
    #[serde(rename = "disable_caller")]
    _disable_caller: IgnoredAny,
    #[serde(rename = "disable_stacktrace")]
    _disable_stacktrace: IgnoredAny,
    #[serde(rename = "error_output_paths")]
    _error_output_paths: IgnoredAny,
    #[serde(rename = "initial_fields")]
    _initial_fields: IgnoredAny,
    #[serde(rename = "output_paths")]
    _output_paths: IgnoredAny,
    #[serde(rename = "processors")]
    _processors: IgnoredAny,
    #[serde(rename = "sampling")]
    _sampling: IgnoredAny,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogLevel {
    #[serde(alias = "DEBUG")]
    Debug,
    #[serde(alias = "INFO")]
    Info,
    #[serde(alias = "WARN")]
    Warn,
    #[serde(alias = "ERROR")]
    Error,
}

impl LogLevel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogEncoding {
    Console,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawMetrics {
    level: Option<MetricsLevel>,
    address: Option<String>,
    readers: Option<Vec<RawReader>>,
    #[serde(rename = "views")]
    _views: IgnoredAny,
}

/// There is one amount of metrics, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MetricsLevel {
    None,
    Basic,
    Normal,
    Detailed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawReader {
    pull: Option<RawPull>,
    #[serde(rename = "periodic")]
    _periodic: IgnoredAny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPull {
    exporter: RawPullExporter,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPullExporter {
    prometheus: Option<RawPrometheus>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrometheus {
    #[serde(default)]
    host: Option<String>,
    port: u16,
    #[serde(default, rename = "with_resource_constant_labels")]
    _with_resource_constant_labels: IgnoredAny,
    #[serde(default, rename = "without_scope_info")]
    _without_scope_info: IgnoredAny,
    #[serde(default, rename = "without_type_suffix")]
    _without_type_suffix: IgnoredAny,
    #[serde(default, rename = "without_units")]
    _without_units: IgnoredAny,
    #[serde(default, rename = "translation_strategy")]
    _translation_strategy: IgnoredAny,
}

impl RawTelemetry {
    pub(super) fn checked(self) -> Result<Telemetry, Problem> {
        let logs = self.logs.unwrap_or_default();
        let metrics = self.metrics.unwrap_or_default();
        let off = metrics.level == Some(MetricsLevel::None);
        let address = metrics.address();
        if let Some(Err(reason)) = address.as_deref().map(host_port) {
            return Err(Problem::new("service::telemetry::metrics::address", reason));
        }
        let defaults = Telemetry::default();
        Ok(Telemetry {
            log_level: logs
                .level
                .map_or(defaults.log_level, |level| level.as_str().to_owned()),
            json_logs: logs.encoding == Some(LogEncoding::Json),
            metrics_address_is_explicit: address.is_some(),
            metrics_address: if off {
                None
            } else {
                address.or(defaults.metrics_address)
            },
        })
    }
}

impl RawMetrics {
    fn address(&self) -> Option<String> {
        let mut readers = self.readers.iter().flatten();
        let prometheus = readers.find_map(|reader| reader.pull.as_ref()?.exporter.prometheus.as_ref());
        match prometheus {
            Some(reader) => Some(format!(
                "{}:{}",
                reader.host.as_deref().unwrap_or("localhost"),
                reader.port
            )),
            None => self.address.clone(),
        }
    }
}
