//! A server that was stopped for a new size, and cannot be started with it: back to the size that fitted.

use super::{ResizeStatus, give_up, is};
use crate::api::server::{PowerWish, ResizeOnFailure, Size};
use crate::api::server_status::{Operation, OperationKind, ResizePhase};
use crate::api::{Reason, keys};
use crate::planner::draft::{Draft, Verdict};
use crate::planner::model::{CloudError, ErrorClass, ObservedServer, Operate, ServerState};
use crate::planner::{AccountFacts, account, power, present};

/// So many starts that were accepted and came to nothing mean that there is no room.
const STARTS: i32 = 2;

fn running(word: Option<&str>) -> bool {
    word == Some(ServerState::Running.as_str())
}

/// Whether the new size is there and the start after it is still to come.
pub(super) fn awaits_start(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let restores = |r: &ResizeStatus| {
        r.phase == Some(ResizePhase::Restoring) && running(r.restore_to.as_deref()) && r.from.is_some()
    };
    let starts = matches!(power::wish(d).0, PowerWish::Running | PowerWish::Unmanaged);
    seen.state == ServerState::Stopped && starts && d.status.resize.as_ref().is_some_and(restores)
}

/// Whether the size that was asked for is there.
pub(super) fn reached(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let there = |r: &ResizeStatus| {
        r.phase == Some(ResizePhase::Restoring) && r.to.as_deref().is_some_and(|to| is(to, seen))
    };
    d.status.resize.as_ref().is_some_and(there)
}

/// Whether a size that was reached is not the wish any more, and nothing is left to do for it but power.
pub(in crate::planner) fn overtaken(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    reached(d, seen) && !awaits_start(d, seen)
}

/// Where nothing of a resize is left to do, what waited for that has its turn.
pub(super) fn over(d: &mut Draft<'_>, seen: &ObservedServer) {
    if !awaits_start(d, seen) && d.status.resize.take().is_some() {
        d.again(d.now());
    }
}

/// What is said of a size that is not gone for again by itself, and what to do about it.
pub(super) fn kept(d: &Draft<'_>, wanted: &str, kept: &str) -> String {
    let what = match d.status.failure.as_ref().map(|f| f.message.trim_end_matches('.')) {
        Some(cause) => format!("size {wanted} could not be reached, {kept} is kept: {cause}"),
        None => format!("size {wanted} was taken back, {kept} is kept"),
    };
    format!(
        "{what}. Set spec.size back to {kept}, or choose another one; to try {wanted} again, set the annotation {} to a new value",
        keys::RETRY
    )
}

/// A start was refused, or came to nothing. `true`: the server goes back to its old size first.
pub(in crate::planner) fn start_failed(
    d: &mut Draft<'_>,
    op: &Operation,
    error: Option<&CloudError>,
) -> bool {
    let Some(resize) = d
        .status
        .resize
        .clone()
        .filter(|r| r.phase == Some(ResizePhase::Restoring))
    else {
        return false;
    };
    let no_room = match error {
        Some(error) => error.class == ErrorClass::Capacity && !error.maybe_applied,
        None => op.attempt >= STARTS,
    };
    if !no_room || resize.from.is_none() || d.spec.resize.on_failure == ResizeOnFailure::Hold {
        return false;
    }
    let to = resize.to.unwrap_or_default();
    let (code, words) = match error {
        Some(error) => (error.code.as_deref(), error.message.clone()),
        None => (
            None,
            "the start came to nothing: there may be no room for it".to_owned(),
        ),
    };
    let note = format!("the server does not start with size {to}: {words}");
    d.failed(ErrorClass::Capacity, code, &note, None);
    d.memory.backoff = None;
    d.event(
        true,
        Reason::ResizeFailed,
        "Resize",
        format!("{note}; it goes back to its old size"),
    );
    give_up(d, &to);
    if let Some(resize) = &mut d.status.resize {
        resize.phase = Some(ResizePhase::Reverting);
    }
    true
}

/// Goes on towards the old size. `Err` ends the plan.
pub(super) fn go_on(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    let Some(resize) = d
        .status
        .resize
        .clone()
        .filter(|r| r.phase == Some(ResizePhase::Reverting))
    else {
        return Ok(());
    };
    let from = resize.from.unwrap_or_default();
    if is(&from, seen) {
        if let Some(resize) = &mut d.status.resize {
            resize.phase = Some(ResizePhase::Failed);
        }
        return Ok(());
    }
    let kind = OperationKind::Resize;
    let what = format!("the old size {from} is put back");
    if let Some(reason) = d.gagged(facts) {
        return Err(account::held(d, reason, &what));
    }
    if let Some(verdict) = present::not_now(d, facts, seen, kind, &what) {
        return Err(if verdict == Verdict::Keep {
            power::doing(OperationKind::RevertResize)
        } else {
            verdict
        });
    }
    let seconds = i64::from(facts.capabilities.deadline(kind));
    d.operate(id, kind, Operate::Size(size(&from)), seconds, Some(from));
    Err(power::doing(OperationKind::RevertResize))
}

/// The size behind a text of `status.size`.
fn size(text: &str) -> Size {
    let numbers = text
        .split_once('x')
        .and_then(|(c, m)| Some((c.parse().ok()?, m.parse().ok()?)));
    match numbers {
        Some((cores, memory)) => Size {
            name: None,
            cores: Some(cores),
            memory_mib: Some(memory),
        },
        None => Size {
            name: Some(text.to_owned()),
            cores: None,
            memory_mib: None,
        },
    }
}
