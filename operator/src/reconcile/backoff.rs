//! How long a failed reconcile waits before it is tried again.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// Failures in a row after which a passing trouble is one that people should see.
pub const PATIENCE: u32 = 3;

/// Kind, namespace and name of a resource.
pub type Key = (String, String, String);

/// Failures in a row, by resource. What is gone must be forgotten.
#[derive(Debug, Default)]
pub struct Failures {
    counts: Mutex<HashMap<Key, u32>>,
}

/// The key of a resource.
pub fn key(kind: &str, namespace: Option<&str>, name: &str) -> Key {
    (
        kind.to_owned(),
        namespace.unwrap_or_default().to_owned(),
        name.to_owned(),
    )
}

impl Failures {
    /// Counts a failure of a resource, and returns how many there are in a row.
    pub fn count(&self, resource: &Key) -> u32 {
        let mut counts = self.counts.lock();
        let count = counts.entry(resource.clone()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// The resource is fine, or gone.
    pub fn forget(&self, resource: &Key) {
        self.counts.lock().remove(resource);
    }

    /// How long to wait before the next attempt.
    pub fn delay(&self, resource: &Key) -> Duration {
        let count = self.counts.lock().get(resource).copied().unwrap_or(1);
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
        let resource = key("TempoStack", Some("shop"), "a");
        let mut delays = Vec::new();
        for _ in 0..12 {
            failures.count(&resource);
            delays.push(failures.delay(&resource).as_secs());
        }
        assert_eq!(delays[..4], [1, 2, 4, 8]);
        assert_eq!(delays.last(), Some(&300));
        failures.forget(&resource);
        assert_eq!(failures.count(&resource), 1);
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
