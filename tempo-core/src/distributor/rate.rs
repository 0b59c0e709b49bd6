//! How many bytes each tenant may send: a token bucket per tenant. Pure but for the time, which the caller says.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tempo_config::IngestionLimits;
use tempo_model::TenantId;

/// A tenant sent more than it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RateLimited {
    /// A request that can never pass.
    #[error(
        "RATE_LIMITED: batch size ({bytes} bytes) exceeds ingestion limit ({limit}) while adding {bytes} bytes for user \
         {tenant}. Send smaller batches, or raise overrides.defaults.ingestion.burst_size_bytes"
    )]
    Burst {
        /// What was to be added.
        bytes: usize,
        /// The limit.
        limit: Rate,
        /// Whose.
        tenant: TenantId,
    },
    /// Too much in too little time.
    #[error(
        "RATE_LIMITED: ingestion rate limit ({limit}) exceeded while adding {bytes} bytes for user {tenant}. Send less, \
         or raise overrides.defaults.ingestion.rate_limit_bytes"
    )]
    Rate {
        /// What was to be added.
        bytes: usize,
        /// The limit.
        limit: Rate,
        /// Whose.
        tenant: TenantId,
    },
}

impl RateLimited {
    /// Whether the same request may pass later.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self, Self::Rate { .. })
    }
}

/// What a tenant may send to this distributor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Bytes a second here; 0 is no limit.
    local: u64,
    /// Bytes a second over all distributors; 0 when each allows `local`.
    global: u64,
    /// Bytes at once.
    burst: u64,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "local: {} bytes/s, global: {} bytes/s, burst: {} bytes",
            self.local, self.global, self.burst
        )
    }
}

impl Rate {
    /// This distributor's part of a tenant's limit, when there are `distributors`.
    pub(super) fn of(limits: &IngestionLimits, distributors: usize) -> Self {
        let (rate, burst) = (limits.rate_limit_bytes, limits.burst_size_bytes);
        if limits.rate_strategy == "global" {
            let local = rate.div_ceil(distributors.max(1) as u64);
            Self {
                local,
                global: rate,
                burst,
            }
        } else {
            Self {
                local: rate,
                global: 0,
                burst,
            }
        }
    }
}

/// How often buckets that are full again are let go.
const SWEEP: Duration = Duration::from_mins(1);

/// The buckets of the tenants that have sent something lately.
#[derive(Debug, Default)]
pub(super) struct RateLimiter(Mutex<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    of: HashMap<TenantId, Bucket>,
    swept_at: Duration,
}

impl Buckets {
    /// Lets buckets go that are full: a new one is the same. Tenants may be made up by whoever sends.
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept_at) >= SWEEP {
            self.of.retain(|_, bucket| bucket.full_at > now);
            self.swept_at = now;
        }
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Duration,
    /// When it has its burst again, if nothing is taken.
    full_at: Duration,
}

impl Bucket {
    fn full(limit: Rate, now: Duration) -> Self {
        Self {
            tokens: limit.burst as f64,
            filled_at: now,
            full_at: now,
        }
    }

    fn fill(&mut self, limit: Rate, now: Duration) {
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * limit.local as f64).min(limit.burst as f64);
        self.filled_at = now;
    }

    fn take(&mut self, bytes: usize, limit: Rate) -> bool {
        let enough = bytes as f64 <= self.tokens;
        if enough {
            self.tokens -= bytes as f64;
        }
        let missing = (limit.burst as f64 - self.tokens) / limit.local as f64;
        let missing = Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX);
        self.full_at = self.filled_at.saturating_add(missing);
        enough
    }
}

