//! The commit logs of all tenants and the log of WAL streams as a process knows them, each opened once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tempo_block::log::{CommitLog, LogError, StreamLog};
use tempo_block::store::Store;
use tempo_model::TenantId;
use tempo_runtime::Environment;
use tokio::sync::OnceCell;

/// With more logs than this those without entries are not kept.
const MOST_EMPTY: usize = 1024;

/// The commit logs of all tenants. Cheap to clone; clones share the logs.
#[derive(Debug, Clone)]
pub struct CommitLogs {
    environment: Environment,
    store: Store,
    logs: Arc<Mutex<BTreeMap<TenantId, Arc<OnceCell<CommitLog>>>>>,
    streams: Arc<OnceCell<StreamLog>>,
}

impl CommitLogs {
    /// The logs that lie in `store`.
    pub fn new(environment: Environment, store: Store) -> Self {
        Self {
            environment,
            store,
            logs: Arc::default(),
            streams: Arc::default(),
        }
    }

    /// A tenant's log, read to its end when it is opened; follow it for what came later.
    ///
    /// Of logs without entries only some are kept, so that requests in the name of tenants that do not exist leave little
    /// behind, and a tenant without blocks costs no more than others.
    pub async fn get(&self, tenant: &TenantId) -> Result<CommitLog, LogError> {
        let cell = Arc::clone(self.logs.lock().entry(tenant.clone()).or_default());
        let opened = cell
            .get_or_try_init(|| CommitLog::open(&self.environment, &self.store, tenant))
            .await
            .cloned();
        let has_entries = |log: &CommitLog| log.position() > 0;
        let few = || self.logs.lock().len() <= MOST_EMPTY;
        let worth_keeping = opened.as_ref().is_ok_and(|log| has_entries(log) || few());
        if !worth_keeping {
            self.forget(tenant, &cell);
        }
        opened
    }

    /// The log of WAL streams, read to its end when it is opened; follow it for what came later.
    pub async fn streams(&self) -> Result<&StreamLog, LogError> {
        let open = || StreamLog::open(&self.environment, &self.store);
        self.streams.get_or_try_init(open).await
    }

    fn forget(&self, tenant: &TenantId, cell: &Arc<OnceCell<CommitLog>>) {
        let mut logs = self.logs.lock();
        if logs.get(tenant).is_some_and(|known| Arc::ptr_eq(known, cell)) {
            logs.remove(tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use tempo_block::log::Transaction;
    use tempo_block::store::{self, Settings};

    use super::*;

    #[tokio::test]
    async fn a_log_is_opened_once_and_few_are_kept_without_entries() {
        let environment = Environment::system();
        let store = store::open(&Settings::Memory).unwrap();
        let logs = CommitLogs::new(environment, store);
        let tenant = TenantId::single();
        let log = logs.get(&tenant).await.unwrap();
        log.commit(Transaction::default()).await.unwrap();
        assert_eq!(logs.get(&tenant).await.unwrap().position(), 1, "it is the same");
        for number in 0..MOST_EMPTY + 10 {
            let tenant: TenantId = format!("nobody-{number}").parse().unwrap();
            logs.get(&tenant).await.unwrap();
        }
        assert_eq!(logs.logs.lock().len(), MOST_EMPTY);
        logs.get(&tenant).await.unwrap();
        assert!(logs.logs.lock().contains_key(&tenant));
    }
}
