//! How long a failed reconcile waits before it is tried again.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// Failures in a row after which a passing trouble is one that people should see.
pub const PATIENCE: u32 = 3;

/// Failures in a row, by resource.
#[derive(Debug, Default)]
pub struct Failures {
    counts: Mutex<HashMap<String, u32>>,
}

impl Failures {
    /// Counts a failure of the resource with a uid, and returns how many there are in a row.
    pub fn count(&self, uid: &str) -> u32 {
        let mut counts = self.counts.lock();
        let count = counts.entry(uid.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// The resource is fine, or gone.
    pub fn forget(&self, uid: &str) {
        self.counts.lock().remove(uid);
    }

    /// How long to wait before the next attempt.
    pub fn delay(&self, uid: &str) -> Duration {
        let count = self.counts.lock().get(uid).copied().unwrap_or(1);
        let factor = 2_u32.saturating_pow(count.saturating_sub(1).min(16));
        FIRST.saturating_mul(factor).min(LONGEST)
    }
}

/// Whether people should see a failure: the API server refuses what it is asked, or it goes on.
pub fn is_lasting(source: Option<&kube::Error>, failures_in_a_row: u32) -> bool {
    let is_refused = match source {
        Some(kube::Error::Api(status)) => {
            (400..500).contains(&status.code) && !matches!(status.code, 404 | 408 | 409 | 429)
        }
        Some(_) => false,
        None => true,
    };
    is_refused || failures_in_a_row >= PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_forgotten() {
        let failures = Failures::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            failures.count("a");
            delays.push(failures.delay("a").as_secs());
        }
        assert_eq!(delays[..4], [1, 2, 4, 8]);
        assert_eq!(delays.last(), Some(&300));
        failures.forget("a");
        assert_eq!(failures.count("a"), 1);
    }

    #[test]
    fn passing_trouble_is_not_shown_at_once() {
        let refused = |code| {
            kube::Error::Api(Box::new(kube::core::Status {
                code,
                ..kube::core::Status::default()
            }))
        };
        assert!(is_lasting(Some(&refused(403)), 1));
        assert!(is_lasting(None, 1));
        for code in [409, 429, 500, 503] {
            assert!(!is_lasting(Some(&refused(code)), 1), "{code}");
        }
        assert!(is_lasting(Some(&refused(503)), 3));
    }
}
