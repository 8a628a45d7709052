//! How long to wait after a refusal, by its class.

use super::model::ErrorClass;

/// Class, first wait and longest wait in seconds. Each wait is twice the one before.
const WAITS: &[(ErrorClass, i64, i64)] = &[
    (ErrorClass::Busy, 3, 30),
    (ErrorClass::NeedsStop, 30, 300),
    (ErrorClass::Transient, 5, 300),
    (ErrorClass::Ambiguous, 5, 300),
    (ErrorClass::RateLimited, 30, 300),
    (ErrorClass::Capacity, 30, 600),
    (ErrorClass::Quota, 30, 300),
    (ErrorClass::Unauthorized, 60, 300),
    (ErrorClass::Forbidden, 60, 1800),
    (ErrorClass::InvalidSpec, 60, 1800),
    (ErrorClass::Locked, 60, 300),
    (ErrorClass::NotFound, 5, 300),
    (ErrorClass::Unsupported, 300, 1800),
];

/// The wait before try `count + 1`, in seconds, with up to a fifth more by the seed. What the cloud asks for
/// (`retry_after`, seconds) is never undercut.
pub fn seconds(class: ErrorClass, count: u32, retry_after: Option<u32>, seed: u64) -> i64 {
    let (first, most) = WAITS
        .iter()
        .find(|w| w.0 == class)
        .map_or((5, 300), |w| (w.1, w.2));
    let wait = first
        .saturating_mul(1 << count.saturating_sub(1).min(16))
        .min(most);
    let spread = (seed ^ u64::from(count).wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 1000;
    let jitter = wait * i64::try_from(spread).unwrap_or(0) / 5000;
    (wait + jitter).max(retry_after.map_or(0, i64::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_row_and_grows_to_its_limit() {
        for class in ErrorClass::ALL {
            assert_eq!(WAITS.iter().filter(|w| w.0 == *class).count(), 1, "{class}");
            let waits: Vec<_> = (1..20).map(|n| seconds(*class, n, None, 7)).collect();
            assert!(
                waits[0] >= 3 && *waits.last().unwrap() <= 1800 * 6 / 5,
                "{class}: {waits:?}"
            );
            assert!(waits[18] >= waits[0], "{class}");
        }
    }

    #[test]
    fn never_sooner_than_the_cloud_asks() {
        assert!(seconds(ErrorClass::RateLimited, 1, Some(900), 3) >= 900);
    }
}
