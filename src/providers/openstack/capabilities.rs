//! What Nova can do, as data. Read beside <https://docs.openstack.org/api-ref/compute/>.

use crate::api::server::{PowerOffMode, PowerWish};
use crate::api::server_status::OperationKind;
use crate::planner::model::{Capabilities, Cost, IdleCost, ServerState, StopKind};
use ServerState::*;

/// Nova changes metadata and tags only in these states, and answers 409 in all others
/// (`nova/compute/api.py` `update_instance_metadata`).
const MARKABLE: &[ServerState] = &[Running, Stopped, Paused, Suspended];

/// Settings. What Nova changes in fewer states says so itself (`not_in`).
const MODIFIABLE: &[ServerState] = &[Running, Stopped, Paused, Suspended, Shelved];

/// Nova takes a delete at any time, and again.
const DELETABLE: &[ServerState] = &[
    Provisioning,
    Running,
    Stopped,
    Paused,
    Suspended,
    Shelved,
    Rescued,
    Starting,
    Stopping,
    Rebooting,
    Resizing,
    AwaitingResizeConfirmation,
    RevertingResize,
    Rebuilding,
    SettingPassword,
    Maintenance,
    Error,
    Deleting,
    SoftDeleted,
    Unknown,
];

/// What an administrator looks at before he says that it is otherwise.
const RESETTABLE: &[ServerState] = &[
    Running,
    Stopped,
    Paused,
    Suspended,
    Shelved,
    Rescued,
    Starting,
    Stopping,
    Rebooting,
    Resizing,
    AwaitingResizeConfirmation,
    RevertingResize,
    Rebuilding,
    SettingPassword,
    Maintenance,
    Error,
];

/// Nova asks for no task where it evacuates (`nova/compute/api.py` `evacuate`): a host dies in the middle of things. Of the
/// state beside the task one word for many tells nothing; where it is another one, Nova answers 409.
const EVACUABLE: &[ServerState] = &[
    Running,
    Stopped,
    Error,
    Starting,
    Stopping,
    Rebooting,
    Resizing,
    RevertingResize,
    Rebuilding,
    SettingPassword,
    Maintenance,
];

/// A console is kept while the server is on a host.
const READABLE: &[ServerState] = &[
    Running,
    Stopped,
    Paused,
    Suspended,
    Rescued,
    AwaitingResizeConfirmation,
    Error,
];

/// Nova has no prices. What it keeps for a server it says (API guide, "Server concepts"; `shelved_offload_time`).
const IDLE_COSTS: &[IdleCost] = &[
    IdleCost {
        state: Stopped,
        cost: Cost::Unknown,
        holds: "cores, memory, disks and addresses stay taken; most operators bill them as before",
    },
    IdleCost {
        state: Paused,
        cost: Cost::Unknown,
        holds: "cores, memory, disks and addresses stay taken; most operators bill them as before",
    },
    IdleCost {
        state: Suspended,
        cost: Cost::Unknown,
        holds: "its place on the host, disks and addresses stay taken; most operators bill them as before",
    },
    IdleCost {
        state: Shelved,
        cost: Cost::Partial,
        holds: "an image of its disk, volumes and addresses stay; cores and memory are free once it is off its host",
    },
];

/// `nova/compute/api.py`: what has no `check_instance_lock`.
const FREE_OF_LOCKS: &[OperationKind] = &[
    OperationKind::Lock,
    OperationKind::Unlock,
    OperationKind::ResetState,
    OperationKind::Evacuate,
    OperationKind::CreateImage,
    OperationKind::CreateBackup,
    OperationKind::ConsoleOutput,
    OperationKind::RemoteConsole,
];

