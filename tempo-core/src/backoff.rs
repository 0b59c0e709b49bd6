//! Waiting before something is tried again: longer each time, never longer than a limit, and not in step with others.

use std::time::Duration;

use tempo_runtime::Environment;

/// The pauses of one thing that is tried until it works.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses from `first`, doubled each time, up to `longest`; each is drawn from the upper half of its length.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// Waits for the next pause.
    pub async fn pause(&mut self, environment: &Environment) {
        let half = self.next / 2;
        let jitter = environment.random.next_u64() % (half.as_millis() as u64).max(1);
        self.next = (self.next * 2).min(self.longest);
        environment
            .clock
            .sleep(half + Duration::from_millis(jitter))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_the_longest() {
        let environment = Environment::simulated(1, 0);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
        for most in [1, 2, 4, 4] {
            let before = environment.clock.since_boot();
            backoff.pause(&environment).await;
            let took = environment.clock.since_boot().saturating_sub(before);
            let most = Duration::from_secs(most);
            assert!(took >= most / 2 && took <= most, "{took:?} of {most:?}");
        }
    }
}
