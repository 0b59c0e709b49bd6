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

/// The buckets of all tenants.
#[derive(Debug, Default)]
pub(super) struct RateLimiter(Mutex<HashMap<TenantId, Bucket>>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Duration,
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
        let bucket = buckets.entry(tenant.clone()).or_insert(Bucket {
            tokens: limit.burst as f64,
            filled_at: now,
        });
        let elapsed = now.saturating_sub(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * limit.local as f64).min(limit.burst as f64);
        bucket.filled_at = now;
        if (bytes as f64) > bucket.tokens {
            return Err(RateLimited::Rate { bytes, limit, tenant });
        }
        bucket.tokens -= bytes as f64;
        Ok(())
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
