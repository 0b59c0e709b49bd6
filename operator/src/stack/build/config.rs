//! Tempo's configuration for a TempoStack, in Tempo 2's layout.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tempo_config::{Config, Limits, PerTenantOverrides};

use super::{
    name_of,
    services::{FRONTEND_DISCOVERY, GOSSIP_RING},
};
use crate::{
    configuration::{
        self, BuildError, GRPC_PORT, OTLP_GRPC_PORT, OTLP_HTTP_PORT, ReceiverDirectories, receiver_endpoint,
    },
    pod::{CONFIG_DIRECTORY, DATA_DIRECTORY},
    stack::validate::{StackConfiguration, TenantLimits, ValidatedStack},
};

/// Configuration of all components but the query-frontend.
pub(super) const FILE: &str = "tempo.yaml";
/// Configuration of the query-frontend.
pub(super) const FRONTEND_FILE: &str = "tempo-query-frontend.yaml";
/// Limits of single tenants, which are read again while running.
pub(super) const OVERRIDES_FILE: &str = "overrides.yaml";
/// Environment variable with the address of the pod.
pub(super) const POD_ADDRESS_VARIABLE: &str = "HASH_RING_INSTANCE_ADDR";

/// The files of the stack's ConfigMap.
pub(super) fn files(stack: &ValidatedStack) -> Result<BTreeMap<String, String>, BuildError> {
    let text = main_file(stack)?;
    let overrides = configuration::to_yaml(OVERRIDES_FILE, &overrides_file(&stack.configuration))?;
    Ok(BTreeMap::from([
        (FILE.to_owned(), text.clone()),
        (FRONTEND_FILE.to_owned(), text),
        (OVERRIDES_FILE.to_owned(), overrides),
    ]))
}

/// The file that the components read at their start.
pub fn main_file(stack: &ValidatedStack) -> Result<String, BuildError> {
    configuration::file(FILE, &config(stack), stack.configuration.extra.as_ref())
}

/// Where the certificates of the receivers are mounted.
pub(super) fn receiver_directories() -> ReceiverDirectories {
    ReceiverDirectories {
        certificate: "/var/run/tls/receiver".to_owned(),
        ca: "/var/run/ca-receiver".to_owned(),
    }
}

fn config(stack: &ValidatedStack) -> Config {
    let settings = &stack.configuration;
    let mut config = Config::default();
    configuration::common(
        &mut config,
        settings.timeout,
        settings.multitenancy,
        settings.mcp_server,
    );
    let directories = receiver_directories();
    let tls = settings.receiver_tls.as_ref().map(|tls| (tls, &directories));
    config.distributor.receivers.otlp = Some(configuration::otlp(
        Some(receiver_endpoint(OTLP_GRPC_PORT, tls)),
        Some(receiver_endpoint(OTLP_HTTP_PORT, tls)),
    ));
    "memberlist".clone_into(&mut config.distributor.ring.kvstore.store);
    config.compactor.compaction.block_retention = settings.retention;
    "memberlist".clone_into(&mut config.compactor.ring.kvstore.store);
    config.querier.frontend_worker.frontend_address =
        format!("{}:{GRPC_PORT}", name_of(stack, FRONTEND_DISCOVERY));
    config.storage.trace = configuration::object_storage(&stack.storage);
    ingester(&mut config, settings);
    search(&mut config, settings);
    memberlist(&mut config, stack);
    set_limits(&mut config.overrides.defaults, &settings.limits);
    config.overrides.per_tenant_override_config = format!("{CONFIG_DIRECTORY}/{OVERRIDES_FILE}");
    config
}

fn ingester(config: &mut Config, settings: &StackConfiguration) {
    let lifecycler = &mut config.ingester.lifecycler;
    "memberlist".clone_into(&mut lifecycler.ring.kvstore.store);
    lifecycler.ring.replication_factor = settings.replication_factor;
    lifecycler.tokens_file_path = format!("{DATA_DIRECTORY}/tokens.json");
    lifecycler.enable_inet6 = settings.enable_ipv6;
    if settings.pod_addresses {
        lifecycler.address = pod_address();
    }
}

fn search(config: &mut Config, settings: &StackConfiguration) {
    let search = &mut config.query_frontend.search;
    set(&mut search.max_duration, settings.search_max_duration);
    set(
        &mut search.default_result_limit,
        settings.search_default_result_limit,
    );
    set(&mut search.max_result_limit, settings.search_max_result_limit);
}

fn memberlist(config: &mut Config, stack: &ValidatedStack) {
    config.memberlist.join_members = vec![name_of(stack, GOSSIP_RING)];
    if stack.configuration.pod_addresses {
        config.memberlist.advertise_addr = pod_address();
    }
}

/// What Tempo replaces by the address of its pod.
fn pod_address() -> String {
    format!("${{{POD_ADDRESS_VARIABLE}}}")
}

fn set_limits(limits: &mut Limits, settings: &TenantLimits) {
    set(
        &mut limits.ingestion.burst_size_bytes,
        settings.ingestion_burst_size_bytes,
    );
    set(
        &mut limits.ingestion.rate_limit_bytes,
        settings.ingestion_rate_limit_bytes,
    );
    set(
        &mut limits.ingestion.max_traces_per_user,
        settings.max_traces_per_user,
    );
    set(
        &mut limits.global.max_bytes_per_trace,
        settings.max_bytes_per_trace,
    );
    set(
        &mut limits.read.max_bytes_per_tag_values_query,
        settings.max_bytes_per_tag_values,
    );
    set(&mut limits.read.max_search_duration, settings.max_search_duration);
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// Limits of the tenants that have some of their own. What an entry leaves out comes from the defaults.
fn overrides_file(settings: &StackConfiguration) -> PerTenantOverrides {
    PerTenantOverrides {
        overrides: settings
            .tenants
            .iter()
            .map(|(tenant, limits)| (tenant.clone(), entry(limits)))
            .collect(),
    }
}

fn entry(limits: &TenantLimits) -> Value {
    let settings = [
        (
            "ingestion",
            "burst_size_bytes",
            limits.ingestion_burst_size_bytes.map(Value::from),
        ),
        (
            "ingestion",
            "rate_limit_bytes",
            limits.ingestion_rate_limit_bytes.map(Value::from),
        ),
        (
            "ingestion",
            "max_traces_per_user",
            limits.max_traces_per_user.map(Value::from),
        ),
        (
            "global",
            "max_bytes_per_trace",
            limits.max_bytes_per_trace.map(Value::from),
        ),
        (
            "read",
            "max_bytes_per_tag_values_query",
            limits.max_bytes_per_tag_values.map(Value::from),
        ),
        (
            "read",
            "max_search_duration",
            limits.max_search_duration.map(|duration| json!(duration)),
        ),
        (
            "compaction",
            "block_retention",
            limits.block_retention.map(|duration| json!(duration)),
        ),
    ];
    let mut entry = Map::new();
    for (section, key, value) in settings {
        if let Some(value) = value {
            let section = entry.entry(section).or_insert_with(|| json!({}));
            section[key] = value;
        }
    }
    Value::Object(entry)
}
