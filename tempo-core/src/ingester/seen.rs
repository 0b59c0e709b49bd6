//! Which payloads were stored in the last minutes: a push that is sent again is answered without storing it twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tempo_model::TenantId;
use tokio::sync::watch;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::rpc::CallError;
use crate::rpc::messages::PushResponse;

/// How long a payload is remembered.
const MEMORY: Duration = Duration::from_mins(10);

/// How many payloads are remembered at most, about 20 MB; the oldest are forgotten first.
const MOST: usize = 200_000;

/// What a payload is known by: a hash that the tenant's name seeds, and the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint {
    pub(super) hash: u64,
    pub(super) bytes: usize,
}

impl Fingerprint {
    pub(super) fn of(tenant: &TenantId, payload: &[u8]) -> Self {
        Self {
            hash: xxh3_64_with_seed(payload, xxh3_64(tenant.as_str().as_bytes())),
            bytes: payload.len(),
        }
    }
}

/// What became of a push; `None` while it is under way.
pub(super) type Outcome = Option<Result<PushResponse, CallError>>;

/// Payloads that were stored, or are being stored.
#[derive(Debug, Default)]
pub(super) struct Seen {
    payloads: BTreeMap<Fingerprint, State>,
    /// Those that were stored, oldest first.
    stored: VecDeque<(Duration, Fingerprint)>,
}

#[derive(Debug)]
enum State {
    /// With what was said, unless all of it was taken.
    Stored(Option<Box<PushResponse>>),
    UnderWay(watch::Receiver<Outcome>),
}

/// What is to be done with a push.
#[derive(Debug)]
pub(super) enum Begun {
    /// Nothing: it is stored, and this was said.
    Stored(PushResponse),
    /// Wait: somebody else is storing it.
    UnderWay(watch::Receiver<Outcome>),
    /// Store it, and say here what became of it.
    New(watch::Sender<Outcome>),
}

impl Seen {
    /// Begins a push at a time since boot.
    pub(super) fn begin(&mut self, payload: Fingerprint, now: Duration) -> Begun {
        self.forget_old(now);
        match self.payloads.get(&payload) {
            Some(State::Stored(said)) => return Begun::Stored(said.as_deref().cloned().unwrap_or_default()),
            // One whose sender is gone will never be answered.
            Some(State::UnderWay(outcome)) if outcome.has_changed().is_ok() => {
                return Begun::UnderWay(outcome.clone());
            }
            _ => {}
        }
        let (sender, outcome) = watch::channel(None);
        self.payloads.insert(payload, State::UnderWay(outcome));
        Begun::New(sender)
    }

    /// Says that a payload is stored, and what its sender hears.
    pub(super) fn stored(&mut self, payload: Fingerprint, now: Duration, said: &PushResponse) {
        let said = (!said.rejected.is_empty()).then(|| Box::new(said.clone()));
        self.payloads.insert(payload, State::Stored(said));
        self.stored.push_back((now, payload));
    }

    /// Says that a payload was not stored.
    pub(super) fn failed(&mut self, payload: Fingerprint) {
        self.payloads.remove(&payload);
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some((since, payload)) = self.stored.front().copied() {
            if self.stored.len() <= MOST && now.saturating_sub(since) <= MEMORY {
                break;
            }
            self.stored.pop_front();
            self.payloads.remove(&payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::messages::RejectedSpans;

    fn payload(hash: u64) -> Fingerprint {
        Fingerprint { hash, bytes: 1 }
    }

    #[test]
    fn what_was_stored_is_remembered_for_ten_minutes() {
        let mut seen = Seen::default();
        assert!(matches!(seen.begin(payload(1), Duration::ZERO), Begun::New(_)));
        let said = PushResponse {
            rejected: vec![RejectedSpans::default()],
        };
        seen.stored(payload(1), Duration::ZERO, &said);
        assert!(matches!(seen.begin(payload(1), MEMORY), Begun::Stored(again) if again == said));
        let later = MEMORY + Duration::from_secs(1);
        assert!(matches!(seen.begin(payload(1), later), Begun::New(_)));
        assert!(seen.stored.is_empty());
    }

    #[test]
    fn what_is_under_way_is_waited_for_and_what_failed_is_begun_anew() {
        let mut seen = Seen::default();
        let Begun::New(sender) = seen.begin(payload(1), Duration::ZERO) else {
            panic!("it is new")
        };
        assert!(matches!(
            seen.begin(payload(1), Duration::ZERO),
            Begun::UnderWay(_)
        ));
        drop(sender);
        assert!(matches!(seen.begin(payload(1), Duration::ZERO), Begun::New(_)));
        seen.failed(payload(1));
        assert!(seen.payloads.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for hash in 0..=MOST as u64 {
            seen.stored(payload(hash), Duration::ZERO, &PushResponse::default());
        }
        assert!(matches!(seen.begin(payload(0), Duration::ZERO), Begun::New(_)));
        let again = seen.begin(payload(1), Duration::ZERO);
        assert!(matches!(again, Begun::Stored(said) if said == PushResponse::default()));
        assert_eq!(seen.stored.len(), MOST);
    }

    #[test]
    fn tenants_do_not_share_payloads() {
        let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_ne!(Fingerprint::of(&a, b"x"), Fingerprint::of(&b, b"x"));
    }
}
