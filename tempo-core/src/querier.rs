//! The querier: executes the parts of queries. A part is a block, or what the ingesters have that is not in blocks.
//!
//! Not here: which parts a query has, and joining their answers (the query-frontend).

mod recent;

use std::sync::Arc;

use async_trait::async_trait;
use tempo_block::meta::BlockMeta;
use tempo_block::read::{ReadStatistics, Reader};
use tempo_block::scan::Source;
use tempo_config::Config;
use tempo_model::TenantId;
use tokio::sync::Semaphore;

use crate::answer::{answer, statistics};
use crate::rpc::messages::{JobRequest, JobResponse, Query, RecentRequest};
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

    async fn block(
        &self,
        tenant: &TenantId,
        meta: BlockMeta,
        query: &Query,
    ) -> Result<JobResponse, CallError> {
        let read = Arc::new(ReadStatistics::default());
        let block = self.reader.block(tenant, Arc::new(meta), Arc::clone(&read));
        let source = Source::Block(block.map_err(|error| CallError::internal(&error))?);
        match answer(&self.reader.environment, &source, query).await {
            Ok(mut partial) => {
                partial.statistics = Some(statistics(&read.totals()));
                Ok(JobResponse {
                    partial: Some(partial),
                    ..JobResponse::default()
                })
            }
            Err(error) if error.is_gone() => Ok(JobResponse {
                block_gone: true,
                ..JobResponse::default()
            }),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl QuerierApi for Querier {
    async fn run(&self, request: JobRequest) -> Result<JobResponse, CallError> {
        let _permit = self
            .jobs
            .acquire()
            .await
            .map_err(|error| CallError::unavailable(&error))?;
        if request.block.is_empty() {
            let ingesters = self.ingesters.live();
            let request = RecentRequest {
                tenant: request.tenant,
                position: request.position,
                query: request.query,
            };
            return recent::ask(&ingesters, request).await;
        }
        let meta = serde_json::from_slice(&request.block)
            .map_err(|error| invalid(format!("read the meta of a block: {error}")))?;
        let tenant = request.tenant.parse();
        let tenant = tenant.map_err(|error| invalid(format!("tenant of a job: {error}")))?;
        let query = request
            .query
            .ok_or_else(|| invalid("a job without a question".to_owned()))?;
        self.block(&tenant, meta, &query).await
    }
}

fn invalid(message: String) -> CallError {
    CallError::new(CallErrorKind::InvalidArgument, message)
}
