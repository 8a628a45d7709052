//! Calls that were accepted and do not show yet. CloudDC's answer says no more than that it will be done, and the state
//! of an instance lags behind; a reboot even passes through `stopped`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::states::{Awaited, Words};

/// For so long a call that was accepted may show nothing at all.
const UNSEEN: Duration = Duration::from_secs(30);
/// For so long an instance may be off after the end of its reboot was reported.
const AFTER: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
struct Call {
    awaited: Awaited,
    until: Instant,
    /// Whether it was seen under way.
    seen: bool,
}

/// How a call shows: the beginning of its words, whether those are of the physical server, and the state of the instance
/// that is its end. Where there is none, it has ended when its words say so, after it was seen under way.
const fn shows(call: Awaited) -> (&'static [&'static str], bool, Option<&'static str>) {
    match call {
        Awaited::On => (&["power-on-"], true, Some("running")),
        Awaited::Off => (&["power-off-"], true, Some("stopped")),
        Awaited::Reboot => (&["reboot-"], true, Some("running")),
        Awaited::Reinstall => (&["reinstall-", "switch-install-"], false, None),
        Awaited::ModifyIp => (&["modify-ip-"], false, None),
    }
}

/// The calls of this process, by instance.
#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<String, Call>>);

impl Pending {
    /// A call was accepted.
    pub(super) fn accepted(&self, id: &str, awaited: Awaited) {
        let call = Call {
            awaited,
            until: Instant::now() + UNSEEN,
            seen: false,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned(), call);
    }

    /// What still may not show of an instance with these words.
    pub(super) fn of(&self, id: &str, words: &Words<'_>) -> Option<Awaited> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.get_mut(id)?;
        let now = Instant::now();
        let (beginnings, of_server, end) = shows(call.awaited);
        let word = if of_server {
            words.switching
        } else {
            words.operation
        };
        let step = beginnings.iter().find_map(|b| word.strip_prefix(b));
        let under_way = step == Some("processing");
        if under_way {
            call.seen = true;
            call.until = now + AFTER;
        }
        let reached = match end {
            // A reboot begins where it ends: it must have been seen under way.
            Some(end) => words.instance == end && (call.awaited != Awaited::Reboot || call.seen),
            None => call.seen && step == Some("succeed"),
        };
        let failed = call.seen && step == Some("failed");
        if (reached && !under_way) || failed || now >= call.until {
            calls.remove(id);
            return None;
        }
        Some(call.awaited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Pending {
        fn seen(&self, id: &str, instance: &str, switching: &str) -> Option<Awaited> {
            let words = Words {
                instance,
                switching,
                ..Words::default()
            };
            self.of(id, &words)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_remembered_until_it_shows_or_ends() {
        let pending = Pending::default();
        assert_eq!(pending.seen("a", "running", ""), None);
        pending.accepted("a", Awaited::Off);
        assert_eq!(pending.seen("b", "running", ""), None);
        assert_eq!(
            pending.seen("a", "running", "power-on-succeed"),
            Some(Awaited::Off),
            "left over"
        );
        assert_eq!(pending.seen("a", "stopped", ""), None);
        assert_eq!(
            pending.seen("a", "running", ""),
            None,
            "somebody started it afterwards"
        );

        pending.accepted("a", Awaited::On);
        tokio::time::advance(UNSEEN).await;
        assert_eq!(pending.seen("a", "stopped", ""), None, "it never shows");

        pending.accepted("a", Awaited::On);
        assert_eq!(
            pending.seen("a", "stopped", "power-on-processing"),
            Some(Awaited::On)
        );
        assert_eq!(pending.seen("a", "stopped", "power-on-failed"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reboot_lasts_from_running_through_stopped_to_running() {
        let pending = Pending::default();
        pending.accepted("a", Awaited::Reboot);
        let seen = |state, switching| pending.seen("a", state, switching) == Some(Awaited::Reboot);
        assert!(seen("running", "reboot-succeed"), "that was the last one");
        assert!(seen("running", "reboot-processing"));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(seen("stopped", "reboot-processing"));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(seen("stopped", "reboot-succeed"));
        assert!(!seen("running", "reboot-succeed"));

        pending.accepted("a", Awaited::Reboot);
        assert!(seen("stopped", "reboot-processing"));
        tokio::time::advance(AFTER).await;
        assert!(
            !seen("stopped", ""),
            "it did not come up: that is for the planner"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_installation_lasts_until_its_own_end_is_seen() {
        for (awaited, old, begins, ends) in [
            (
                Awaited::Reinstall,
                "reinstall-succeed",
                "switch-install-processing",
                "switch-install-succeed",
            ),
            (
                Awaited::Reinstall,
                "reinstall-failed",
                "reinstall-processing",
                "reinstall-failed",
            ),
            (
                Awaited::ModifyIp,
                "modify-ip-failed",
                "modify-ip-processing",
                "modify-ip-succeed",
            ),
        ] {
            let pending = Pending::default();
            let seen = |operation| {
                let words = Words {
                    instance: "stopped",
                    operation,
                    ..Words::default()
                };
                pending.of("a", &words)
            };
            pending.accepted("a", awaited);
            assert_eq!(seen(old), Some(awaited), "that was the last one");
            assert_eq!(seen(begins), Some(awaited));
            tokio::time::advance(Duration::from_secs(100)).await;
            assert_eq!(seen(begins), Some(awaited));
            assert_eq!(seen(ends), None);
            assert_eq!(seen(begins), None, "that is somebody else's");
            // An edition of the service that says nothing of operations.
            pending.accepted("a", awaited);
            assert_eq!(seen(""), Some(awaited));
            tokio::time::advance(UNSEEN).await;
            assert_eq!(seen(""), None);
        }
    }
}
