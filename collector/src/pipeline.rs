//! Joins: one way of spans into several.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use tempo_receiver::{ConsumeError, Taken, TraceBatch, TraceConsumer};

/// Hands every batch to all of several consumers at once, so that a slow one delays no other.
pub struct FanOut(Vec<Arc<dyn TraceConsumer>>);

impl FanOut {
    /// One consumer for several; a single one is itself.
    pub fn of(mut consumers: Vec<Arc<dyn TraceConsumer>>) -> Arc<dyn TraceConsumer> {
        match (consumers.len(), consumers.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                consumers.extend(last);
                Arc::new(Self(consumers))
            }
        }
    }
}

#[async_trait]
impl TraceConsumer for FanOut {
    /// All must take the batch. Where one might take it later, the client hears so, and others may get it twice: a
    /// duplicate can be told, a loss cannot.
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        let answers = join_all(self.0.iter().map(|consumer| consumer.consume(batch.clone()))).await;
        let mut errors: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        errors.sort_by_key(|error| !error.kind.is_retryable());
        errors
            .into_iter()
            .next()
            .map_or_else(|| Ok(Taken::default()), Err)
    }
}
