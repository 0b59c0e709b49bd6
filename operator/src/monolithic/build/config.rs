//! Tempo's configuration for a TempoMonolithic.

use tempo_config::Config;

use crate::{
    configuration::{
        self, BuildError, OTLP_GRPC_PORT, OTLP_HTTP_PORT, ReceiverDirectories, receiver_endpoint,
    },
    monolithic::validate::{Receiver, ValidatedMonolithic},
};

/// Name of the file in the ConfigMap.
pub(super) const FILE: &str = "tempo.yaml";

/// The file that Tempo reads at its start.
pub fn file(monolithic: &ValidatedMonolithic) -> Result<String, BuildError> {
    let extra = monolithic.configuration.extra.as_ref();
    configuration::file(FILE, &config(monolithic), extra)
}

/// Where the certificates of the receiver of a protocol are mounted.
pub(super) fn receiver_directories(protocol: &str) -> ReceiverDirectories {
    ReceiverDirectories {
        certificate: format!("/var/run/tls/receiver/{protocol}"),
        ca: format!("/var/run/ca-receiver/{protocol}"),
    }
}

fn config(monolithic: &ValidatedMonolithic) -> Config {
    let settings = &monolithic.configuration;
    let mut config = Config::default();
    configuration::common(
        &mut config,
        settings.timeout,
        settings.multitenancy,
        settings.mcp_server,
    );
    let endpoint = |receiver: &Option<Receiver>, protocol: &str, port: i32| {
        let directories = receiver_directories(protocol);
        let receiver = receiver.as_ref()?;
        let tls = receiver.tls.as_ref().map(|tls| (tls, &directories));
        Some(receiver_endpoint(port, tls))
    };
    config.distributor.receivers.otlp = Some(configuration::otlp(
        endpoint(&settings.grpc, "grpc", OTLP_GRPC_PORT),
        endpoint(&settings.http, "http", OTLP_HTTP_PORT),
    ));
    config.storage.trace = match &monolithic.storage.objects {
        Some(objects) => configuration::object_storage(objects),
        None => configuration::local_storage("blocks"),
    };
    config
}
