//! From text to configuration.

use crate::arguments::Arguments;
use crate::effect;
use crate::expand::expand_environment;
use crate::overrides::PerTenantOverrides;
use crate::sections::Config;
use crate::yaml::{self, YamlError};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file has a mistake; the message says where.
    #[error("read the configuration: {0}")]
    Yaml(#[from] YamlError),
    /// A flag has a value of the wrong kind.
    #[error("flag -{flag}={value}: {reason}")]
    Flag {
        /// The flag.
        flag: String,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// The configuration cannot be written as a tree.
    #[error("write the configuration: {0}")]
    Write(#[from] serde_json::Error),
}

/// A configuration and what a person should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What is in effect.
    pub config: Config,
    /// Keys that are not known, and values without effect: one sentence each.
    pub warnings: Vec<String>,
}

/// Loads `text` (empty for defaults) and lets the flags of `arguments` win over it. `environment` answers `${VAR}`.
pub fn load(
    text: &str,
    arguments: &Arguments,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let text = if arguments.expand_environment {
        expand_environment(text, environment)
    } else {
        text.to_owned()
    };
    let mut config: Config = yaml::read(&text, &mut |path| {
        warnings.push(format!("{path}: not known here, ignored"));
    })?;
    config.adopt_other_dialects();
    let config = apply_flags(config, arguments, &mut warnings)?;
    let trees = (
        serde_json::to_value(&config)?,
        serde_json::to_value(Config::default())?,
    );
    warnings.extend(effect::without_effect(&trees.0, &trees.1));
    Ok(Loaded { config, warnings })
}

fn apply_flags(
    config: Config,
    arguments: &Arguments,
    warnings: &mut Vec<String>,
) -> Result<Config, ConfigError> {
    let mut tree = serde_json::to_value(&config)?;
    let mut config = config;
    for (flag, value) in &arguments.settings {
        if !crate::tree::set(&mut tree, flag, yaml::scalar(value)) {
            warnings.push(format!("flag -{flag}: not known here, ignored"));
            continue;
        }
        config = serde_json::from_value(tree.clone()).map_err(|error| ConfigError::Flag {
            flag: flag.clone(),
            value: value.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(config)
}

/// Loads a per-tenant overrides file.
pub fn load_overrides(text: &str) -> Result<(PerTenantOverrides, Vec<String>), ConfigError> {
    let mut warnings = Vec::new();
    let overrides = yaml::read(text, &mut |path| {
        warnings.push(format!("{path}: not known here, ignored"));
    })?;
    Ok((overrides, warnings))
}

impl Config {
    /// The file as it is in effect, defaults included, secrets masked.
    pub fn to_masked_yaml(&self) -> Result<String, ConfigError> {
        Ok(yaml::write(&crate::tree::masked(&serde_json::to_value(self)?))?)
    }

    /// What differs from the defaults, as a tree: what the operator renders and merges `extraConfig` into.
    pub fn to_tree(&self) -> Result<serde_json::Value, ConfigError> {
        let default = serde_json::to_value(Self::default())?;
        Ok(crate::tree::without_defaults(
            &serde_json::to_value(self)?,
            &default,
        ))
    }

    /// A tree as the text of a file.
    pub fn tree_to_yaml(tree: &serde_json::Value) -> Result<String, ConfigError> {
        Ok(yaml::write(tree)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Loaded, ConfigError> {
        load(text, &Arguments::default(), |_| None)
    }

    #[test]
    fn both_dialects_are_understood() {
        let two =
            load_text("ingester: {max_block_duration: 5m}\ncompactor: {compaction: {block_retention: 1h}}")
                .unwrap();
        let three = load_text(
            "live_store: {max_block_duration: 5m}\nbackend_worker: {compaction: {block_retention: 1h}}",
        )
        .unwrap();
        assert_eq!(two, three);
        assert_eq!(two.warnings, Vec::<String>::new());
        let scheduled = load_text(
            "live_store: {max_block_duration: 5m}\n\
             backend_scheduler: {provider: {compaction: {compaction: {block_retention: 1h}}}}",
        )
        .unwrap();
        assert_eq!(two, scheduled);
    }

    #[test]
    fn unknown_keys_are_warnings_with_their_path() {
        let loaded = load_text("querier: {search: {foo: 1}}\nserver: {http_listen_port: 80}").unwrap();
        assert_eq!(loaded.warnings, ["querier.search: not known here, ignored"]);
        assert_eq!(loaded.config.server.http_listen_port, 80);
    }

    #[test]
    fn settings_that_change_nothing_are_warnings() {
        let text = "server: {grpc_server_max_recv_msg_size: 4194304}\n\
                    ingester: {lifecycler: {ring: {replication_factor: 1}}}\n\
                    distributor: {receivers: {otlp: {protocols: {grpc: {tls: {min_version: '1.3'}}, http: {tls: }}}}}";
        assert_eq!(
            load_text(text).unwrap().warnings,
            [
                "server.grpc_server_max_recv_msg_size: has no effect; messages between roles may have 128 MiB",
                "distributor.receivers.otlp.protocols.grpc.tls.min_version: has no effect; TLS 1.2 and 1.3 are offered",
            ]
        );
        let text = "ingester: {lifecycler: {ring: {replication_factor: 3}}}";
        assert!(load_text(text).unwrap().warnings[0].contains("replication is not built yet"));
    }

    #[test]
    fn wrong_values_are_errors_with_line_and_column() {
        let error = load_text("server:\n  http_listen_port: many\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("server.http_listen_port") && error.contains("line 2"),
            "{error}"
        );
    }

    #[test]
    fn flat_and_scoped_limits_are_the_same() {
        let flat = load_text("overrides: {ingestion_rate_limit_bytes: 7, block_retention: 2h}").unwrap();
        let scoped =
            "overrides: {defaults: {ingestion: {rate_limit_bytes: 7}, compaction: {block_retention: 2h}}}";
        assert_eq!(flat, load_text(scoped).unwrap());
    }

    #[test]
    fn a_receiver_named_without_a_value_is_on() {
        let loaded =
            load_text("distributor: {receivers: {otlp: {protocols: {grpc: , http: {endpoint: ':1'}}}}}")
                .unwrap();
        let protocols = loaded.config.distributor.receivers.otlp.unwrap().protocols;
        assert_eq!(protocols.grpc, Some(crate::ReceiverEndpoint::default()));
        assert_eq!(protocols.http.unwrap().endpoint, ":1");
    }

    #[test]
    fn what_is_rendered_loads_again() {
        let mut config = Config::default();
        config.storage.trace.s3.secret_key = "yes".to_owned();
        config.memberlist.join_members = vec!["a:1".to_owned()];
        let text = Config::tree_to_yaml(&config.to_tree().unwrap()).unwrap();
        assert_eq!(load_text(&text).unwrap().config, config);
        assert!(!config.to_masked_yaml().unwrap().contains("yes"));
    }

    #[test]
    fn tenants_say_only_what_differs() {
        let (overrides, _) = load_overrides("overrides: {a: {ingestion: {rate_limit_bytes: 5}}}").unwrap();
        let defaults = crate::Limits::default();
        let limits = overrides.for_tenant("a", &defaults).unwrap();
        assert_eq!(limits.ingestion.rate_limit_bytes, 5);
        assert_eq!(
            limits.ingestion.burst_size_bytes,
            defaults.ingestion.burst_size_bytes
        );
        assert_eq!(overrides.for_tenant("b", &defaults).unwrap(), defaults);
    }
}
