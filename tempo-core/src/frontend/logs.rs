//! The commit logs of tenants, opened when they are first asked for.

use std::sync::Arc;

use moka::future::Cache;
use tempo_block::log::{CommitLog, LogError};
use tempo_block::store::Store;
use tempo_model::TenantId;
use tempo_runtime::Environment;

/// How many tenants' logs are kept open; others are opened again when they are asked for.
const MAX_OPEN: u64 = 10_000;

/// The logs of all tenants.
#[derive(Debug)]
pub(super) struct Logs {
    environment: Environment,
    store: Store,
    open: Cache<TenantId, CommitLog>,
}

impl Logs {
    pub(super) fn new(environment: Environment, store: Store) -> Self {
        Self {
            environment,
            store,
            open: Cache::new(MAX_OPEN),
        }
    }

    /// A tenant's log; that of a tenant without data is empty.
    pub(super) async fn of(&self, tenant: &TenantId) -> Result<CommitLog, Arc<LogError>> {
        let open = CommitLog::open(&self.environment, &self.store, tenant);
        self.open.try_get_with(tenant.clone(), open).await
    }
}
