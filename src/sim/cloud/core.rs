//! The clock of a simulated cloud, its identifiers, its faults and its log.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::faults::Faults;
use super::log::Log;

/// What every simulated cloud keeps.
#[derive(Debug)]
pub struct Core {
    /// When it began.
    pub start: Instant,
    /// The wall clock at the start.
    pub epoch: Timestamp,
    /// The moment that it has come to.
    pub now: Instant,
    /// Where the identifiers come from.
    seed: u64,
    counter: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// What was asked.
    pub log: Log,
}

impl Core {
    /// The same seed gives the same identifiers; the wall clock starts at the machine's if no epoch is given.
    pub fn new(seed: u64, epoch: Option<Timestamp>) -> Self {
        let start = Instant::now();
        Self {
            start,
            epoch: epoch.unwrap_or_else(Timestamp::now),
            now: start,
            seed,
            counter: 0,
            faults: Faults::default(),
            log: Log::default(),
        }
    }

    /// A number that was not given out before.
    pub fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// 32 hexadecimal digits; the same ones in the same order for the same seed.
    pub fn hex(&mut self) -> String {
        let n = self.number();
        let digest = Sha256::digest(format!("{}:{n}", self.seed).as_bytes());
        digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
    }

    /// A UUID that was not given out before.
    pub fn uuid(&mut self) -> String {
        let h = self.hex();
        format!(
            "{}-{}-4{}-a{}-{}",
            &h[..8],
            &h[8..12],
            &h[13..16],
            &h[17..20],
            &h[20..]
        )
    }

    /// The wall clock at a moment.
    pub fn clock(&self, at: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(at.duration_since(self.start)).unwrap_or_default();
        self.epoch.checked_add(passed).unwrap_or(self.epoch)
    }

    /// The wall clock now.
    pub fn time(&self) -> Timestamp {
        self.clock(self.now)
    }
}
