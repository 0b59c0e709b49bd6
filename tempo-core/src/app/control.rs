//! What an operator asks of an ingester over HTTP: `/flush` and `/shutdown`.

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tempo_runtime::Shutdown;

use crate::ingester::Ingester;

/// `/flush` answers 204 once everything that was taken in is in blocks. `/shutdown` flushes too, and then ends the process
/// by `end`. Both are GET and POST, as upstream's are.
pub(super) fn routes(ingester: Ingester, end: Shutdown) -> Router {
    let flush = {
        let ingester = ingester.clone();
        move || async move {
            ingester.flush().await;
            StatusCode::NO_CONTENT
        }
    };
    let shutdown = move || async move {
        ingester.flush().await;
        end.trigger();
        StatusCode::NO_CONTENT
    };
    Router::new()
        .route("/flush", get(flush.clone()).post(flush))
        .route("/shutdown", get(shutdown.clone()).post(shutdown))
}
