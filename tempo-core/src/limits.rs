//! The limits of each tenant: the defaults of the configuration, and what the per-tenant file says over them, which is
//! read again while the process runs.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tempo_config::{ConfigError, Limits, Overrides, PerTenantOverrides, load_overrides};
use tempo_model::TenantId;
use tempo_runtime::{Environment, Shutdown};

/// How often the per-tenant file is read when the configuration does not say.
const DEFAULT_PERIOD: Duration = Duration::from_secs(10);

/// A per-tenant file that cannot be used. What was in effect stays in effect.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// It cannot be read.
    #[error("read the overrides of tenants from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has a mistake.
    #[error("read the overrides of tenants from {}: {source}", path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// Which.
        source: ConfigError,
    },
    /// What it says of a tenant is of the wrong kind.
    #[error("read the overrides of tenant {tenant} from {}: {source}", path.display())]
    Tenant {
        /// The file.
        path: PathBuf,
        /// The tenant.
        tenant: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// The limits of all tenants. Cheap to clone; clones see the same changes.
#[derive(Debug, Clone, Default)]
pub struct TenantLimits(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    defaults: Arc<Limits>,
    by_tenant: HashMap<String, Arc<Limits>>,
}

impl TenantLimits {
    /// The same limits for everyone.
    pub fn new(defaults: Limits) -> Self {
        Self(Arc::new(RwLock::new(Known {
            defaults: Arc::new(defaults),
            by_tenant: HashMap::new(),
        })))
    }

    /// The limits of the tenants that have none of their own.
    pub fn defaults(&self) -> Arc<Limits> {
        Arc::clone(&self.0.read().defaults)
    }

    /// A tenant's limits.
    pub fn of(&self, tenant: &TenantId) -> Arc<Limits> {
        let known = self.0.read();
        let own = known.by_tenant.get(tenant.as_str());
        let limits = own.or_else(|| known.by_tenant.get("*"));
        Arc::clone(limits.unwrap_or(&known.defaults))
    }

    /// The limits of the tenants that have some of their own; `*` stands for those that are not named.
    pub fn of_named_tenants(&self) -> BTreeMap<String, Arc<Limits>> {
        let known = self.0.read();
        let own = known.by_tenant.iter();
        own.map(|(tenant, limits)| (tenant.clone(), Arc::clone(limits)))
            .collect()
    }

    /// Puts what a per-tenant file says in the place of what the one before said.
    fn replace(&self, file: &Path, overrides: &PerTenantOverrides) -> Result<(), LimitsError> {
        let defaults = Arc::clone(&self.0.read().defaults);
        let limits_of = |tenant: &String| match overrides.for_tenant(tenant, &defaults) {
            Ok(limits) => Ok((tenant.clone(), Arc::new(limits))),
            Err(source) => Err(LimitsError::Tenant {
                path: file.to_owned(),
                tenant: tenant.clone(),
                source,
            }),
        };
        let by_tenant = overrides
            .overrides
            .keys()
            .map(limits_of)
            .collect::<Result<_, _>>()?;
        self.0.write().by_tenant = by_tenant;
        Ok(())
    }
}

/// The per-tenant file of a configuration, and how often it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverridesFile {
    path: PathBuf,
    period: Duration,
}

impl OverridesFile {
    /// The file that `overrides.per_tenant_override_config` names; `None` when it names none.
    pub fn of(overrides: &Overrides) -> Option<Self> {
        let path = &overrides.per_tenant_override_config;
        let period = overrides.per_tenant_override_period;
        (!path.is_empty()).then(|| Self {
            path: path.into(),
            period: if period.is_zero() {
                DEFAULT_PERIOD
            } else {
                period.0
            },
        })
    }

    /// Reads the file into `limits`. Returns what a person should know about it, one sentence each.
    pub async fn load(&self, limits: &TenantLimits) -> Result<Vec<String>, LimitsError> {
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = text.map_err(|source| LimitsError::Read {
            path: self.path.clone(),
            source,
        })?;
        let (overrides, warnings) = load_overrides(&text).map_err(|source| LimitsError::Mistake {
            path: self.path.clone(),
            source,
        })?;
        limits.replace(&self.path, &overrides)?;
        Ok(warnings)
    }

    /// Reads the file time and again until shutdown. A file that cannot be used is logged once until that changes.
    pub async fn follow(self, environment: Environment, limits: TenantLimits, shutdown: Shutdown) {
        let _guard = shutdown.guard();
        let mut last_problem = String::new();
        loop {
            tokio::select! {
                () = shutdown.triggered() => return,
                () = environment.clock.sleep(self.period) => {}
            }
            let loaded = self.load(&limits).await;
            let problem = loaded.err().map_or_else(String::new, |error| error.to_string());
            if problem != last_problem && !problem.is_empty() {
                tracing::error!(
                    problem,
                    "overrides of tenants cannot be read; those before stay in effect"
                );
            }
            last_problem = problem;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(yaml: &str) -> PerTenantOverrides {
        load_overrides(yaml).unwrap().0
    }

    fn rate(limits: &TenantLimits, tenant: &str) -> u64 {
        limits.of(&tenant.parse().unwrap()).ingestion.rate_limit_bytes
    }

    #[test]
    fn a_tenants_own_limits_come_before_everyones_and_the_defaults() {
        let limits = TenantLimits::default();
        let file = Path::new("overrides.yaml");
        let text = "overrides: { a: { ingestion: { rate_limit_bytes: 1 } } }";
        limits.replace(file, &overrides(text)).unwrap();
        assert_eq!((rate(&limits, "a"), rate(&limits, "b")), (1, 30_000_000));
        let text = "overrides: { '*': { ingestion: { rate_limit_bytes: 2 } } }";
        limits.replace(file, &overrides(text)).unwrap();
        assert_eq!((rate(&limits, "a"), rate(&limits, "b")), (2, 2));
        let wrong = overrides("overrides: { a: { ingestion: { rate_limit_bytes: many } } }");
        let error = limits.replace(file, &wrong).unwrap_err().to_string();
        assert!(error.contains("tenant a"), "{error}");
        assert_eq!(rate(&limits, "a"), 2, "what was in effect stays");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let file = OverridesFile::of(&Overrides {
            per_tenant_override_config: "/nowhere/overrides.yaml".to_owned(),
            ..Overrides::default()
        })
        .unwrap();
        assert_eq!(file.period, DEFAULT_PERIOD);
        let error = file.load(&TenantLimits::default()).await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/overrides.yaml"), "{error}");
        assert_eq!(OverridesFile::of(&Overrides::default()), None);
    }
}
