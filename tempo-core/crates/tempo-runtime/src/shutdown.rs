//! Orderly shutdown: a token says stop, and a tracker knows when everyone has.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Tells tasks to stop and waits until they have. Cheap to clone; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everyone to stop. Returns at once; may be called again.
    pub fn trigger(&self) {
        self.token.cancel();
        self.tracker.close();
    }

    /// Whether stopping was asked for.
    pub fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Completes when stopping is asked for.
    pub fn triggered(&self) -> impl Future<Output = ()> + Send + 'static {
        self.token.clone().cancelled_owned()
    }

    /// Holds [`Shutdown::finished`] back until the guard is dropped.
    pub fn guard(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// Completes when stopping was asked for and every guard is gone.
    pub async fn finished(&self) {
        self.triggered().await;
        self.tracker.wait().await;
    }

    /// A shutdown of its own that also ends with this one: for a part that may stop earlier than the whole.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            tracker: TaskTracker::new(),
        }
    }
}
