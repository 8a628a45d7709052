//! Sizes that a cloud changes while the guest runs, and those for which it wants the server stopped.

use crate::api::Reason;
use crate::api::server::Size;
use crate::api::server_status::{Operation, OperationKind, ResizePhase, ResizeStatus};
use crate::planner::draft::{Draft, Verdict};
use crate::planner::memory::Backoff;
use crate::planner::model::{Capabilities, ErrorClass, ObservedServer, ServerState};

/// So many refusals in a row of a server that is at rest mean that it has to be stopped.
const REFUSALS: u32 = 3;

/// What is said where the cloud changes no sizes at all.
pub(super) fn unsupported(can: &Capabilities, text: &str) -> Option<Verdict> {
    let mut rows = can.preconditions.iter();
    let none = !rows.any(|(kind, _)| *kind == OperationKind::Resize);
    none.then(|| Verdict::Stalled(Reason::Unsupported, without(text)))
}

pub(super) fn without(text: &str) -> String {
    format!("size {text} is declared, and this cloud cannot change the size of a server: set spec.size back")
}

/// Whether the cloud said that it wants the server stopped for this size.
pub(super) fn needs_stop(d: &Draft<'_>, text: &str) -> bool {
    let known = |r: &ResizeStatus| r.phase == Some(ResizePhase::NeedsStop) && r.to.as_deref() == Some(text);
    d.status.resize.as_ref().is_some_and(known)
}

/// Whether a running guest can be given this size without a stop, as far as is known.
pub(super) fn possible(d: &Draft<'_>, can: &Capabilities, size: &Size, seen: &ObservedServer) -> bool {
    let less = size
        .cores
        .zip(seen.size.cores)
        .is_some_and(|(new, old)| new < old)
        || size
            .memory_mib
            .zip(seen.size.memory_mib)
            .is_some_and(|(new, old)| new < old);
    can.live_resize && !less && !needs_stop(d, &size.text())
}

/// Whether a refusal means that the server has to be stopped first; that is written down.
pub(super) fn refused(d: &mut Draft<'_>, op: &Operation, class: ErrorClass) -> bool {
    let seen = d.status.power.as_ref().and_then(|p| p.observed.as_deref());
    let running = seen == Some(ServerState::Running.as_str());
    // Sent to a guest that was to go on running: there is nothing to put back.
    let hot = |r: &ResizeStatus| r.phase == Some(ResizePhase::Requested) && r.restore_to.is_none();
    let busy = |b: &Backoff| b.class == ErrorClass::Busy && b.count >= REFUSALS;
    let stubborn = class == ErrorClass::Busy
        && d.status.resize.as_ref().is_some_and(hot)
        && d.memory.backoff.as_ref().is_some_and(busy);
    if !running || !(class == ErrorClass::NeedsStop || stubborn) {
        return false;
    }
    d.memory.backoff = None;
    d.status.resize = Some(ResizeStatus {
        to: op.argument.clone(),
        phase: Some(ResizePhase::NeedsStop),
        ..ResizeStatus::default()
    });
    true
}
