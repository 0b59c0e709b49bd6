//! Evaluation over a row group that is loaded as evaluation needs it.

use std::sync::Arc;

use tempo_runtime::Environment;
use tempo_traceql::EvaluateError;
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::{FetchError, Field};

use super::{ReadError, RowGroup};

/// Something of a row group that must be loaded before it can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wanted {
    /// A field's column.
    Field(Field),
    /// Which trace each row belongs to.
    Ordinals,
    /// The parents of all rows.
    Parents,
    /// The keys of attributes in a scope.
    Keys(Scope),
    /// All attributes in a scope.
    Attributes(Scope),
}

/// Something was asked for that is not loaded: a round of evaluation ends here, see [`super::RowGroup::take_missing`].
#[derive(Debug, thiserror::Error)]
#[error("not loaded yet")]
pub(crate) struct NotLoaded;

impl NotLoaded {
    /// The error of a batch that was asked for `what`.
    pub(crate) fn error(what: &dyn std::fmt::Debug) -> FetchError {
        FetchError {
            what: format!("{what:?}"),
            source: Box::new(Self),
        }
    }
}

/// What is to be done with a row group.
pub type Work<T> = Arc<dyn Fn(&dyn RowGroup) -> Result<T, EvaluateError> + Send + Sync>;

/// Evaluates `work` over a row group on the CPU pool, loading what it asks for. `more` is loaded along with the first
/// thing that was missing: what a query that has matches asks for.
///
/// `work` may run several times; it must not depend on what an earlier run did.
pub async fn evaluate<T: Send + 'static>(
    environment: &Environment,
    group: &Arc<dyn RowGroup>,
    more: &[Wanted],
    work: Work<T>,
) -> Result<Result<T, EvaluateError>, ReadError> {
    let mut more = Some(more);
    loop {
        let (group_of_round, work) = (Arc::clone(group), Arc::clone(&work));
        let result = environment
            .run_cpu("evaluate", move || work(&*group_of_round))
            .await?;
        let mut missing = group.take_missing();
        if result.is_ok() || missing.is_empty() {
            return Ok(result);
        }
        missing.extend_from_slice(more.take().unwrap_or_default());
        missing.sort_unstable();
        missing.dedup();
        group.load(&missing).await?;
    }
}
