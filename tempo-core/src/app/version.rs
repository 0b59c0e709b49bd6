//! Which version this is, for people and for Grafana.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tempo_runtime::metrics::MetricsRegistry;

/// Our own version.
pub const OWN: &str = env!("CARGO_PKG_VERSION");
/// The version of Tempo whose API this is, with ours behind the plus: Grafana asks for it to decide what it may use.
pub const COMPATIBLE: &str = concat!("2.10.8+tempo-rs.", env!("CARGO_PKG_VERSION"));
/// The commit, where the build says it.
pub const REVISION: &str = match option_env!("TEMPO_RS_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
/// The branch, where the build says it.
pub const BRANCH: &str = match option_env!("TEMPO_RS_BRANCH") {
    Some(branch) => branch,
    None => "unknown",
};

/// For `-version` and `/status/version`.
pub fn text() -> String {
    format!("tempo, version {OWN} (API of Tempo {COMPATIBLE}, revision {REVISION})\n")
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    branch: &'static str,
    revision: &'static str,
    version: &'static str,
}

/// Registers `tempo_build_info`.
pub(super) fn register(metrics: &MetricsRegistry) {
    let info: Family<Labels, Gauge> = metrics.register(
        "tempo_build_info",
        "Version of this process; the value is always 1",
        Family::default(),
    );
    let labels = Labels {
        branch: BRANCH,
        revision: REVISION,
        version: COMPATIBLE,
    };
    info.get_or_create(&labels).set(1);
}
