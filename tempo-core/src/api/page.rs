//! The page: a search box, the traces that were found, and the waterfall of one.

use axum::Router;

use super::Api;

/// The page's routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
}
