//! Which operation of power leads from which settled state to which, and the shortest way through them.

use super::model::{Capabilities, ServerState};
use crate::api::server_status::OperationKind;

/// Where each operation of power leads. From where a cloud accepts it is in its capabilities.
pub(super) const LEADS_TO: &[(OperationKind, ServerState)] = &[
    (OperationKind::Start, ServerState::Running),
    (OperationKind::Stop, ServerState::Stopped),
    (OperationKind::Pause, ServerState::Paused),
    (OperationKind::Unpause, ServerState::Running),
    (OperationKind::Suspend, ServerState::Suspended),
    (OperationKind::Resume, ServerState::Running),
    (OperationKind::Shelve, ServerState::Shelved),
    (OperationKind::Unshelve, ServerState::Running),
    (OperationKind::Unrescue, ServerState::Running),
    (OperationKind::Rescue, ServerState::Rescued),
];

/// Whether an operation is one of power.
pub(super) fn is_power(kind: OperationKind) -> bool {
    leads_to(kind).is_some()
}

/// The state that an operation of power leads to.
pub(super) fn leads_to(kind: OperationKind) -> Option<ServerState> {
    LEADS_TO.iter().find(|row| row.0 == kind).map(|row| row.1)
}

/// The first operation on a shortest way from one settled state to another, if this cloud has a way.
pub(super) fn first_step(can: &Capabilities, from: ServerState, to: ServerState) -> Option<OperationKind> {
    // Each state that was reached, and the operation with which the way there began.
    let mut reached: Vec<(ServerState, Option<OperationKind>)> = vec![(from, None)];
    let mut at = 0;
    while let Some(&(here, began)) = reached.get(at) {
        for (kind, next) in LEADS_TO.iter().copied() {
            if !can.allows(kind, here) || reached.iter().any(|(s, _)| *s == next) {
                continue;
            }
            let first = began.or(Some(kind));
            if next == to {
                return first;
            }
            reached.push((next, first));
        }
        at += 1;
    }
    None
}

/// Whether an operation is a step towards a state, from any of the states in which it is accepted.
pub(super) fn is_towards(can: &Capabilities, kind: OperationKind, to: ServerState) -> bool {
    let settled = |s: &ServerState| *s != ServerState::Error && first_step(can, *s, to) == Some(kind);
    let mut rows = can.preconditions.iter().filter(|row| row.0 == kind);
    rows.any(|(_, states)| states.iter().any(settled))
}
