//! Sending again what was not taken, with growing pauses.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use super::{SendError, Sender, Sent};
use crate::config::values;

/// A server that asks for a longer pause than this does not get it.
const LONGEST_ASKED: Duration = Duration::from_hours(1);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Settings of `retry_on_failure`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Whether anything is sent again; true by default.
    pub enabled: bool,
    /// The first pause; 5s by default.
    #[serde(deserialize_with = "values::duration")]
    pub initial_interval: Duration,
    /// The longest pause; 30s by default.
    #[serde(deserialize_with = "values::duration")]
    pub max_interval: Duration,
    /// After how long a request is given up; 300s by default, 0 is never.
    #[serde(deserialize_with = "values::duration")]
    pub max_elapsed_time: Duration,
    /// How much longer each pause is than the one before; 1.5 by default.
    pub multiplier: f64,
    /// How far a pause may stray from its length, as a part of it; 0.5 by default.
    pub randomization_factor: f64,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_mins(5),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

impl RetrySettings {
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.enabled {
            return Ok(());
        }
        for (key, interval) in [
            ("initial_interval", self.initial_interval),
            ("max_interval", self.max_interval),
        ] {
            if interval < SHORTEST_INTERVAL {
                return Err(format!("{key} must be at least 1ms"));
            }
        }
        let bound = self.max_elapsed_time;
        if !bound.is_zero() && (bound < self.initial_interval || bound < self.max_interval) {
            return Err(
                "max_elapsed_time is less than initial_interval or max_interval; raise it".to_owned(),
            );
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            return Err("randomization_factor must lie between 0 and 1".to_owned());
        }
        if !(1.0..=100.0).contains(&self.multiplier) {
            return Err("multiplier must lie between 1 and 100".to_owned());
        }
        Ok(())
    }

    /// The pause of length `interval`, strayed.
    fn strayed(&self, interval: Duration) -> Duration {
        let factor = self.randomization_factor * (rand::random::<f64>() * 2.0 - 1.0);
        scaled(interval, 1.0 + factor)
    }

    /// The length of the pause after one of length `interval`.
    fn next(&self, interval: Duration) -> Duration {
        scaled(interval, self.multiplier).min(self.max_interval)
    }
}

/// `interval` times `factor`, as far as that can be told.
fn scaled(interval: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(interval.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// Sends `payload` until it is taken, refused for good, or given up.
pub(super) async fn send(
    sender: &dyn Sender,
    settings: &RetrySettings,
    payload: Bytes,
) -> Result<Sent, SendError> {
    let started = Instant::now();
    let mut interval = settings.initial_interval;
    loop {
        let error = match sender.send(payload.clone()).await {
            Err(error) if settings.enabled && error.is_retryable => error,
            answer => return answer,
        };
        let asked = error.error.kind.retry_after().unwrap_or_default();
        let pause = settings.strayed(interval).max(asked.min(LONGEST_ASKED));
        let bound = settings.max_elapsed_time;
        if !bound.is_zero() && started.elapsed().saturating_add(pause) > bound {
            return Err(error);
        }
        tracing::info!(%error, ?pause, "sending failed; it is tried again");
        tokio::time::sleep(pause).await;
        interval = settings.next(interval);
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// Refuses with these delays, one after the other, and then takes what it is given; notes when it was asked.
    struct Asking {
        delays: Mutex<Vec<Option<Duration>>>,
        asked: Mutex<Vec<Instant>>,
    }

    #[async_trait::async_trait]
    impl Sender for Asking {
        async fn send(&self, _: Bytes) -> Result<Sent, SendError> {
            self.asked.lock().push(Instant::now());
            match self.delays.lock().pop() {
                Some(delay) => Err(SendError::retryable("not now", delay)),
                None => Ok(Sent::default()),
            }
        }
    }

    /// The pauses, in seconds, between requests to a server that asks for `delays`, and whether it took them.
    async fn pauses(settings: &RetrySettings, delays: &[Option<u64>]) -> (Vec<u64>, bool) {
        let delays = delays.iter().rev().map(|delay| delay.map(Duration::from_secs));
        let server = Asking {
            delays: Mutex::new(delays.collect()),
            asked: Mutex::default(),
        };
        let was_taken = send(&server, settings, Bytes::new()).await.is_ok();
        let asked = server.asked.into_inner();
        let between = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs());
        (between.collect(), was_taken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_ask_for_longer_pauses_and_not_for_shorter_ones() {
        let mut settings = RetrySettings {
            randomization_factor: 0.0,
            multiplier: 2.0,
            ..RetrySettings::default()
        };
        let delays = [None, Some(60), Some(1), None];
        assert_eq!(pauses(&settings, &delays).await, (vec![5, 60, 20, 30], true));
        // Not after all that time, and not after a day.
        assert_eq!(
            pauses(&settings, &[Some(200), Some(200)]).await,
            (vec![200], false)
        );
        settings.max_elapsed_time = Duration::ZERO;
        assert_eq!(pauses(&settings, &[Some(86_400)]).await, (vec![3600], true));
        settings.enabled = false;
        assert_eq!(pauses(&settings, &[None]).await, (vec![], false));
    }

    #[test]
    fn pauses_grow_up_to_the_longest_however_long_that_is() {
        let mut settings = RetrySettings::default();
        assert_eq!(settings.next(Duration::from_secs(10)), Duration::from_secs(15));
        assert_eq!(settings.next(Duration::from_secs(29)), Duration::from_secs(30));
        settings.max_interval = Duration::MAX;
        assert_eq!(settings.next(Duration::MAX), Duration::MAX);
        assert!(settings.strayed(Duration::MAX) > Duration::from_hours(1));
    }
}
