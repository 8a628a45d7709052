//! What CloudDC can do, as data. Read beside the state diagram of the page "Querying the Instance Status" (2026-06-08);
//! where its editions differ, the narrower one holds.

use super::settings;
use crate::api::server::{PowerOffMode, PowerWish};
use crate::api::server_status::OperationKind;
use crate::planner::model::{Capabilities, Cost, IdleCost, ServerState, StopKind};
use ServerState::*;

/// Deleting a running instance is in the diagram of 2025 and no longer in that of 2026; from `pending` it ends a creation
/// that is given up.
const DELETABLE: &[ServerState] = &[Stopped, Error, Provisioning];

/// What CloudDC can do. No row, no call: there are no sizes and no groups, and metadata is never written again.
pub static CAPABILITIES: Capabilities = Capabilities {
    power_states: &[PowerWish::Running, PowerWish::Stopped],
    // `power off` is all that there is; whether it asks the guest first is not said.
    stop_kinds: &[StopKind::CloudEscalates],
    // The same of `rebooting`.
    soft_stop_limit: None,
    restart_modes: &[PowerOffMode::SoftThenHard],
    silent_restart: false,
    hard_restart: &[],
    request_log: false,
    live_resize: false,
    resize_stops_by_itself: false,
    resize_confirm: false,
    // Metadata is written by the create call and never again.
    marks_mutable: false,
    comes_with: &[],
    free_of_locks: &[],
    // Its API does not tell prices; the machine is the customer's whether it is on or off.
    idle_costs: &[IdleCost {
        state: ServerState::Stopped,
        cost: Cost::Unknown,
        holds: "the machine stays taken; what is billed for it, Huawei's price list or your contract says",
    }],
    preconditions: &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running]),
        (OperationKind::Restart, &[Running]),
        (OperationKind::Delete, DELETABLE),
        (OperationKind::DeleteFailed, DELETABLE),
        (OperationKind::Retry, &[Error]),
        // The diagram draws both from `stopped`; the SDK's texts say `running`. From an error state only what failed is
        // tried again.
        (OperationKind::Rebuild, &[Stopped, Error]),
        (OperationKind::Modify, &[Stopped, Error]),
        // It counts from the next start on.
        (OperationKind::ChangePassword, &[Stopped]),
        // Of the machine, whether it is on or off.
        (OperationKind::RemoteConsole, &[Running, Stopped, Error]),
    ],
    // Nothing is promised; the gateway and the service behind it each have their own timeouts.
    create_settle_seconds: 300,
    attributes: settings::wanted,
    hints: Capabilities::no_hints,
    groups: None,
    // A machine that is switched on checks itself for minutes; installing a system takes up to an hour.
    deadlines: &[
        (OperationKind::Start, 900),
        (OperationKind::Stop, 900),
        (OperationKind::Restart, 1200),
        (OperationKind::Delete, 1800),
        (OperationKind::DeleteFailed, 1800),
        (OperationKind::Retry, 3600),
        (OperationKind::Rebuild, 3600),
        (OperationKind::Modify, 900),
        (OperationKind::ChangePassword, 300),
        (OperationKind::RemoteConsole, 60),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_with_a_row_has_one_deadline() {
        for kind in OperationKind::ALL {
            let rows = CAPABILITIES
                .preconditions
                .iter()
                .filter(|(k, _)| k == kind)
                .count();
            let deadlines = CAPABILITIES.deadlines.iter().filter(|(k, _)| k == kind).count();
            assert!(rows <= 1, "{kind}");
            assert_eq!(rows, deadlines, "{kind}");
        }
    }

    #[test]
    fn what_machines_do_not_have_is_never_sent() {
        for kind in [OperationKind::Resize, OperationKind::Mark, OperationKind::Unmark] {
            for state in ServerState::ALL {
                assert!(!CAPABILITIES.allows(kind, *state), "{kind} {state}");
            }
        }
    }

    #[test]
    fn nothing_touches_what_is_busy_or_not_understood() {
        for kind in OperationKind::ALL {
            for state in ServerState::ALL {
                let delete = matches!(kind, OperationKind::Delete | OperationKind::DeleteFailed);
                let gives_up = delete && *state == Provisioning;
                if CAPABILITIES.allows(*kind, *state) {
                    assert!(
                        gives_up || matches!(state, Running | Stopped | Error),
                        "{kind} {state}"
                    );
                }
            }
        }
    }
}
