//! What UpCloud can do, as data. Read beside the chapter "Servers" of its API 1.3.

use super::{attributes, interfaces};
use crate::api::server::{PowerOffMode, PowerWish};
use crate::api::server_group::PlacementPolicy;
use crate::api::server_status::OperationKind;
use crate::planner::model::{Capabilities, Cost, GroupCapabilities, IdleCost, ServerState, StopKind};
use ServerState::*;

/// A server is changed only here: anything else is answered 409 `SERVER_STATE_ILLEGAL`.
const SETTLED: &[ServerState] = &[Running, Stopped];

/// Groups: policies, members and labels can all be changed later. A group without a policy is a thing too.
static GROUPS: GroupCapabilities = GroupCapabilities {
    policies: &[
        PlacementPolicy::None,
        PlacementPolicy::AntiAffinity,
        PlacementPolicy::SoftAntiAffinity,
    ],
    without_policy: true,
    policy_mutable: true,
    members_mutable: true,
    labels_mutable: true,
    marks: true,
    max_per_host: false,
    members_max: None,
    create_settle_seconds: 60,
};

/// What UpCloud can do.
pub static CAPABILITIES: Capabilities = Capabilities {
    power_states: &[PowerWish::Running, PowerWish::Stopped],
    stop_kinds: &[StopKind::Soft, StopKind::Hard, StopKind::SoftThenHard],
    soft_stop_limit: Some(600),
    restart_modes: &[PowerOffMode::Soft, PowerOffMode::Hard, PowerOffMode::SoftThenHard],
    silent_restart: true,
    hard_restart: &[],
    request_log: false,
    // Upward, where the account and the host allow it; what they refuse needs a stop.
    live_resize: true,
    resize_stops_by_itself: false,
    resize_confirm: false,
    marks_mutable: true,
    comes_with: &[interfaces::INTERFACES],
    free_of_locks: &[],
    // Its API does not tell prices, and they differ by plan.
    idle_costs: &[IdleCost {
        state: ServerState::Stopped,
        cost: Cost::Unknown,
        holds: "storages and addresses stay; what is billed for them and for the plan, UpCloud's price page says",
    }],
    preconditions: &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running]),
        (OperationKind::Restart, &[Running]),
        (OperationKind::Resize, SETTLED),
        (OperationKind::Delete, &[Stopped]),
        (OperationKind::DeleteFailed, &[Stopped]),
        (OperationKind::Mark, SETTLED),
        (OperationKind::Unmark, SETTLED),
        (OperationKind::UnmarkPart, SETTLED),
        (OperationKind::Modify, SETTLED),
        (
            OperationKind::Cancel,
            &[Provisioning, Starting, Rebooting, Resizing, Maintenance],
        ),
        (OperationKind::BackupDisk, SETTLED),
        // VNC, where it is switched on.
        (OperationKind::RemoteConsole, &[Running]),
        // Disks and addresses that a server left behind.
        (OperationKind::DeletePart, &[Absent]),
    ],
    // The service answers a create when it has taken it; whatever is slower is cut off by us after 30 s.
    create_settle_seconds: 120,
    attributes: attributes::wanted,
    hints: attributes::hints,
    groups: Some(&GROUPS),
    deadlines: &[
        (OperationKind::Start, 600),
        (OperationKind::Stop, 600),
        // A guest is given up to 600 s of it.
        (OperationKind::Restart, 1200),
        (OperationKind::Resize, 600),
        (OperationKind::Delete, 300),
        (OperationKind::DeleteFailed, 300),
        (OperationKind::Mark, 60),
        (OperationKind::Unmark, 60),
        (OperationKind::UnmarkPart, 60),
        (OperationKind::Modify, 300),
        (OperationKind::Cancel, 300),
        (OperationKind::BackupDisk, 10_800),
        (OperationKind::RemoteConsole, 60),
        (OperationKind::DeletePart, 300),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_has_one_row_and_a_deadline() {
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
    fn nothing_touches_a_server_in_error_or_in_a_state_that_is_not_known() {
        for kind in OperationKind::ALL {
            assert!(!CAPABILITIES.allows(*kind, Error), "{kind}");
            assert!(!CAPABILITIES.allows(*kind, Unknown), "{kind}");
        }
        for state in ServerState::ALL {
            let deletable = *state == Stopped;
            assert_eq!(
                CAPABILITIES.allows(OperationKind::Delete, *state),
                deletable,
                "{state}"
            );
        }
    }
}
