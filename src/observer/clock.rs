//! The time, as everything above the providers reads it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A wall clock that never jumps: one reading of the wall at its start, and the monotonic clock since then.
/// Under tokio's paused time it stands still with it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    start: Instant,
}

impl Clock {
    /// A clock that reads `wall` now.
    pub fn anchored(wall: Timestamp) -> Self {
        Self {
            wall,
            start: Instant::now(),
        }
    }

    /// A clock that is set by the machine's wall clock.
    pub fn system() -> Self {
        Self::anchored(Timestamp::now())
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// The time at an instant.
    pub fn at(&self, instant: Instant) -> Timestamp {
        let elapsed = SignedDuration::try_from(instant.saturating_duration_since(self.start));
        let elapsed = elapsed.unwrap_or(SignedDuration::MAX);
        self.wall.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// The instant of a time; a time before the start is the start, one that is very far away a year from it.
    pub fn instant(&self, time: Timestamp) -> Instant {
        const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
        let ahead = time.duration_since(self.wall);
        let ahead = Duration::try_from(ahead).unwrap_or(Duration::ZERO);
        self.start + ahead.min((self.start.elapsed() + YEAR).max(YEAR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn goes_with_the_monotonic_clock_and_back() {
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::anchored(wall);
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:01.5Z");
        assert_eq!(clock.instant(clock.now()), Instant::now());
        assert_eq!(clock.at(clock.instant(wall)), wall);
        assert_eq!(
            clock.instant("1999-01-01T00:00:00Z".parse().unwrap()),
            clock.instant(wall)
        );
        assert!(clock.instant(Timestamp::MAX) > Instant::now());
    }
}
