//! The settings of a ProviderConfig that the controller itself reads.

use crate::api::ProviderConfigSpec;
use crate::observer::Pace;

/// What a ProviderConfig says beside the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Nothing may be changed.
    pub(crate) suspended: bool,
    /// `maxCreatesInFlight`.
    pub(crate) creates: i32,
    /// `maxConcurrentDisruptions`.
    pub(crate) disruptions: i32,
    /// How often the account is listed.
    pub(crate) pace: Pace,
}

impl Settings {
    /// Reads them.
    pub(crate) fn of(spec: &ProviderConfigSpec) -> Self {
        Self {
            suspended: spec.suspend,
            creates: spec.max_creates_in_flight,
            disruptions: spec.max_concurrent_disruptions,
            pace: Pace {
                idle: spec.observe.interval.std(),
                busy: spec.observe.busy_interval.std(),
            },
        }
    }
}
