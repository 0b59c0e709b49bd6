//! The randomness seam: ids, nonces and jitter.

use std::fmt::Debug;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

/// A source of random numbers.
pub trait Random: Debug + Send + Sync + 'static {
    /// A uniformly distributed number.
    fn next_u64(&self) -> u64;
}

/// Numbers from the operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        rand::rng().next_u64()
    }
}

/// The same numbers for the same seed: simulations repeat exactly.
#[derive(Debug)]
pub struct SeededRandom(Mutex<StdRng>);

impl SeededRandom {
    /// A generator for `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        self.0.lock().next_u64()
    }
}
