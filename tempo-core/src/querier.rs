//! The querier: executes the parts of queries. A part is a block, or what the ingesters have that is not in blocks.
//!
//! Not here: which parts a query has, and joining their answers (the query-frontend).

use async_trait::async_trait;
use tempo_block::read::Reader;
use tempo_config::Config;
use tokio::sync::Semaphore;

use crate::rpc::messages::{JobRequest, JobResponse};
use crate::rpc::peers::Peers;
use crate::rpc::{CallError, CallErrorKind, IngesterApi, QuerierApi};

/// How the querier works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many jobs run at once; others wait.
    pub max_concurrent_jobs: usize,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            max_concurrent_jobs: config.querier.max_concurrent_queries,
        }
    }
}

/// The role.
#[derive(Debug)]
pub struct Querier {
    reader: Reader,
    ingesters: Peers<dyn IngesterApi>,
    jobs: Semaphore,
}

impl Querier {
    /// A querier that reads blocks through `reader` and asks `ingesters` for the rest.
    pub fn new(reader: Reader, ingesters: Peers<dyn IngesterApi>, settings: Settings) -> Self {
        Self {
            reader,
            ingesters,
            jobs: Semaphore::new(settings.max_concurrent_jobs.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }
}

#[async_trait]
impl QuerierApi for Querier {
    async fn run(&self, _request: JobRequest) -> Result<JobResponse, CallError> {
        let _ = (&self.reader, &self.ingesters, &self.jobs);
        Err(CallError::new(CallErrorKind::Unimplemented, "not built yet"))
    }
}
