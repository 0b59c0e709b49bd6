//! The clock seam: wall time for what is stored, boot time for leases and ages, and sleeping.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::spawn::BoxFuture;

/// A source of time. Wall time may jump; [`Clock::since_boot`] never goes backwards and counts suspension.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Nanoseconds since the Unix epoch.
    fn unix_nanos(&self) -> u64;

    /// Time since the machine started, suspension included (`CLOCK_BOOTTIME`).
    fn since_boot(&self) -> Duration;

    /// Completes after `duration` on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Seconds since the Unix epoch.
    fn unix_seconds(&self) -> u64 {
        self.unix_nanos() / 1_000_000_000
    }
}

/// The machine's own clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_nanos(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_nanos() as u64)
    }

    fn since_boot(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that follows tokio's paused time, so that a test decides when time passes.
///
/// Must be made inside a runtime whose time is paused (`#[tokio::test(start_paused = true)]`).
#[derive(Debug, Clone, Copy)]
pub struct SimulatedClock {
    start_unix_nanos: u64,
    start: tokio::time::Instant,
}

impl SimulatedClock {
    /// A clock that shows `start_unix_nanos` now.
    pub fn starting_at(start_unix_nanos: u64) -> Self {
        Self {
            start_unix_nanos,
            start: tokio::time::Instant::now(),
        }
    }
}

impl Clock for SimulatedClock {
    fn unix_nanos(&self) -> u64 {
        self.start_unix_nanos + self.since_boot().as_nanos() as u64
    }

    fn since_boot(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
