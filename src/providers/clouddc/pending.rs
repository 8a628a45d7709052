//! Power calls that were accepted and do not show yet. CloudDC's answer says no more than that it will be done, and the
//! state of an instance lags behind; a reboot even passes through `stopped`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::states::Power;

/// For so long a call that was accepted may show nothing at all.
const UNSEEN: Duration = Duration::from_secs(30);
/// For so long an instance may be off after the end of its reboot was reported.
const AFTER: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
struct Call {
    power: Power,
    until: Instant,
    /// Whether the server was seen at it.
    seen: bool,
}

/// The calls of this process, by instance.
#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<String, Call>>);

impl Pending {
    /// A call was accepted.
    pub(super) fn accepted(&self, id: &str, power: Power) {
        let call = Call {
            power,
            until: Instant::now() + UNSEEN,
            seen: false,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned(), call);
    }

    /// What still may not show of an instance in this state, whose server is at that.
    pub(super) fn of(&self, id: &str, instance: &str, switching: &str) -> Option<Power> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.get_mut(id)?;
        let now = Instant::now();
        let (word, end) = match call.power {
            Power::On => ("power-on-", "running"),
            Power::Off => ("power-off-", "stopped"),
            Power::Reboot => ("reboot-", "running"),
        };
        let step = switching.strip_prefix(word);
        if step == Some("processing") {
            call.seen = true;
            call.until = now + AFTER;
        }
        // A reboot begins where it ends: it must have been seen under way.
        let reached =
            instance == end && step != Some("processing") && (call.power != Power::Reboot || call.seen);
        let failed = call.seen && step == Some("failed");
        if reached || failed || now >= call.until {
            calls.remove(id);
            return None;
        }
        Some(call.power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_remembered_until_it_shows_or_ends() {
        let pending = Pending::default();
        assert_eq!(pending.of("a", "running", ""), None);
        pending.accepted("a", Power::Off);
        assert_eq!(pending.of("b", "running", ""), None);
        assert_eq!(
            pending.of("a", "running", "power-on-succeed"),
            Some(Power::Off),
            "left over"
        );
        assert_eq!(pending.of("a", "stopped", ""), None);
        assert_eq!(
            pending.of("a", "running", ""),
            None,
            "somebody started it afterwards"
        );

        pending.accepted("a", Power::On);
        tokio::time::advance(UNSEEN).await;
        assert_eq!(pending.of("a", "stopped", ""), None, "it never shows");

        pending.accepted("a", Power::On);
        assert_eq!(pending.of("a", "stopped", "power-on-processing"), Some(Power::On));
        assert_eq!(pending.of("a", "stopped", "power-on-failed"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reboot_lasts_from_running_through_stopped_to_running() {
        let pending = Pending::default();
        pending.accepted("a", Power::Reboot);
        let seen = |state, switching| pending.of("a", state, switching) == Some(Power::Reboot);
        assert!(seen("running", "reboot-succeed"), "that was the last one");
        assert!(seen("running", "reboot-processing"));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(seen("stopped", "reboot-processing"));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(seen("stopped", "reboot-succeed"));
        assert!(!seen("running", "reboot-succeed"));

        pending.accepted("a", Power::Reboot);
        assert!(seen("stopped", "reboot-processing"));
        tokio::time::advance(AFTER).await;
        assert!(
            !seen("stopped", ""),
            "it did not come up: that is for the planner"
        );
    }
}
