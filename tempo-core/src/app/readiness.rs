//! Whether a process is ready, and if not, why not.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// What a part says when it is asked: `Err` with the reason why it is not ready.
type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a process waits for before it is ready. Cheap to clone; clones share one state.
#[derive(Clone, Default)]
pub struct Readiness {
    parts: Arc<Mutex<BTreeMap<&'static str, Check>>>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.missing()).finish()
    }
}

impl Readiness {
    /// `part` is not ready, and this is why.
    pub fn blocked(&self, part: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.check(part, move || Err(reason.clone()));
    }

    /// `part` is ready.
    pub fn ready(&self, part: &'static str) {
        self.check(part, || Ok(()));
    }

    /// `part` is ready when `check` says so; asked each time.
    pub fn check(&self, part: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.parts.lock().insert(part, Arc::new(check));
    }

    /// What is not ready, with the reasons.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        let states = self.states().into_iter();
        states
            .filter_map(|(part, state)| Some((part, state.err()?)))
            .collect()
    }

    /// Every part and how it is.
    pub fn states(&self) -> Vec<(&'static str, Result<(), String>)> {
        // Checks are asked without the lock: they may take their own.
        let parts: Vec<_> = self
            .parts
            .lock()
            .iter()
            .map(|(part, check)| (*part, Arc::clone(check)))
            .collect();
        parts.into_iter().map(|(part, check)| (part, check())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_part_is() {
        let readiness = Readiness::default();
        readiness.blocked("store", "no answer");
        readiness.check("peers", || Err("no ingester".to_owned()));
        assert_eq!(
            readiness.missing(),
            [
                ("peers", "no ingester".to_owned()),
                ("store", "no answer".to_owned())
            ]
        );
        readiness.ready("store");
        readiness.ready("peers");
        assert_eq!(readiness.missing(), []);
        assert_eq!(readiness.states().len(), 2);
    }
}
