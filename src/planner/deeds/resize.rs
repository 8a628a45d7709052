//! A resize that waits for a word of somebody, and a migration that ends like one.

use super::records::{is_so, stand};
use super::{Turn, fail, note, settle, uid, wait};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionType, to_seconds};
use crate::api::server::ResizeConfirm;
use crate::api::server_action::{ActionRecord, Deed, DeedOutcome, ServerAction};
use crate::api::server_status::{ResizePhase, ResizeStatus};
use crate::planner::draft::Draft;
use crate::planner::model::{ObservedServer, ServerState};
use crate::planner::resize::{asks_about_ours, is, ours, overtaken};

fn begun(record: &&ActionRecord) -> bool {
    record.deed == Deed::Resize && record.outcome == DeedOutcome::Running
}

/// Whether a deed lets the declared size be carried out.
pub(in crate::planner) fn approved(d: &Draft<'_>) -> bool {
    let declared = d.spec.size.as_ref().map(|s| s.text());
    let mut all = d.status.actions.iter().filter(begun);
    all.any(|r| r.result == declared)
}

/// Whether a deed has let a size through that is not there yet.
pub(super) fn goes_first(d: &Draft<'_>, action: &ServerAction) -> bool {
    super::record_of(&d.status, uid(action)).filter(begun).is_some()
}

/// Sees to the end of a resize that was let through, whatever became of its ServerAction.
pub(in crate::planner) fn tend(d: &mut Draft<'_>, seen: &ObservedServer) {
    let Some(record) = d.status.actions.iter().find(begun).cloned() else {
        return;
    };
    let text = record.result.clone().unwrap_or_default();
    let resize = d.status.resize.clone().unwrap_or_default();
    let awaits = asks_about_ours(d, seen) && seen.state == ServerState::AwaitingResizeConfirmation;
    let mut all = d.input.actions.iter();
    let action = all.find(|a| uid(a) == record.uid);
    if let Some(action) = action {
        d.again(super::object::due(action));
    }
    let (outcome, reason, words) = if resize.failed_size.as_deref() == Some(&text) {
        let words = match d.status.failure.as_ref() {
            Some(cause) => format!("size {text} could not be reached: {}", cause.message),
            None => format!("size {text} was taken back"),
        };
        (DeedOutcome::Failed, Reason::DeedFailed, words)
    } else if is(&text, seen) && (resize.phase.is_none() || overtaken(d, seen)) {
        let words = match other_size(d, &text) {
            Some(other) => format!("the server has size {text}; {other}"),
            None => format!("the server has size {text}"),
        };
        (DeedOutcome::Succeeded, Reason::Succeeded, words)
    } else if awaits && d.spec.resize.confirm != ResizeConfirm::Auto {
        let words = format!("the cloud waits for size {text} to be confirmed or reverted");
        (DeedOutcome::Succeeded, Reason::Succeeded, words)
    } else if ours(d) {
        // What is under way goes on.
        return;
    } else if resize.phase == Some(ResizePhase::Restoring)
        && is(&text, seen)
        && other_size(d, &text).is_some()
    {
        // The size is there, and what was running is started.
        return;
    } else if let Some(other) = other_size(d, &text) {
        let has = d.status.size.as_deref().unwrap_or("another one");
        let words = format!("size {text} was not reached: {other}. The server has size {has}");
        (DeedOutcome::Failed, Reason::Overtaken, words)
    } else if action.is_none_or(|a| a.metadata.deletion_timestamp.is_some()) {
        let words = "its ServerAction was deleted before it was carried out".to_owned();
        (DeedOutcome::Failed, Reason::NotAllowed, words)
    } else if let Some(due) = action
        .map(|a| super::object::due(a))
        .filter(|due| *due <= d.now())
    {
        let words = format!("size {text} was not carried out by {due}");
        (DeedOutcome::Failed, Reason::DeadlineExceeded, words)
    } else {
        return stands(d, &record.uid, &text);
    };
    settle(d, &record.uid, outcome, reason, &words);
}

