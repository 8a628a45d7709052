//! A resize that waits for a word of somebody, and a migration that ends like one.

use super::{Turn, fail, note, record_of, uid, wait};
use crate::api::Reason;
use crate::api::conditions::to_seconds;
use crate::api::server::ResizeConfirm;
use crate::api::server_action::{Deed, DeedOutcome, ServerAction};
use crate::api::server_status::{ResizePhase, ResizeStatus};
use crate::planner::AccountFacts;
use crate::planner::draft::Draft;
use crate::planner::model::{ObservedServer, ServerState};
use crate::planner::resize::{is, ours};

/// Whether a deed lets the pending size be carried out.
pub(in crate::planner) fn approved(d: &Draft<'_>) -> bool {
    let mut all = d.status.actions.iter();
    all.any(|r| r.deed == Deed::Resize && r.outcome == DeedOutcome::Running)
}

/// Lets the pending size be carried out, and sees to its end.
pub(super) fn turn(
    d: &mut Draft<'_>,
    _facts: &AccountFacts,
    seen: &ObservedServer,
    action: &ServerAction,
) -> Turn {
    let Some(text) = d.spec.size.as_ref().map(|s| s.text()) else {
        return fail(
            d,
            action,
            Reason::NotAllowed,
            "spec.size of the Server is not given",
        );
    };
    let begun = record_of(&d.status, uid(action)).is_some_and(|r| r.outcome == DeedOutcome::Running);
    let resize = d.status.resize.clone().unwrap_or_default();
    let failed = resize.failed_size.as_deref() == Some(&text);
    let awaits = seen.state == ServerState::AwaitingResizeConfirmation && ours(d);
    if begun && failed {
        let cause = d.status.failure.as_ref().map_or("", |f| f.message.as_str());
        let words = format!("size {text} could not be reached: {cause}");
        return fail(d, action, Reason::DeedFailed, &words);
    }
    let there = is(&text, seen) && resize.phase.is_none();
    let waits_for_a_word = awaits && d.spec.resize.confirm == ResizeConfirm::Manual;
    if begun && (there || waits_for_a_word) {
        let words = if there {
            format!("the server has size {text}")
        } else {
            format!("the cloud waits for size {text} to be confirmed or reverted")
        };
        note(d, action, DeedOutcome::Succeeded, Reason::Succeeded, &words);
        return Turn::Over;
    }
    if begun {
        return Turn::Waits;
    }
    let settled = !seen.busy && !seen.state.is_transitional();
    if !settled {
        let words = format!("the server is {}", seen.state);
        return wait(d, action, Reason::WaitingForServer, &words);
    }
    let pending = d.status.size_requested.as_ref().is_some_and(|r| *r != text) && !is(&text, seen);
    if !pending || awaits {
        let words = format!("no change of size is pending: {text} is declared");
        return fail(d, action, Reason::NotAllowed, &words);
    }
    if failed && let Some(resize) = &mut d.status.resize {
        // A person asks for another try.
        resize.failed_size = None;
    }
    let now = to_seconds(d.now());
    let words = format!("size {text} is being carried out");
    note(d, action, DeedOutcome::Running, Reason::Acting, &words).started_at = Some(now);
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
    let failed = d.status.resize.take().and_then(|r| r.failed_size);
    d.status.resize = failed.map(|size| ResizeStatus {
        phase: Some(ResizePhase::Failed),
        failed_size: Some(size),
        ..ResizeStatus::default()
    });
}