/// What Nova can do.
pub static CAPABILITIES: Capabilities = Capabilities {
    power_states: &[
        PowerWish::Running,
        PowerWish::Stopped,
        PowerWish::Paused,
        PowerWish::Suspended,
        PowerWish::Shelved,
    ],
    // os-stop asks the guest and cuts the power after a time that the image or the operator sets.
    stop_kinds: &[StopKind::CloudEscalates],
    soft_stop_limit: None,
    // A soft reboot becomes a hard one by itself when the guest does not answer.
    restart_modes: &[PowerOffMode::Soft, PowerOffMode::Hard, PowerOffMode::SoftThenHard],
    silent_restart: false,
    // In the middle of another one too (`nova/compute/task_states.py` `ALLOW_REBOOT`).
    hard_restart: &[Running, Stopped, Paused, Suspended, Error, Rebooting],
    request_log: true,
    live_resize: false,
    resize_stops_by_itself: true,
    resize_confirm: true,
    marks_mutable: true,
    idle_costs: IDLE_COSTS,
    comes_with: &[],
    free_of_locks: FREE_OF_LOCKS,
    preconditions: &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running, Error]),
        // A soft one needs Running; from Error only a hard one is accepted.
        (OperationKind::Restart, &[Running, Error]),
        (OperationKind::Resize, &[Running, Stopped]),
        (OperationKind::ConfirmResize, &[AwaitingResizeConfirmation]),
        (OperationKind::RevertResize, &[AwaitingResizeConfirmation]),
        (OperationKind::Rebuild, &[Running, Stopped, Error]),
        (OperationKind::Pause, &[Running]),
        (OperationKind::Unpause, &[Paused]),
        (OperationKind::Suspend, &[Running]),
        (OperationKind::Resume, &[Suspended]),
        // Off its host at once, or after the time that the operator sets (`shelved_offload_time`).
        (OperationKind::Shelve, &[Running, Stopped, Paused, Suspended]),
        (OperationKind::Unshelve, &[Shelved]),
        (OperationKind::Unrescue, &[Rescued]),
        (OperationKind::Rescue, &[Running, Stopped, Error]),
        // Nova asks for no state; what has a task is left to end first.
        (OperationKind::Lock, RESETTABLE),
        (OperationKind::Unlock, RESETTABLE),
        (OperationKind::CreateImage, &[Running, Stopped, Paused, Suspended]),
        (
            OperationKind::CreateBackup,
            &[Running, Stopped, Paused, Suspended],
        ),
        (OperationKind::ChangePassword, &[Running]),
        (
            OperationKind::CrashDump,
            &[Running, Paused, Rescued, AwaitingResizeConfirmation, Error],
        ),
        (OperationKind::ColdMigrate, &[Running, Stopped]),
        (OperationKind::LiveMigrate, &[Running, Paused]),
        (OperationKind::Evacuate, EVACUABLE),
        (OperationKind::ResetState, RESETTABLE),
        (OperationKind::ConsoleOutput, READABLE),
        // Of a guest that is there to be looked at; Nova itself refuses only what is deleted or migrated.
        (
            OperationKind::RemoteConsole,
            &[Running, Paused, Rescued, AwaitingResizeConfirmation, Error],
        ),
        // `nova/compute/api.py` `restore`; only where the operator keeps what is deleted (`reclaim_instance_interval`).
        (OperationKind::Restore, &[SoftDeleted]),
        (OperationKind::Delete, DELETABLE),
        (OperationKind::DeleteFailed, DELETABLE),
        (OperationKind::Mark, MARKABLE),
        (OperationKind::Unmark, MARKABLE),
        (OperationKind::Modify, MODIFIABLE),
    ],
    // Nova gives up on an internal call after 60 s, and asks Glance and Neutron before it answers.
    create_settle_seconds: 120,
    attributes: super::settings::wanted,
    hints: Capabilities::no_hints,
    groups: Some(&super::groups::CAPABILITIES),
    deadlines: &[
        (OperationKind::Start, 300),
        (OperationKind::Stop, 300),
        (OperationKind::Restart, 300),
        (OperationKind::Resize, 1800),
        (OperationKind::ConfirmResize, 600),
        (OperationKind::RevertResize, 1800),
        (OperationKind::Rebuild, 1800),
        (OperationKind::Pause, 120),
        (OperationKind::Unpause, 120),
        (OperationKind::Suspend, 600),
        (OperationKind::Resume, 600),
        (OperationKind::Shelve, 1800),
        (OperationKind::Unshelve, 1800),
        (OperationKind::Unrescue, 300),
        (OperationKind::Rescue, 300),
        (OperationKind::Lock, 60),
        (OperationKind::Unlock, 60),
        (OperationKind::CreateImage, 7200),
        (OperationKind::CreateBackup, 7200),
        (OperationKind::ChangePassword, 120),
        (OperationKind::CrashDump, 300),
        (OperationKind::ColdMigrate, 3600),
        (OperationKind::LiveMigrate, 7200),
        (OperationKind::Evacuate, 3600),
        (OperationKind::ResetState, 60),
        (OperationKind::ConsoleOutput, 120),
        (OperationKind::RemoteConsole, 120),
        (OperationKind::Restore, 600),
        (OperationKind::Delete, 600),
        (OperationKind::DeleteFailed, 600),
        (OperationKind::Mark, 60),
        (OperationKind::Unmark, 60),
        (OperationKind::Modify, 120),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_row_and_a_deadline() {
        // Nova has no such call, or the provider none yet.
        const ABSENT: &[OperationKind] = &[
            OperationKind::Cancel,
            OperationKind::BackupDisk,
            OperationKind::Retry,
            OperationKind::DeletePart,
            OperationKind::UnmarkPart,
        ];
        for kind in ABSENT {
            assert!(!CAPABILITIES.has(*kind), "{kind}");
        }
        for kind in OperationKind::ALL.iter().filter(|k| !ABSENT.contains(k)) {
            assert_eq!(
                CAPABILITIES
                    .preconditions
                    .iter()
                    .filter(|(k, _)| k == kind)
                    .count(),
                1,
                "{kind}"
            );
            assert_eq!(
                CAPABILITIES.deadlines.iter().filter(|(k, _)| k == kind).count(),
                1,
                "{kind}"
            );
        }
    }

    #[test]
    fn nothing_but_a_delete_touches_what_is_not_understood() {
        for kind in OperationKind::ALL {
            let delete = matches!(kind, OperationKind::Delete | OperationKind::DeleteFailed);
            assert_eq!(CAPABILITIES.allows(*kind, Unknown), delete, "{kind}");
            assert!(!CAPABILITIES.allows(*kind, Absent), "{kind}");
        }
        for state in ServerState::ALL {
            let there = *state != Absent;
            assert_eq!(
                CAPABILITIES.allows(OperationKind::Delete, *state),
                there,
                "{state}"
            );
        }
    }

    #[test]
    fn metadata_is_not_written_where_nova_answers_409() {
        for state in [Provisioning, Error, Deleting, Unknown, Absent, Shelved, Rescued] {
            assert!(!CAPABILITIES.allows(OperationKind::Mark, state), "{state}");
        }
        assert!(CAPABILITIES.allows(OperationKind::Mark, Stopped));
    }
}