impl RateLimiter {
    /// Takes `bytes` out of a tenant's bucket, or nothing. `now` must not go backwards.
    pub(super) fn take(
        &self,
        tenant: &TenantId,
        bytes: usize,
        limit: Rate,
        now: Duration,
    ) -> Result<(), RateLimited> {
        let tenant = tenant.clone();
        if limit.local == 0 {
            return Ok(());
        }
        if bytes as u64 > limit.burst {
            return Err(RateLimited::Burst { bytes, limit, tenant });
        }
        let mut buckets = self.0.lock();
        buckets.sweep(now);
        let bucket = buckets.of.entry(tenant.clone());
        let bucket = bucket.or_insert_with(|| Bucket::full(limit, now));
        bucket.fill(limit, now);
        if bucket.take(bytes, limit) {
            Ok(())
        } else {
            Err(RateLimited::Rate { bytes, limit, tenant })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Rate = Rate {
        local: 100,
        global: 0,
        burst: 150,
    };

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let limiter = RateLimiter::default();
        let take = |bytes, second| {
            limiter
                .take(&TenantId::single(), bytes, LIMIT, Duration::from_secs(second))
                .is_ok()
        };
        assert!(take(150, 10));
        assert!(!take(1, 10));
        assert!(take(100, 11));
        assert!(!take(1, 11));
        assert!(take(150, 100), "it never holds more than the burst");
        assert!(!take(1, 100));
    }

    #[test]
    fn tenants_have_buckets_of_their_own() {
        let limiter = RateLimiter::default();
        for tenant in ["a", "b"] {
            let tenant = tenant.parse().unwrap();
            assert!(limiter.take(&tenant, 150, LIMIT, Duration::ZERO).is_ok());
        }
    }

    #[test]
    fn full_buckets_are_let_go_and_others_are_kept() {
        let limiter = RateLimiter::default();
        let take = |tenant: &str, bytes, limit, second| {
            let (tenant, now) = (tenant.parse().unwrap(), Duration::from_secs(second));
            limiter.take(&tenant, bytes, limit, now).is_ok()
        };
        let slow = Rate { local: 1, ..LIMIT };
        for number in 0..100 {
            assert!(take(&format!("made-up-{number}"), 150, LIMIT, 0));
        }
        assert!(take("slow", 150, slow, 0));
        assert!(take("last", 1, LIMIT, 60));
        let mut left: Vec<String> = limiter.0.lock().of.keys().map(ToString::to_string).collect();
        left.sort();
        assert_eq!(left, ["last", "slow"]);
        assert!(!take("slow", 61, slow, 60), "it has 60 bytes");
        assert!(take("slow", 60, slow, 60));
    }

    #[test]
    fn only_a_request_that_may_pass_later_is_worth_a_retry() {
        let limiter = RateLimiter::default();
        let refused = |bytes| {
            let taken = limiter.take(&TenantId::single(), bytes, LIMIT, Duration::ZERO);
            taken.unwrap_err().is_retryable()
        };
        assert!(!refused(151));
        limiter
            .take(&TenantId::single(), 150, LIMIT, Duration::ZERO)
            .unwrap();
        assert!(refused(1));
    }

    #[test]
    fn the_texts_are_those_that_users_know() {
        let limiter = RateLimiter::default();
        let refused = |bytes| {
            let taken = limiter.take(&TenantId::single(), bytes, LIMIT, Duration::ZERO);
            taken.unwrap_err().to_string()
        };
        assert!(refused(366).starts_with(
            "RATE_LIMITED: batch size (366 bytes) exceeds ingestion limit (local: 100 bytes/s, global: 0 bytes/s, \
             burst: 150 bytes) while adding 366 bytes for user single-tenant."
        ));
        limiter
            .take(&TenantId::single(), 150, LIMIT, Duration::ZERO)
            .unwrap();
        assert!(refused(10).starts_with("RATE_LIMITED: ingestion rate limit (local: 100 bytes/s"));
    }

    #[test]
    fn a_global_limit_is_shared_and_zero_is_none() {
        let mut limits = IngestionLimits {
            rate_strategy: "global".to_owned(),
            rate_limit_bytes: 100,
            ..IngestionLimits::default()
        };
        assert_eq!(Rate::of(&limits, 3).local, 34);
        assert_eq!(Rate::of(&limits, 0).local, 100);
        limits.rate_limit_bytes = 0;
        let none = Rate::of(&limits, 1);
        let limiter = RateLimiter::default();
        assert!(
            limiter
                .take(&TenantId::single(), usize::MAX, none, Duration::ZERO)
                .is_ok()
        );
    }
}
