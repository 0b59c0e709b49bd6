//! How fast a job goes: as fast as it can, or so that queries do not feel it.

use std::time::Duration;

use tempo_runtime::Environment;

/// The longest rest after a piece of work.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// How fast a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// As fast as it can.
    #[default]
    Full,
    /// After each row group it rests as long as that took: it works half of the time.
    Half,
}

/// Keeps a job's pace.
#[derive(Debug)]
pub(super) struct Pacer {
    environment: Environment,
    pace: Pace,
    /// When the piece of work that is being done began.
    began: Duration,
}

impl Pacer {
    /// A pacer of a job that begins now.
    pub(super) fn new(environment: &Environment, pace: Pace) -> Self {
        Self {
            environment: environment.clone(),
            pace,
            began: environment.clock.since_boot(),
        }
    }

    /// Rests after a piece of work, as far as the pace asks for it.
    pub(super) async fn rest(&mut self) {
        if self.pace == Pace::Half {
            let took = self.environment.clock.since_boot().saturating_sub(self.began);
            self.environment.clock.sleep(took.min(LONGEST_REST)).await;
            self.began = self.environment.clock.since_boot();
        }
    }
}
