//! A cloud that has every deed, and what each does to its server.

use crate::api::server_status::OperationKind;
use crate::planner::model::*;

use ServerState::*;

/// Where each call is accepted: as Nova's.
const STATES: &[(OperationKind, &[ServerState])] = &[
    (OperationKind::Start, &[Stopped]),
    (OperationKind::Stop, &[Running, Error]),
    (OperationKind::Restart, &[Running, Error]),
    (OperationKind::Resize, &[Running, Stopped]),
    (OperationKind::ConfirmResize, &[AwaitingResizeConfirmation]),
    (OperationKind::RevertResize, &[AwaitingResizeConfirmation]),
    (OperationKind::Rebuild, &[Running, Stopped]),
    (OperationKind::CreateImage, &[Running, Stopped, Paused, Suspended]),
    (
        OperationKind::CreateBackup,
        &[Running, Stopped, Paused, Suspended],
    ),
    (OperationKind::ChangePassword, &[Running]),
    (OperationKind::CrashDump, &[Running, Paused, Error]),
    (OperationKind::ColdMigrate, &[Running, Stopped]),
    (OperationKind::LiveMigrate, &[Running, Paused]),
    (
        OperationKind::Evacuate,
        &[Running, Stopped, Error, Stopping, Maintenance],
    ),
    (
        OperationKind::ResetState,
        &[
            Running, Stopped, Paused, Suspended, Shelved, Rescued, Error, Stopping,
        ],
    ),
    (OperationKind::ConsoleOutput, &[Running, Stopped, Error]),
    (OperationKind::RemoteConsole, &[Running, Paused]),
    (
        OperationKind::Cancel,
        &[Provisioning, Starting, Stopping, Maintenance],
    ),
    (OperationKind::BackupDisk, &[Running, Stopped]),
    (OperationKind::Pause, &[Running]),
    (OperationKind::Unpause, &[Paused]),
    (OperationKind::Suspend, &[Running]),
    (OperationKind::Resume, &[Suspended]),
    (OperationKind::Shelve, &[Running, Stopped, Paused, Suspended]),
    (OperationKind::Unshelve, &[Shelved]),
    (OperationKind::Unrescue, &[Rescued]),
    (OperationKind::Lock, super::cloud::LIVING),
    (OperationKind::Unlock, super::cloud::LIVING),
    (OperationKind::Mark, super::cloud::MARKABLE),
    (OperationKind::Unmark, super::cloud::MARKABLE),
    (OperationKind::Delete, super::cloud::LIVING),
    (OperationKind::DeleteFailed, super::cloud::LIVING),
];

/// Keeps a log of requests.
pub(super) static LOGGED: Capabilities = Capabilities {
    preconditions: STATES,
    hard_restart: &[Running, Stopped, Paused, Suspended, Error, Rebooting],
    request_log: true,
    ..CAPABILITIES_COPY
};

/// Keeps none.
pub(super) static MUTE: Capabilities = Capabilities {
    preconditions: STATES,
    hard_restart: &[],
    request_log: false,
    ..CAPABILITIES_COPY
};

const CAPABILITIES_COPY: Capabilities = super::cloud::NOVA_LIKE;

/// What a deed does to the fake server.
pub(super) fn done(
    seen: &mut ObservedServer,
    kind: OperationKind,
    how: &Operate,
) -> (ServerState, ServerState) {
    let before = seen.state;
    match (kind, how) {
        (OperationKind::ColdMigrate, _) => {
            seen.guest_running = Some(before == Running);
            (Maintenance, AwaitingResizeConfirmation)
        }
        (OperationKind::ResetState, Operate::Deed(spec)) => {
            let to = spec.reset_state.as_ref().map(|r| r.to).unwrap_or_default();
            let to = match to {
                crate::api::server_action::ResetTo::Active => Running,
                crate::api::server_action::ResetTo::Error => Error,
            };
            (Maintenance, to)
        }
        (OperationKind::Evacuate, _) if before != Stopped => (Rebuilding, Running),
        _ => (Maintenance, before),
    }
}
