//! Locks that outlive a panic, and cheap numbers for jitter.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Locks. A panic of another holder does not spread: what these locks guard is replaced whole, never half.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Repeatable numbers from a seed (splitmix64); not for secrets.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// Numbers that depend on the seed alone.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A length within `percent` percent of `length`.
    pub fn around(&mut self, length: Duration, percent: u32) -> Duration {
        let share = (self.number() % 2001) as f64 / 1000.0 - 1.0;
        length.mul_f64(1.0 + share * f64::from(percent.min(100)) / 100.0)
    }

    /// A length below `length`.
    pub fn below(&mut self, length: Duration) -> Duration {
        length.mul_f64((self.number() % 1000) as f64 / 1000.0)
    }
}

pub use crate::api::hash::hash;