/// What a size that was let through waits for, where only a person can see to that.
fn stands(d: &mut Draft<'_>, uid: &str, text: &str) {
    let size = conditions::get(&d.status.conditions, ConditionType::SizeSynced);
    let locked = size.filter(|c| c.reason == Reason::Locked.as_str());
    let (reason, words) = match locked {
        Some(size) => (Reason::Locked, size.message.clone()),
        None => (Reason::Acting, carried_out(text)),
    };
    stand(d, uid, DeedOutcome::Running, reason, &words);
}

fn carried_out(text: &str) -> String {
    format!("size {text} is being carried out")
}

/// What the spec says of the size, where that is another one than the one that was let through.
fn other_size(d: &Draft<'_>, text: &str) -> Option<String> {
    match d.spec.size.as_ref().map(|s| s.text()) {
        Some(declared) if declared == text => None,
        Some(declared) => Some(format!("spec.size is {declared} by now")),
        None => Some("spec.size names no size any more".to_owned()),
    }
}

/// Lets the pending size be carried out.
pub(super) fn turn(d: &mut Draft<'_>, seen: &ObservedServer, action: &ServerAction) -> Turn {
    let Some(text) = d.spec.size.as_ref().map(|s| s.text()) else {
        let words = "spec.size of the Server is not given";
        return fail(d, action, Reason::NotAllowed, words);
    };
    if seen.busy || seen.state.is_transitional() {
        let words = format!("the server is {}", seen.state);
        return wait(d, action, Reason::WaitingForServer, &words);
    }
    let awaits = seen.state == ServerState::AwaitingResizeConfirmation;
    let has = d.status.size.clone().unwrap_or_else(|| "another one".to_owned());
    let reached = is(&text, seen);
    let pending = d.status.size_requested.as_ref().is_some_and(|r| *r != text);
    match (reached, awaits) {
        (true, true) => {
            let words = format!("the cloud waits for size {text} to be confirmed or reverted");
            return is_so(d, action, &words);
        }
        (true, false) => return is_so(d, action, &format!("the server has size {text}")),
        (false, true) => {
            let words = format!(
                "size {text} is declared, and the cloud waits for size {has} to be confirmed or reverted: that comes first, by \
                 confirmResize: {{}} or revertResize: {{}}"
            );
            return fail(d, action, Reason::NotAllowed, &words);
        }
        (false, false) if !pending => {
            let words = format!(
                "no change of size is pending: {text} is declared, and {has}, which is in use, was set from outside. Set \
                 spec.size to {has} first, then to what it is to be"
            );
            return fail(d, action, Reason::NotAllowed, &words);
        }
        (false, false) => {}
    }
    if let Some(resize) = &mut d.status.resize
        && resize.failed_size.as_deref() == Some(&text)
    {
        // A person asks for another try.
        resize.failed_size = None;
    }
    let now = to_seconds(d.now());
    let record = note(
        d,
        action,
        DeedOutcome::Running,
        Reason::Acting,
        &carried_out(&text),
    );
    record.started_at = Some(now);
    record.result = Some(text);
    Turn::Waits
}

/// A migration ends with a question, as a resize does: it is asked as part of one.
pub(super) fn expect_migration(d: &mut Draft<'_>) {
    let failed_size = d.status.resize.take().and_then(|r| r.failed_size);
    d.status.resize = Some(ResizeStatus {
        to: d.status.size.clone(),
        phase: Some(ResizePhase::Requested),
        failed_size,
        ..ResizeStatus::default()
    });
}

/// Nothing came of a migration.
pub(super) fn forget_migration(d: &mut Draft<'_>) {
    // A resize comes from a size.
    let Some(resize) = d.status.resize.take_if(|r| r.from.is_none()) else {
        return;
    };
    d.status.resize = resize.failed_size.map(|size| ResizeStatus {
        phase: Some(ResizePhase::Failed),
        failed_size: Some(size),
        ..ResizeStatus::default()
    });
}
